// Node time (design.md section 4): the wall clock at start plus CLOCK_BOOTTIME since.
//
// Later steps of the wall clock do not move it, and it never goes back behind what was stored: a
// machine without a battery may start in 1970. The only place that reads clocks for the broker.
#pragma once

#include <atomic>
#include <cstdint>

namespace skald::actors {

class Clock {
 public:
  Clock();

  /// From now on node time is `us` at least; returns by how much it was behind, in microseconds.
  /// Before anyone is served: what has been told the time may see it jump.
  std::uint64_t not_before(std::uint64_t us);

  /// Milliseconds since the epoch by node time.
  std::uint64_t now_ms() const;
  /// The same in microseconds.
  std::uint64_t now_us() const;
  /// Microseconds of CLOCK_BOOTTIME.
  static std::uint64_t monotonic_us();

 private:
  std::atomic<std::int64_t> offset_us_;  // wall clock minus boot time at start
};

}  // namespace skald::actors
