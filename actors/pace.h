// A client's bandwidth in one direction: so many bytes a second, for tenants that limit it.
//
// Pure. Each byte takes its time; what was not used of the last second may be used at once, so a
// client that sends or gets little never waits. Used at the read or the write itself: what does not
// fit waits in the socket, and TCP holds the other side back.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace skald::actors {

class Pace {
 public:
  /// How many bytes one call may move, so that no pause is much longer than a second. `rate` is in
  /// bytes a second, 0: any.
  static std::size_t at_once(std::size_t most, std::uint64_t rate) {
    return rate == 0 ? most : static_cast<std::size_t>(std::min<std::uint64_t>(most, rate));
  }
  /// `bytes` went through. True when the next ones have to wait until is_due(). Requires: rate not
  /// 0.
  bool passed(std::size_t bytes, std::uint64_t rate, std::uint64_t now_ms) {
    const std::uint64_t now_us = now_ms * 1000;
    busy_until_us_ =
        std::max(busy_until_us_, now_us - std::min(now_us, kBurstUs)) + bytes * 1'000'000 / rate;
    return !is_due(now_ms);
  }
  bool is_due(std::uint64_t now_ms) const { return busy_until_us_ <= now_ms * 1000; }

 private:
  static constexpr std::uint64_t kBurstUs = 1'000'000;

  std::uint64_t busy_until_us_ = 0;
};

}  // namespace skald::actors
