// What a run found out: figures of the measured window, checks over the whole run, and a verdict.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/bench/histogram.h"

namespace skald::bench {

struct Outcome {
  // Connections.
  std::uint64_t clients = 0;
  std::uint64_t ready = 0;
  double connect_s = 0;  // from the first connect() to the last client that became ready
  Histogram connect_latency;

  // The measured window.
  double window_s = 0;
  std::uint64_t sent = 0;
  std::uint64_t done = 0;  // acknowledged; QoS 0: handed to the kernel
  std::uint64_t delivered = 0;
  std::uint64_t bytes_in = 0;
  Histogram delivery_latency;
  Histogram ack_latency;
  bool broker_known = false;
  double broker_cpu_s = 0;
  double broker_user_s = 0;
  double broker_system_s = 0;
  double own_cpu_s = 0;
  double own_threads = 1;

  // Memory of the broker: before the first connection, with all of them, and at the end.
  std::uint64_t rss_empty = 0;
  std::uint64_t rss_full = 0;
  std::uint64_t rss_end = 0;

  // The whole run, warm-up and drain included.
  std::uint64_t total_sent = 0;
  std::uint64_t total_expected = 0;
  std::uint64_t total_unique = 0;
  std::uint64_t lost = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t disordered = 0;
  std::uint64_t corrupt = 0;
  std::uint64_t foreign = 0;
  std::uint64_t wrong_qos = 0;
  std::uint64_t unacked = 0;
  std::uint64_t refused = 0;         // acks with a reason code from 0x80
  std::uint64_t unmatched_acks = 0;  // that nothing waited for
  std::uint64_t protocol_errors = 0;
  std::uint64_t closed = 0;  // connections lost
  std::uint64_t not_connected = 0;
  std::uint64_t behind = 0;        // paced messages that were due but not sent
  std::uint64_t member_least = 0;  // deliveries to the client that got the fewest,
  std::uint64_t member_most = 0;   // and the most
  double drain_s = 0;
  bool gave_up = false;  // the drain ended by silence, not because all had come
  std::string first_error;

  std::vector<std::string> failures;  // checks that should hold and do not

  double per_second(std::uint64_t count) const {
    return window_s > 0 ? static_cast<double>(count) / window_s : 0;
  }
  double broker_share() const { return window_s > 0 ? broker_cpu_s / window_s : 0; }
  double own_share() const { return window_s > 0 ? own_cpu_s / window_s / own_threads : 0; }
  /// CPU seconds of the broker for 100,000 deliveries (mode pub: messages sent).
  double broker_cpu_per_100k() const;
  double own_cpu_per_100k() const;
  /// broker, generator, both or neither, by who used at least 95 % of a core.
  const char* saturated() const;
};

}  // namespace skald::bench
