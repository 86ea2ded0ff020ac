#include "actors/clock.h"

#include <ctime>

namespace skald::actors {

namespace {

std::int64_t read_us(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace

Clock::Clock() : offset_us_(read_us(CLOCK_REALTIME) - read_us(CLOCK_BOOTTIME)) {}

std::uint64_t Clock::monotonic_us() { return static_cast<std::uint64_t>(read_us(CLOCK_BOOTTIME)); }

std::uint64_t Clock::now_us() const {
  return static_cast<std::uint64_t>(read_us(CLOCK_BOOTTIME) +
                                    offset_us_.load(std::memory_order_relaxed));
}

std::uint64_t Clock::not_before(std::uint64_t us) {
  const std::uint64_t now = now_us();
  if (now >= us) return 0;
  offset_us_.fetch_add(static_cast<std::int64_t>(us - now), std::memory_order_relaxed);
  return us - now;
}

std::uint64_t Clock::now_ms() const { return now_us() / 1000; }

}  // namespace skald::actors
