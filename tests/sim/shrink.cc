#include "tests/sim/shrink.h"

#include <cstdio>

#include "tests/sim/runner.h"

namespace skald::sim {
namespace {

constexpr std::uint64_t kStrikesMax = 1 << 12;
constexpr Micros kLongest = 64 * kSecond;

class Shrinker {
 public:
  Shrinker(Case one, std::string checker) : best_(std::move(one)), checker_(std::move(checker)) {}

  Case run() {
    kinds();
    safety();
    last_strike();
    single_strikes();
    kinds();
    return best_;
  }

 private:
  bool take_if_fails(const Case& smaller) {
    if (run_apart(smaller).checker != checker_) return false;
    best_ = smaller;
    std::printf("  %s\n", replay(best_).c_str());
    std::fflush(stdout);
    return true;
  }

  void kinds() {
    for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
      if (best_.less.without[kind]) continue;
      Case smaller = best_;
      smaller.less.without[kind] = true;
      take_if_fails(smaller);
    }
  }

  /// What fails by a time fails by any later one, more often than not: bisection.
  void safety() {
    Micros low = 0;
    Micros high = best_.less.safety != 0 ? best_.less.safety : kLongest;
    while (high - low > 20 * kMillisecond) {
      Case smaller = best_;
      smaller.less.safety = low + (high - low) / 2;
      (take_if_fails(smaller) ? high : low) = smaller.less.safety;
    }
  }

  void last_strike() {
    std::uint64_t low = 0;  // strikes that are too few
    std::uint64_t high = kStrikesMax;
    if (Case none = best_; none.less.strikes_max = 0, take_if_fails(none)) return;
    while (high - low > 1) {
      Case smaller = best_;
      smaller.less.strikes_max = low + (high - low) / 2;
      (take_if_fails(smaller) ? high : low) = smaller.less.strikes_max;
    }
  }

  void single_strikes() {
    if (best_.less.strikes_max == 0 || best_.less.strikes_max > kStrikesMax) return;
    for (std::uint64_t strike = 0; strike + 1 < best_.less.strikes_max; ++strike) {
      Case smaller = best_;
      smaller.less.skip.insert(strike);
      take_if_fails(smaller);
    }
  }

  Case best_;
  const std::string checker_;
};

}  // namespace

Case shrink(Case one, const Violation& violation) {
  return Shrinker(std::move(one), violation.checker).run();
}

}  // namespace skald::sim
