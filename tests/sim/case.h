// One run that can be named: a world, a seed, and what is left out of it.
#pragma once

#include <cstdint>
#include <string>

#include "tests/sim/outcome.h"

namespace skald::sim {

enum class World : std::uint8_t {
  kGroup,   ///< one Raft group alone (group_world.h)
  kStores,  ///< stores with many ranges (store_world.h), and leases (lease_world.h)
};
inline constexpr std::size_t kWorlds = 2;
const char* name_of(World world);

struct Case {
  World world = World::kGroup;
  std::uint64_t seed = 0;
  Reduction less;
};

/// Where a seed runs if nothing else is said: even ones are groups, odd ones stores.
World world_of(std::uint64_t seed);
Outcome run_case(const Case& one, bool loud);
std::string describe(const Case& one);
/// The arguments that run it again.
std::string replay(const Case& one);

}  // namespace skald::sim
