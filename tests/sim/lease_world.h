// A small seeded world for serve leases: one leader at a time, replicas that publish late, clocks
// that drift, messages that take their time, leaders that are cut off or paused and go on granting.
#pragma once

#include <cstdint>

#include "tests/sim/outcome.h"

namespace skald::sim {

/// Violation "no stale match" if a replica could serve without having published a command whose
/// reply had left; "liveness" if replies never left or nobody could serve.
Violation run_leases(std::uint64_t seed);

}  // namespace skald::sim
