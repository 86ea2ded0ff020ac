// A small seeded random source, the same on every library and platform.
//
// std distributions differ between standard libraries, so a simulation seed would not replay.
#pragma once

#include <cstdint>

#include "config/base/assert.h"

namespace skald {

/// SplitMix64: one u64 of state, good enough for jitter, choices and simulation. Not for secrets.
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) : state_(seed) {}

  constexpr std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

  /// Uniform in [0, bound). Requires: bound > 0.
  std::uint64_t below(std::uint64_t bound) {
    SKALD_ASSERT(bound > 0);
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }

  /// Uniform in [low, high]. Requires: low <= high.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    SKALD_ASSERT(low <= high);
    return low + below(high - low + 1);
  }

  /// True once in `n` draws on average. Requires: n > 0.
  bool one_in(std::uint64_t n) { return below(n) == 0; }

  /// True with probability numerator / denominator.
  bool chance(std::uint64_t numerator, std::uint64_t denominator) {
    return below(denominator) < numerator;
  }

  /// An independent stream, so that drawing from one does not shift another.
  constexpr Random fork() { return Random(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace skald
