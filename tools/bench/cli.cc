#include "tools/bench/cli.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/bench/coordinator.h"
#include "tools/bench/options.h"
#include "tools/bench/payload.h"
#include "tools/bench/process_stats.h"
#include "tools/bench/report.h"

namespace skald::bench {
namespace {

const std::map<std::string, Mode> kModes = {
    {"conn", Mode::conn},   {"pub", Mode::pub},       {"sub", Mode::sub},      {"pair", Mode::pair},
    {"fanin", Mode::fanin}, {"fanout", Mode::fanout}, {"shared", Mode::shared}};

const std::map<std::string, codec::Version> kVersions = {
    {"3.1", codec::Version::v31}, {"3.1.1", codec::Version::v311}, {"5", codec::Version::v5}};

const std::map<std::string, codec::QoS> kQoS = {{"0", codec::QoS::at_most_once},
                                                {"1", codec::QoS::at_least_once},
                                                {"2", codec::QoS::exactly_once}};

/// An option that takes one of the names of `values`.
template <class Target, class Value>
CLI::Option* add_choice(CLI::App& app, const std::string& name, Target& target,
                        const std::map<std::string, Value>& values, const std::string& text) {
  std::vector<std::string> names;
  for (const auto& [key, value] : values) names.push_back(key);
  const auto choose = [&target, &values](const std::string& key) { target = values.at(key); };
  return app.add_option_function<std::string>(name, choose, text)->check(CLI::IsMember(names));
}

/// What depends on the mode when it is not given.
struct Counts {
  std::optional<std::uint32_t> publishers;
  std::optional<std::uint32_t> subscribers;
  std::optional<codec::QoS> subscribe_qos;
};

void add_connection_options(CLI::App& app, Options& options) {
  app.add_option("-H,--host", options.host, "of the broker")->capture_default_str();
  app.add_option("-p,--port", options.port)->capture_default_str();
  add_choice(app, "-V,--mqtt-version", options.version, kVersions, "3.1.1 if absent");
  app.add_option("--source", options.sources, "local addresses, taken in turn")->delimiter(',');
  app.add_option("--prefix", options.prefix, "of the client ids")->capture_default_str();
  app.add_option("--clean-start", options.clean_start, "true or false")->capture_default_str();
  app.add_option("--session-expiry", options.session_expiry_s, "seconds, MQTT 5");
  app.add_option("-k,--keep-alive", options.keep_alive_s, "seconds; 0: off")->capture_default_str();
  app.add_option("--no-delay", options.no_delay, "TCP_NODELAY")->capture_default_str();
  app.add_option("-R,--connect-rate", options.connect_rate, "connections/s; 0: full speed")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--connect-burst", options.connect_burst, "handshakes under way at a time")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--connect-timeout", options.connect_timeout_s, "seconds without progress")
      ->capture_default_str();
}

void add_traffic_options(CLI::App& app, Options& options, Counts& counts) {
  app.add_option("-n,--publishers", counts.publishers)->check(CLI::Range(1, 1000000));
  app.add_option("-m,--subscribers", counts.subscribers,
                 "in pair: as many as publishers; in conn: the connections")
      ->check(CLI::Range(1, 1000000));
  app.add_option("-t,--topic", options.topic, "%i: number, %c: client id");
  app.add_option("-f,--filter", options.filter,
                 "of the subscribers; made from the topic if absent");
  app.add_option("--group", options.group, "name of the shared group")->capture_default_str();
  add_choice(app, "-q,--qos", options.qos, kQoS, "of the publishers; 0 if absent");
  add_choice(app, "--sub-qos", counts.subscribe_qos, kQoS, "as --qos if absent");
  app.add_option("-s,--size", options.payload_bytes, "of the payload, bytes")
      ->check(CLI::Range(kPayloadHeadBytes, 16U * 1024 * 1024))
      ->capture_default_str();
  app.add_option("-r,--rate", options.rate, "messages/s of all publishers; 0: full speed")
      ->check(CLI::NonNegativeNumber);
  app.add_option("-w,--window", options.window, "unacknowledged messages a publisher, QoS 1 and 2")
      ->check(CLI::Range(1, 32767))
      ->capture_default_str();
  app.add_option("--burst", options.burst_bytes, "most that a publisher writes in its turn, bytes")
      ->check(CLI::Range(1, 256 * 1024))
      ->capture_default_str();
  app.add_option("--topic-aliases", options.topic_aliases, "MQTT 5: how many, both ways; 0: none");
}

void add_run_options(CLI::App& app, Options& options) {
  app.add_option("-d,--duration", options.duration_s, "seconds measured; in conn and sub: held")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--warmup", options.warmup_s, "seconds")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("-c,--count", options.messages,
                 "messages of each publisher, in place of a duration and a warm-up");
  app.add_option("--drain", options.drain_ms, "gives up after so many ms without a message")
      ->capture_default_str();
  app.add_option("--linger", options.linger_ms, "listens so many ms longer for what is too much")
      ->capture_default_str();
  app.add_option("-T,--threads", options.threads)->check(CLI::Range(1, 256))->capture_default_str();
  app.add_option("--broker-pid", options.broker_pid, "for its CPU time and memory")
      ->check(CLI::PositiveNumber);
  app.add_option("--run-id", options.run_id, "in the payloads; in sub: whose to count");
  app.add_option("--json", options.json_path, "writes a JSON object; -: to standard output");
  app.add_flag("--quiet", options.quiet, "no progress lines");
}

