// Two bootstraps of one key space that meet while a client writes: which goes on, and whether
// anything that was acked is lost.
#pragma once

#include <cstdint>

#include "tests/sim/group_checks.h"

namespace skald::sim {

Violation run_geneses(std::uint64_t seed);

}  // namespace skald::sim
