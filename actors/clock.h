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

 private:
  std::int64_t offset_ms_;  // wall clock minus boot time at start
};

}  // namespace skald::actors