void fill_in_defaults(Options& options, const Counts& counts) {
  const Mode mode = options.mode;
  const bool publishes = mode != Mode::conn && mode != Mode::sub;
  const std::uint32_t publishers = mode == Mode::fanout ? 1 : 50;
  options.publishers = publishes ? counts.publishers.value_or(publishers) : 0;
  std::uint32_t subscribers = 50;
  if (mode == Mode::fanin) subscribers = 1;
  if (mode == Mode::fanout) subscribers = 100;
  if (mode == Mode::shared) subscribers = 4;
  if (mode == Mode::conn) subscribers = counts.publishers.value_or(1000);
  options.subscribers = mode == Mode::pair  ? options.publishers
                        : mode == Mode::pub ? 0
                                            : counts.subscribers.value_or(subscribers);
  options.subscribe_qos = counts.subscribe_qos.value_or(options.qos);
  if (options.run_id == 0 && mode != Mode::sub) {
    Random random(static_cast<std::uint64_t>(now_ns()) ^ static_cast<std::uint64_t>(getpid()));
    options.run_id = static_cast<std::uint32_t>(random.between(1, 0xFFFFFFFF));
  }
}

int report(const Options& options, const Outcome& outcome) {
  const std::string json = to_json(options, outcome);
  if (options.json_path == "-") {
    std::fputs(json.c_str(), stdout);
  } else {
    std::fputs(to_table(options, outcome).c_str(), stdout);
    if (!options.json_path.empty()) {
      std::ofstream out(options.json_path);
      out << json;
      if (!out.flush()) {
        std::fprintf(stderr, "%s: cannot be written\n", options.json_path.c_str());
        return 2;
      }
    }
  }
  return outcome.failures.empty() ? 0 : 1;
}

}  // namespace

int bench_main(int argc, char** argv) {
  Options options;
  Counts counts;
  CLI::App app{"Loads an MQTT broker, measures it, and checks what arrives.", "skald bench"};
  add_choice(app, "mode", options.mode, kModes, "who talks to whom")->required();
  add_connection_options(app, options);
  add_traffic_options(app, options, counts);
  add_run_options(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  fill_in_defaults(options, counts);
  const Result<Outcome> outcome = run(options);
  if (!outcome.ok()) {
    std::fprintf(stderr, "skald bench: %s\n", outcome.error().message.c_str());
    return 2;
  }
  return report(options, *outcome);
}

}  // namespace skald::bench
