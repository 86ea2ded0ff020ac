#include "tests/sim/case.h"

#include "tests/sim/genesis_world.h"
#include "tests/sim/group_world.h"
#include "tests/sim/lease_world.h"
#include "tests/sim/life_world.h"
#include "tests/sim/store_world.h"

namespace skald::sim {
namespace {

GroupOptions group_options(const Case& one) {
  GroupOptions options = draw_options(one.seed);
  reduce(options, one.less);
  return options;
}

StoreOptions store_options(const Case& one) {
  StoreOptions options = draw_store_options(one.seed);
  reduce(options, one.less);
  return options;
}

}  // namespace

const char* name_of(World world) { return world == World::kGroup ? "group" : "stores"; }

World world_of(std::uint64_t seed) { return seed % 2 == 0 ? World::kGroup : World::kStores; }

Outcome run_case(const Case& one, bool loud) {
  if (one.world == World::kGroup) return GroupWorld(group_options(one), loud).run();
  if (Violation lease = run_leases(one.seed); !lease.none()) return {lease, {}, 0};
  if (Violation life = run_lives(one.seed); !life.none()) return {life, {}, 0};
  if (Violation genesis = run_geneses(one.seed); !genesis.none()) return {genesis, {}, 0};
  return StoreWorld(store_options(one), loud).run();
}

std::string describe(const Case& one) {
  return one.world == World::kGroup ? describe(group_options(one)) : describe(store_options(one));
}

std::string replay(const Case& one) {
  return "--world " + std::string(name_of(one.world)) + " --seed " + std::to_string(one.seed) +
         describe(one.less);
}

}  // namespace skald::sim
