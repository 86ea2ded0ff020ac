// Makes a failing case smaller as long as the same checker complains: fewer kinds of faults, a
// shorter phase with faults, fewer strikes.
#pragma once

#include "tests/sim/case.h"

namespace skald::sim {

Case shrink(Case one, const Violation& violation);

}  // namespace skald::sim
