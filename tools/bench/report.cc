#include "tools/bench/report.h"

#include <cstdarg>
#include <cstdio>

namespace skald::bench {
namespace {

__attribute__((format(printf, 2, 3))) void add(std::string& out, const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  out += line;
}

unsigned long long number(std::uint64_t value) { return value; }

double mib(std::uint64_t bytes) { return static_cast<double>(bytes) / 1048576; }

double micros(std::uint64_t ns) { return static_cast<double>(ns) * 1e-3; }

double bytes_per_connection(const Outcome& outcome) {
  if (outcome.ready == 0) return 0;
  const auto grown = static_cast<double>(outcome.rss_full) - static_cast<double>(outcome.rss_empty);
  return grown / static_cast<double>(outcome.ready);
}

double connects_per_second(const Outcome& outcome) {
  return outcome.connect_s > 0 ? static_cast<double>(outcome.ready) / outcome.connect_s : 0;
}

const char* version_name(codec::Version version) {
  switch (version) {
    case codec::Version::v31:
      return "3.1";
    case codec::Version::v311:
      return "3.1.1";
    case codec::Version::v5:
      return "5.0";
  }
  return "?";
}

void add_latency(std::string& out, const char* name, const Histogram& of) {
  if (of.count() == 0) return;
  add(out, "%-12s p50 %.0f  p90 %.0f  p99 %.0f  p99.9 %.0f  max %.0f us (%llu)\n", name,
      micros(of.percentile_ns(0.5)), micros(of.percentile_ns(0.9)), micros(of.percentile_ns(0.99)),
      micros(of.percentile_ns(0.999)), micros(of.max_ns()), number(of.count()));
}

void add_checks(std::string& out, const Options& options, const Outcome& outcome) {
  const double share =
      outcome.total_expected == 0
          ? 0
          : 100 * static_cast<double>(outcome.lost) / static_cast<double>(outcome.total_expected);
  add(out,
      "%-12s expected %llu  received %llu  lost %llu (%.3f %%)  duplicates %llu  disordered %llu  "
      "corrupt %llu  foreign %llu\n",
      "checks", number(outcome.total_expected), number(outcome.total_unique), number(outcome.lost),
      share, number(outcome.duplicates), number(outcome.disordered), number(outcome.corrupt),
      number(outcome.foreign));
  if (options.qos != codec::QoS::at_most_once && outcome.total_sent != 0) {
    add(out, "%-12s unacknowledged %llu  refused %llu  unmatched %llu  wrong QoS %llu\n", "acks",
        number(outcome.unacked), number(outcome.refused), number(outcome.unmatched_acks),
        number(outcome.wrong_qos));
  }
  if (outcome.behind != 0) {
    add(out, "%-12s %llu messages were due and not sent\n", "pace", number(outcome.behind));
  }
  if (outcome.gave_up) {
    add(out, "%-12s given up after %u ms without a message\n", "drain", options.drain_ms);
  } else if (outcome.total_sent != 0) {
    add(out, "%-12s complete after %.3f s\n", "drain", outcome.drain_s);
  }
  if (options.mode == Mode::shared) {
    add(out, "%-12s least %llu  most %llu\n", "members", number(outcome.member_least),
        number(outcome.member_most));
  }
}

/// A JSON object built field by field.
class Object {
 public:
  void text(const char* name, const std::string& value) {
    begin(name);
    out_ += quoted(value);
  }
  void count(const char* name, std::uint64_t value) {
    begin(name);
    out_ += std::to_string(value);
  }
  void real(const char* name, double value) {
    begin(name);
    add(out_, "%.9g", value);
  }
  void truth(const char* name, bool value) {
    begin(name);
    out_ += value ? "true" : "false";
  }
  void raw(const char* name, const std::string& value) {
    begin(name);
    out_ += value;
  }
  std::string done() const { return out_ + "}"; }

  static std::string quoted(const std::string& value) {
    std::string out = "\"";
    for (const char c : value) {
      if (c == '"' || c == '\\') {
        out += '\\';
        out += c;
      } else if (static_cast<unsigned char>(c) < 0x20) {
        add(out, "\\u%04x", static_cast<unsigned>(c));
      } else {
        out += c;
      }
    }
    return out + "\"";
  }

