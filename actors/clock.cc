#include "actors/clock.h"

#include <ctime>

namespace skald::actors {

namespace {

std::int64_t read_ms(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace

Clock::Clock() : offset_ms_(read_ms(CLOCK_REALTIME) - read_ms(CLOCK_BOOTTIME)) {}

std::uint64_t Clock::now_ms() const {
  return static_cast<std::uint64_t>(read_ms(CLOCK_BOOTTIME) + offset_ms_);
}

}  // namespace skald::actors
