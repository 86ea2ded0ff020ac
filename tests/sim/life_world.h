// A small seeded world for lives: nodes that renew over slow links, pause and die; leaders of the
// meta range that are cut off without knowing it; clocks that drift by 1 %.
#pragma once

#include <cstdint>

#include "tests/sim/group_checks.h"

namespace skald::sim {

/// Violation "one live holder" if a node took its life for alive that was ended; "liveness" if in
/// the end a dead node's life is still there, a live one's is not, or some range was not told.
Violation run_lives(std::uint64_t seed);

}  // namespace skald::sim
