// The checks of `skald bench` against a broker that is wrong in a known way: what it reports is
// exactly what was done, and nothing else.
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/test_broker.h"
#include "tools/bench/cli.h"
#include "tools/bench/coordinator.h"

namespace skald::bench {
namespace {

using codec::QoS;
using codec::Version;

constexpr std::uint32_t kEach = 100;  // messages of each publisher
constexpr std::uint32_t kEvery = 10;  // every so many is hit

Options options_for(Mode mode, QoS qos, const TestBroker& broker) {
  Options options;
  options.mode = mode;
  options.port = broker.port();
  options.qos = options.subscribe_qos = qos;
  options.publishers = mode == Mode::fanout ? 1 : 4;
  options.subscribers = mode == Mode::fanin ? 1 : mode == Mode::fanout ? 5 : 4;
  options.messages = kEach;
  options.drain_ms = 400;
  options.linger_ms = 20;
  options.run_id = 4711;
  options.quiet = true;
  return options;
}

Outcome outcome_of(const Options& options) {
  Result<Outcome> outcome = run(options);
  BOOST_TEST_REQUIRE(outcome.ok());
  return std::move(*outcome);
}

/// The counts that a fault may move; all others must stay 0.
struct Counts {
  std::uint64_t lost = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t disordered = 0;
  std::uint64_t corrupt = 0;
  std::uint64_t foreign = 0;
  std::uint64_t wrong_qos = 0;
  std::uint64_t unacked = 0;
  std::uint64_t refused = 0;
  std::uint64_t unmatched_acks = 0;
  std::uint64_t protocol_errors = 0;
  std::uint64_t closed = 0;