 private:
  void begin(const char* name) {
    if (out_.size() > 1) out_ += ", ";
    out_ += quoted(name) + ": ";
  }
  std::string out_ = "{";
};

std::string latency_json(const Histogram& of) {
  Object out;
  out.count("count", of.count());
  out.real("mean_us", of.mean_ns() * 1e-3);
  out.real("p50_us", micros(of.percentile_ns(0.5)));
  out.real("p90_us", micros(of.percentile_ns(0.9)));
  out.real("p99_us", micros(of.percentile_ns(0.99)));
  out.real("p999_us", micros(of.percentile_ns(0.999)));
  out.real("max_us", micros(of.max_ns()));
  return out.done();
}

std::string failures_json(const Outcome& outcome) {
  std::string list = "[";
  for (const std::string& failure : outcome.failures) {
    if (list.size() > 1) list += ", ";
    list += Object::quoted(failure);
  }
  return list + "]";
}

}  // namespace

std::string to_table(const Options& options, const Outcome& outcome) {
  std::string out;
  add(out, "%-12s %s  MQTT %s  QoS %d/%d  %u bytes  ", "run", mode_name(options.mode),
      version_name(options.version), static_cast<int>(options.qos),
      static_cast<int>(options.subscribe_qos), options.payload_bytes);
  if (options.rate > 0) {
    add(out, "%.0f/s\n", options.rate);
  } else {
    add(out, "full speed\n");
  }
  add(out, "%-12s %llu of %llu in %.3f s: %.0f/s\n", "connected", number(outcome.ready),
      number(outcome.clients), outcome.connect_s, connects_per_second(outcome));
  add_latency(out, "handshake", outcome.connect_latency);
  add(out, "%-12s %.3f s: sent %.0f/s  acked %.0f/s  delivered %.0f/s\n", "window",
      outcome.window_s, outcome.per_second(outcome.sent), outcome.per_second(outcome.done),
      outcome.per_second(outcome.delivered));
  add_latency(out, "delivery", outcome.delivery_latency);
  add_latency(out, "ack", outcome.ack_latency);
  if (outcome.broker_known) {
    add(out, "%-12s %.1f %% of a core (user %.2f s, system %.2f s)", "broker",
        100 * outcome.broker_share(), outcome.broker_user_s, outcome.broker_system_s);
    if (outcome.delivered + outcome.sent != 0) {
      add(out, ", %.5f s for 100,000 deliveries", outcome.broker_cpu_per_100k());
    }
    add(out, "\n%-12s empty %.1f  full %.1f  end %.1f MiB; %.0f bytes a connection\n", "memory",
        mib(outcome.rss_empty), mib(outcome.rss_full), mib(outcome.rss_end),
        bytes_per_connection(outcome));
  }
  add(out, "%-12s %.1f %% of a core, %.5f s for 100,000 deliveries; saturated: %s\n", "generator",
      100 * outcome.own_share(), outcome.own_cpu_per_100k(), outcome.saturated());
  if (options.mode != Mode::conn) add_checks(out, options, outcome);
  if (!outcome.first_error.empty()) {
    out += "first error  " + outcome.first_error + "\n";
  }
  for (const std::string& failure : outcome.failures) out += "FAILED       " + failure + "\n";
  if (outcome.failures.empty()) out += "ok\n";
  return out;
}

std::string to_json(const Options& options, const Outcome& outcome) {
  Object out;
  out.text("mode", mode_name(options.mode));
  out.text("version", version_name(options.version));
  out.count("qos", static_cast<std::uint64_t>(options.qos));
  out.count("subscribe_qos", static_cast<std::uint64_t>(options.subscribe_qos));
  out.count("payload_bytes", options.payload_bytes);
  out.real("rate", options.rate);
  out.count("window", options.window);
  out.count("threads", options.threads);
  out.count("clients", outcome.clients);
  out.count("ready", outcome.ready);
  out.real("connect_s", outcome.connect_s);
  out.real("connects_per_s", connects_per_second(outcome));
  out.raw("handshake", latency_json(outcome.connect_latency));
  out.real("window_s", outcome.window_s);
  out.count("sent", outcome.sent);
  out.count("acked", outcome.done);
  out.count("delivered", outcome.delivered);
  out.real("sent_per_s", outcome.per_second(outcome.sent));
  out.real("acked_per_s", outcome.per_second(outcome.done));
  out.real("delivered_per_s", outcome.per_second(outcome.delivered));
  out.count("bytes_in", outcome.bytes_in);
  out.raw("delivery", latency_json(outcome.delivery_latency));
  out.raw("ack", latency_json(outcome.ack_latency));
  out.truth("broker_known", outcome.broker_known);
  out.real("broker_cpu_s", outcome.broker_cpu_s);
  out.real("broker_user_s", outcome.broker_user_s);
  out.real("broker_system_s", outcome.broker_system_s);
  out.real("broker_share", outcome.broker_share());
  out.real("broker_cpu_s_per_100k", outcome.broker_cpu_per_100k());
  out.real("own_cpu_s", outcome.own_cpu_s);
  out.real("own_share", outcome.own_share());
  out.real("own_cpu_s_per_100k", outcome.own_cpu_per_100k());
  out.text("saturated", outcome.saturated());
  out.count("rss_empty", outcome.rss_empty);
  out.count("rss_full", outcome.rss_full);
  out.count("rss_end", outcome.rss_end);
  out.real("bytes_per_connection", bytes_per_connection(outcome));
  out.count("total_sent", outcome.total_sent);
  out.count("expected", outcome.total_expected);
  out.count("unique", outcome.total_unique);
  out.count("lost", outcome.lost);
  out.count("duplicates", outcome.duplicates);
  out.count("disordered", outcome.disordered);
  out.count("corrupt", outcome.corrupt);
  out.count("foreign", outcome.foreign);
  out.count("wrong_qos", outcome.wrong_qos);
  out.count("unacked", outcome.unacked);
  out.count("refused", outcome.refused);
  out.count("unmatched_acks", outcome.unmatched_acks);
  out.count("protocol_errors", outcome.protocol_errors);
  out.count("closed", outcome.closed);
  out.count("not_connected", outcome.not_connected);
  out.count("behind", outcome.behind);
  out.count("member_least", outcome.member_least);
  out.count("member_most", outcome.member_most);
  out.real("drain_s", outcome.drain_s);
  out.truth("gave_up", outcome.gave_up);
  out.text("first_error", outcome.first_error);
  out.raw("failures", failures_json(outcome));
  return out.done() + "\n";
}

}  // namespace skald::bench
