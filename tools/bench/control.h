// What the coordinator and the worker threads share: the phase of the run, and counters.
//
// The coordinator moves the phase on; each worker looks at it once per turn of its loop and is
// woken by its eventfd. Counters are written by their worker only, once per turn.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace skald::bench {

enum class Phase : int {
  connect,  // until every client is ready
  warm_up,  // publishing; nothing recorded
  measure,  // publishing; latencies recorded
  drain,    // nothing new is sent
  stop,     // disconnect and return
};

enum Count : std::size_t {
  kConnected,  // CONNACK received
  kReady,      // and, with a filter, SUBACK
  kRefused,    // connection or subscription refused, or no TCP connection: see the first error
  kClosed,     // by the broker or the network, after it was connected
  kProtocolErrors,
  kSent,
  kDone,       // acknowledged to the end, or refused; QoS 0: written
  kDelivered,  // PUBLISH received, whatever it was
  kUnique,     // of these: fresh and right
  kWrongQos,   // delivered with another QoS than subscribed and published
  kBytesIn,
  kLastInNs,     // when the last delivery or ack came
  kFinished,     // publishers that sent all of their messages
  kOpenReadyNs,  // when the last client became ready
  kCounts
};

using Totals = std::array<std::uint64_t, kCounts>;

struct Published {
  std::array<std::atomic<std::uint64_t>, kCounts> values{};
};

class Control {
 public:
  /// One eventfd a worker; -1 where the system refused.
  explicit Control(std::uint32_t workers);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  Phase phase() const { return phase_.load(std::memory_order_acquire); }
  /// Requires: called by the coordinator only.
  void enter(Phase phase);

  int wake_fd(std::uint32_t worker) const { return wake_fds_[worker]; }
  void clear_wake(std::uint32_t worker);

  /// Set before Phase::warm_up: when the first paced message is due.
  std::atomic<std::int64_t> start_ns{0};

  void publish(std::uint32_t worker, const Totals& totals);
  /// Sums over the workers; the latest for times.
  Totals totals() const;

  /// Keeps the first one only.
  void tell_error(const std::string& message);
  std::string first_error() const;

 private:
  std::atomic<Phase> phase_{Phase::connect};
  std::vector<int> wake_fds_;
  std::vector<std::unique_ptr<Published>> published_;
  mutable std::mutex mutex_;
  std::string first_error_;  // under mutex_
};

}  // namespace skald::bench
