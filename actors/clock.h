// Node time (design.md section 4): the wall clock at start plus CLOCK_BOOTTIME since.
//
// Later steps of the wall clock do not move it. The only place that reads clocks for the broker.
#pragma once

#include <cstdint>

namespace skald::actors {

class Clock {
 public:
  Clock();

  /// Milliseconds since the epoch by node time.
  std::uint64_t now_ms() const;
  /// The same in microseconds.
  std::uint64_t now_us() const;
  /// Microseconds of CLOCK_BOOTTIME.
  static std::uint64_t monotonic_us();

 private:
  std::int64_t offset_us_;  // wall clock minus boot time at start
};

}  // namespace skald::actors
