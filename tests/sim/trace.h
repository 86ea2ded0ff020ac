// What happened, folded into one number (each seed twice must give the same), and told on demand.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "tests/sim/scheduler.h"

namespace skald::sim {

/// Folds `value` into `hash` so that order matters.
inline std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15ULL + (hash << 6) + (hash >> 2);
  hash *= 0xff51afd7ed558ccdULL;
  return hash ^ (hash >> 33);
}

inline std::uint64_t hash_of(const std::string& bytes) {
  std::uint64_t hash = bytes.size();
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
  return hash;
}

/// Neighbouring seeds must not begin alike.
inline std::uint64_t mix_seed(std::uint64_t seed) { return mix(0x5ca1d, seed); }

class Trace {
 public:
  Trace(const Scheduler& scheduler, bool loud) : scheduler_(scheduler), loud_(loud) {}

  bool loud() const { return loud_; }
  std::uint64_t hash() const { return hash_; }

  void fold(std::uint64_t a, std::uint64_t b, std::uint64_t c = 0) {
    hash_ = mix(mix(mix(mix(hash_, scheduler_.now()), a), b), c);
  }
  /// Call only when loud(): building the text costs.
  void say(std::uint64_t node, const std::string& text) const {
    std::printf("%10.3f ms  %2llu  %s\n", static_cast<double>(scheduler_.now()) / 1000.0,
                static_cast<unsigned long long>(node), text.c_str());
  }

 private:
  const Scheduler& scheduler_;
  bool loud_;
  std::uint64_t hash_ = 0;
};

}  // namespace skald::sim
