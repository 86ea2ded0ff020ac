// A network between numbered machines, under the scheduler. What travels is an action to run at the
// other end, so that any protocol can use it.
//
// Two modes. Streams: per (from, to, channel) order is kept and nothing is lost but by a reset,
// which loses an unknown suffix of what is under way and tells both ends, each in its own time.
// Datagrams: loss, duplication and reordering of single messages. Links can be cut one way; what is
// sent into a cut link is lost, and a stream over it resets after a while.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "config/base/random.h"
#include "tests/sim/scheduler.h"

namespace skald::sim {

using Machine = std::uint32_t;

struct NetworkOptions {
  bool streams = true;
  Micros delay_min = 500;
  Micros delay_spread = 1500;        ///< uniform, on top
  std::uint32_t slow_per_mille = 0;  ///< messages that take `slow` longer
  Micros slow = 200 * kMillisecond;
  std::uint32_t loss_per_mille = 0;       ///< datagrams only
  std::uint32_t duplicate_per_mille = 0;  ///< datagrams only
  std::uint32_t reset_per_mille = 0;      ///< streams only, per message
  std::uint32_t half_open_one_in = 8;     ///< resets that one end learns of seconds later
};

class Network {
 public:
  using Deliver = std::function<void()>;
  /// Told to `machine`: its connections with `peer` broke.
  using Disconnected = std::function<void(Machine machine, Machine peer)>;

  struct Counters {
    std::uint64_t sent = 0;
    std::uint64_t delivered = 0;
    std::uint64_t lost = 0;
    std::uint64_t duplicated = 0;
    std::uint64_t resets = 0;
  };

  Network(Scheduler& scheduler, Random random, const NetworkOptions& options,
          Disconnected disconnected)
      : scheduler_(scheduler),
        random_(random),
        options_(options),
        disconnected_(std::move(disconnected)) {}

  /// `extra` delays a message by its size.
  void send(Machine from, Machine to, std::uint32_t channel, Micros extra, Deliver deliver);
  void cut(Machine from, Machine to) {
    if (!calm_) cut_.insert({from, to});
  }
  void heal(Machine from, Machine to);
  void heal_all();
  bool is_cut(Machine from, Machine to) const { return cut_.contains({from, to}); }
  void reset(Machine a, Machine b);
  /// No more faults of its own, no more cuts: for the liveness phase.
  void calm();
  const Counters& counters() const { return counters_; }

 private:
  struct Stream {
    std::uint64_t epoch = 0;
    Micros cut_time = 0;  ///< what epoch - 1 delivers until then still arrives
    Micros last_delivery = 0;
    bool broken = false;  ///< something was lost: a reset is on its way
  };

  void send_stream(Machine from, Machine to, std::uint32_t channel, Micros delay, Deliver deliver);
  void tell(Machine machine, Machine peer);

  Scheduler& scheduler_;
  Random random_;
  NetworkOptions options_;
  Disconnected disconnected_;
  std::map<std::tuple<Machine, Machine, std::uint32_t>, Stream> streams_;
  std::set<std::pair<Machine, Machine>> cut_;
  bool calm_ = false;
  Counters counters_;
};

}  // namespace skald::sim