  bool operator==(const Counts&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Counts& counts) {
  return out << "lost " << counts.lost << " duplicates " << counts.duplicates << " disordered "
             << counts.disordered << " corrupt " << counts.corrupt << " foreign " << counts.foreign
             << " wrong_qos " << counts.wrong_qos << " unacked " << counts.unacked << " refused "
             << counts.refused << " unmatched " << counts.unmatched_acks << " protocol "
             << counts.protocol_errors << " closed " << counts.closed;
}

Counts counts_of(const Outcome& outcome) {
  return {outcome.lost,           outcome.duplicates,      outcome.disordered, outcome.corrupt,
          outcome.foreign,        outcome.wrong_qos,       outcome.unacked,    outcome.refused,
          outcome.unmatched_acks, outcome.protocol_errors, outcome.closed};
}

BOOST_AUTO_TEST_CASE(a_right_broker_passes_every_mode) {
  const TestBroker broker({});
  for (const Mode mode : {Mode::pair, Mode::fanin, Mode::fanout, Mode::shared, Mode::pub}) {
    for (const QoS qos : {QoS::at_most_once, QoS::at_least_once, QoS::exactly_once}) {
      for (const Version version : {Version::v31, Version::v311, Version::v5}) {
        Options options = options_for(mode, qos, broker);
        options.version = version;
        options.topic_aliases = version == Version::v5 ? 1 : 0;
        options.prefix = std::string("right-") + mode_name(mode);
        const Outcome outcome = outcome_of(options);
        const std::uint64_t sent = kEach * options.publishers;
        const std::uint64_t copies = mode == Mode::fanout ? 5 : mode == Mode::pub ? 0 : 1;
        BOOST_TEST_CONTEXT(mode_name(mode) << " QoS " << static_cast<int>(qos) << " version "
                                           << static_cast<int>(version)) {
          BOOST_TEST(outcome.failures.empty());
          BOOST_TEST(counts_of(outcome) == Counts{});
          BOOST_TEST(outcome.total_sent == sent);
          BOOST_TEST(outcome.total_unique == sent * copies);
          BOOST_TEST(outcome.total_expected == sent * copies);
          BOOST_TEST(outcome.delivered == sent * copies);
          BOOST_TEST(!outcome.gave_up);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(threads_share_the_work) {
  const TestBroker broker({});
  for (const Mode mode : {Mode::pair, Mode::shared, Mode::fanout}) {
    Options options = options_for(mode, QoS::at_least_once, broker);
    options.threads = 3;
    const Outcome outcome = outcome_of(options);
    BOOST_TEST(outcome.failures.empty());
    BOOST_TEST(outcome.total_unique == outcome.total_expected);
  }
}

BOOST_AUTO_TEST_CASE(pace_is_kept) {
  const TestBroker broker({});
  Options options = options_for(Mode::pair, QoS::at_least_once, broker);
  options.rate = 4000;
  const Outcome outcome = outcome_of(options);
  BOOST_TEST(outcome.failures.empty());
  BOOST_TEST(outcome.total_sent == 400U);
  BOOST_TEST(outcome.window_s > 0.099);  // the last of 400 is due after 99.75 ms
  BOOST_TEST(outcome.delivery_latency.count() == 400U);
}

BOOST_AUTO_TEST_CASE(a_timed_run_counts_its_window_and_checks_it_all) {
  const TestBroker broker({});
  Options options = options_for(Mode::pair, QoS::at_most_once, broker);
  options.messages = 0;
  options.warmup_s = 0.05;
  options.duration_s = 0.1;
  options.broker_pid = static_cast<int>(getpid());  // some process; here it is this one
  const Outcome outcome = outcome_of(options);
  BOOST_TEST(outcome.failures.empty());
  BOOST_TEST(outcome.total_unique == outcome.total_sent);
  BOOST_TEST(outcome.delivered > 0U);
  BOOST_TEST(outcome.delivered < outcome.total_unique);
  BOOST_TEST(outcome.broker_cpu_s > 0);
  BOOST_TEST(outcome.rss_full > 0U);
}

/// One kind of fault, and all that it must show as. 40 of 400 messages are hit.
struct FaultCase {
  const char* name;
  Faults faults;
  Mode mode;
  QoS qos;
  Counts expected;
  bool fails;
};

const FaultCase kFaults[] = {
    {"loss at QoS 0 is told, not judged",
     {.drop = kEvery},
     Mode::pair,
     QoS::at_most_once,
     {.lost = 40},
     false},
    {"loss behind an ack, QoS 1",
     {.drop = kEvery},
     Mode::pair,
     QoS::at_least_once,
     {.lost = 40},
     true},
    {"loss behind an ack, QoS 2",
     {.drop = kEvery},
     Mode::fanin,
     QoS::exactly_once,
     {.lost = 40},
     true},
    {"loss in a shared group",
     {.drop = kEvery},
     Mode::shared,
     QoS::at_least_once,
     {.lost = 40},
     true},
    {"duplicates at QoS 0",
     {.duplicate = kEvery},
     Mode::pair,
     QoS::at_most_once,
     {.duplicates = 40},
     true},
    {"duplicates at QoS 1 are allowed",
     {.duplicate = kEvery},
     Mode::pair,
     QoS::at_least_once,
     {.duplicates = 40},
     false},
    {"duplicates at QoS 2",
     {.duplicate = kEvery},
     Mode::pair,
     QoS::exactly_once,
     {.duplicates = 40},
     true},
    {"two swapped", {.swap = kEvery}, Mode::pair, QoS::at_least_once, {.disordered = 40}, true},
    {"two swapped, QoS 0",
     {.swap = kEvery},
     Mode::pair,
     QoS::at_most_once,
     {.disordered = 40},
     true},
    {"order is not asked of a group",
     {.swap = kEvery},
     Mode::shared,
     QoS::at_least_once,
     {},
     false},
    {"a byte of the filler",
     {.corrupt = kEvery, .corrupt_at = 50},
     Mode::pair,
     QoS::at_least_once,
     {.corrupt = 40},
     true},
    {"the last byte",
     {.corrupt = kEvery, .corrupt_at = 63},
     Mode::pair,
     QoS::at_most_once,
     {.corrupt = 40},
     true},
    {"a byte of the sequence",
     {.corrupt = kEvery, .corrupt_at = 9},
     Mode::pair,
     QoS::at_least_once,
     {.lost = 40, .corrupt = 40},
     true},
    {"head and tail of two messages",
     {.mix_tails = kEvery},
     Mode::pair,
     QoS::at_least_once,
     {.corrupt = 40},
     true},
    {"another topic",
     {.retopic = kEvery},
     Mode::pair,
     QoS::at_least_once,
     {.lost = 40, .foreign = 40},
     true},
    {"to another subscriber instead",
     {.misroute = kEvery},
     Mode::pair,
     QoS::at_least_once,
     {.lost = 40, .foreign = 40},
     true},
    {"to another subscriber as well",
     {.overroute = kEvery},
     Mode::pair,
     QoS::at_least_once,
     {.foreign = 40},
     true},
    {"to two members of a group",
     {.overroute = kEvery},
     Mode::shared,
     QoS::exactly_once,
     {.duplicates = 40},
     true},
    {"to two members of a group, QoS 1",
     {.overroute = kEvery},
     Mode::shared,
     QoS::at_least_once,
     {.duplicates = 40},
     false},
    {"a higher QoS", {.upgrade = kEvery}, Mode::pair, QoS::at_most_once, {.wrong_qos = 40}, true},
    {"no ack", {.withhold_ack = kEvery}, Mode::pair, QoS::at_least_once, {.unacked = 40}, true},
    {"no ack, QoS 2",
     {.withhold_ack = kEvery},
     Mode::pair,
     QoS::exactly_once,
     {.unacked = 40},
     true},
    {"acks for nothing",
     {.stray_ack = kEvery},
     Mode::pair,
     QoS::at_least_once,
     {.unmatched_acks = 40},
     true},
};

BOOST_AUTO_TEST_CASE(each_fault_is_reported_exactly) {
  for (const FaultCase& one : kFaults) {
    const TestBroker broker(one.faults);
    const Outcome outcome = outcome_of(options_for(one.mode, one.qos, broker));
    BOOST_TEST_CONTEXT(one.name) {
      BOOST_TEST(counts_of(outcome) == one.expected);
      BOOST_TEST(outcome.failures.empty() == !one.fails);
    }
  }
}

BOOST_AUTO_TEST_CASE(refused_messages_are_not_lost_as_well) {
  for (const QoS qos : {QoS::at_least_once, QoS::exactly_once}) {
    const TestBroker broker({.refuse = kEvery});
    Options options = options_for(Mode::pair, qos, broker);
    options.version = Version::v5;
    const Outcome outcome = outcome_of(options);
    BOOST_TEST(counts_of(outcome) == Counts{.refused = 40});
    BOOST_TEST(!outcome.failures.empty());
  }
}

BOOST_AUTO_TEST_CASE(a_lost_connection_is_a_failure_of_its_own) {
  const TestBroker broker({.hang_up = kEach});
  const Outcome outcome = outcome_of(options_for(Mode::pair, QoS::at_least_once, broker));
  BOOST_TEST(outcome.closed == 4U);
  BOOST_TEST(outcome.lost > 0U);
  BOOST_TEST(outcome.first_error.find("connection") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(garbage_ends_the_connection_that_sent_it) {
  const TestBroker broker({.garbage = kEach});
  const Outcome outcome = outcome_of(options_for(Mode::pair, QoS::at_least_once, broker));
  BOOST_TEST(outcome.protocol_errors == 4U);
  BOOST_TEST(outcome.closed == 4U);
}

BOOST_AUTO_TEST_CASE(refused_clients_are_told) {
  const TestBroker connack({.connack = 0x87});  // in 3.1.1: 5
  const Outcome refused = outcome_of(options_for(Mode::pair, QoS::at_most_once, connack));
  BOOST_TEST(refused.not_connected == 8U);
  BOOST_TEST(refused.total_sent == 0U);
  BOOST_TEST(refused.first_error.find("CONNACK with reason 5") != std::string::npos);
  const TestBroker suback({.suback = 0x80});
  const Outcome unsubscribed = outcome_of(options_for(Mode::pair, QoS::at_most_once, suback));
  BOOST_TEST(unsubscribed.not_connected == 4U);
  BOOST_TEST(unsubscribed.first_error.find("SUBACK with reason 128") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(connections_are_counted_and_held) {
  const TestBroker broker({});
  Options options = options_for(Mode::conn, QoS::at_most_once, broker);
  options.publishers = 0;
  options.subscribers = 200;
  options.topic = "each/%i/its-own";
  options.messages = 0;
  options.warmup_s = 0;
  options.duration_s = 0.05;
  options.sources = {"127.0.0.2", "127.0.0.3"};
  const Outcome outcome = outcome_of(options);
  BOOST_TEST(outcome.failures.empty());
  BOOST_TEST(outcome.ready == 200U);
  BOOST_TEST(outcome.connect_latency.count() == 200U);
}

BOOST_AUTO_TEST_CASE(a_publisher_and_a_subscriber_in_two_runs) {
  TestBroker broker({.drop = 50});
  Options receiving = options_for(Mode::sub, QoS::at_least_once, broker);
  receiving.publishers = 0;
  receiving.subscribers = 1;
  receiving.filter = "bench/#";
  receiving.run_id = 0;
  receiving.messages = 0;
  receiving.warmup_s = 0;
  receiving.duration_s = 1.5;
  bool sent = false;
  std::thread sender([&broker, &sent] {  // Boost.Test checks in the thread of the test only
    broker.wait_for_subscription();
    sent = run(options_for(Mode::pub, QoS::at_least_once, broker)).ok();
  });
  const Outcome outcome = outcome_of(receiving);
  sender.join();
  BOOST_TEST(sent);
  BOOST_TEST(counts_of(outcome) == Counts{.lost = 8});
  BOOST_TEST(outcome.total_unique == 392U);
}

/// Runs the command line, with its standard output in a file; gives the exit code.
int command(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "skald bench");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  return bench_main(static_cast<int>(argv.size()), argv.data());
}

BOOST_AUTO_TEST_CASE(the_command_line_tells_by_its_exit_code) {
  const TestBroker right({});
  const TestBroker wrong({.drop = kEvery});
  const std::string json = "bench_test_outcome.json";
  const auto arguments = [&json](const TestBroker& broker) {
    return std::vector<std::string>{"pair",    "-p",      std::to_string(broker.port()),
                                    "-n",      "2",       "-q",
                                    "1",       "--count", "20",
                                    "--json",  json,      "--quiet",
                                    "--drain", "100",     "--linger",
                                    "1"};
  };
  BOOST_TEST(command(arguments(right)) == 0);
  BOOST_TEST(command(arguments(wrong)) == 1);
  std::ifstream in(json);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  BOOST_TEST(text.find("\"lost\": 4") != std::string::npos);
  BOOST_TEST(text.find("\"failures\": [\"4 lost (QoS 1)\"]") != std::string::npos);
  std::remove(json.c_str());
  BOOST_TEST(command({"pair", "--help"}) == 0);
  const std::vector<std::string> bad[] = {{},
                                          {"pears"},
                                          {"pair", "--qos", "3"},
                                          {"pair", "--size", "27"},
                                          {"pair", "--rate", "-1"},
                                          {"pair", "--window", "0"},
                                          {"pair", "--port", "70000"},
                                          {"pair", "--threads", "0"},
                                          {"pair", "--broker-pid", "0"},
                                          {"pair", "--broker-pid", "2147483647"},
                                          {"conn", "--source", "not-an-address"}};
  for (const auto& one : bad) {
    BOOST_TEST_CONTEXT((one.empty() ? std::string("nothing") : one.back())) {
      BOOST_TEST(command(one) == 2);
    }
  }
}

}  // namespace
}  // namespace skald::bench
