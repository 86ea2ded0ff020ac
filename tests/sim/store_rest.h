// When ranges have come to rest: one leader each, members equal, nobody left over.
#pragma once

#include <string>

#include "tests/sim/store_checks.h"

namespace skald::sim {

/// Who leads that range and is awake; null if nobody.
StoreNode* leader_of(const StoreChecks::Nodes& nodes, RangeId range);
/// False, and why, if some range among `latest` is not at rest yet.
bool ranges_at_rest(const StoreChecks::Nodes& nodes,
                    const std::map<RangeId, range::Descriptor>& latest, std::string& why);

}  // namespace skald::sim
