// Partitions of every shape, for both worlds.
#pragma once

#include "config/base/random.h"
#include "tests/sim/network.h"

namespace skald::sim {

/// One machine alone, one direction, two halves, two halves with a bridge, a ring in which each
/// sees only its neighbours, a link that comes and goes: cut now, healed later.
void partition(Scheduler& scheduler, Network& network, Random& random, Machine machines);

}  // namespace skald::sim
