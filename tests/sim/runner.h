// Runs seeds in child processes, so that an assertion of the core is a finding like any other.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/sim/group_world.h"

namespace skald::sim {

struct Finding {
  std::uint64_t seed = 0;
  Violation violation;
};

/// Runs `what` in a child. Its violation, or "assertion" with what it said, or none.
Violation run_apart(const std::function<Violation()>& what);
Violation run_apart(const GroupOptions& options);

/// Runs `count` seeds from `first` on in `jobs` children. Each seed that is a multiple of `twice`
/// is run twice, and must leave the same trace. Calls `progress(done)` now and then.
struct BatchResult {
  std::vector<Finding> findings;
  GroupStats total;
  std::uint64_t seeds = 0;
};
BatchResult run_batch(std::uint64_t first, std::uint64_t count, unsigned jobs, std::uint64_t twice,
                      std::size_t findings_max);

/// Drops kinds of faults and time as long as the same checker complains.
GroupOptions shrink(GroupOptions options, const Violation& violation);

}  // namespace skald::sim
