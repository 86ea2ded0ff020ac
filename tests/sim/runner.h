// Runs cases in child processes, so that an assertion of the core is a finding like any other.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/case.h"

namespace skald::sim {

struct Finding {
  Case one;
  Violation violation;
};

/// Runs `what` in a child. Its violation, or "assertion" with what it said, or none.
Violation run_apart(const std::function<Violation()>& what);
Violation run_apart(const Case& one);

struct Batch {
  std::uint64_t first = 1;
  std::uint64_t count = 0;
  std::optional<World> world;  ///< none: each seed in its own
  unsigned jobs = 1;
  std::uint64_t twice = 50;  ///< multiples of it are run twice, and must leave the same trace
  std::size_t findings_max = 10;
};

struct BatchResult {
  std::vector<Finding> findings;
  std::array<Stats, kWorlds> totals{};
  std::uint64_t seeds = 0;

  const Stats& of(World world) const { return totals[static_cast<std::size_t>(world)]; }
};

BatchResult run_batch(const Batch& batch);

}  // namespace skald::sim
