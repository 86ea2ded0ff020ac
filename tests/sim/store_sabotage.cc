// Proves that the simulation of stores finds what it must: for each guard of kv/range/guards.h,
// switched off alone, seeds are run until a checker complains.
//   store_sabotage [--seeds N] [--guard G]      exits with 1 if a guard is not missed
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kv/range/guards.h"
#include "tests/sim/lease_world.h"
#include "tests/sim/runner.h"
#include "tests/sim/store_world.h"

#ifndef SKALD_SABOTAGE
#error "this program makes sense only with guards that can be switched off"
#endif

namespace skald::sim {
namespace {

bool caught(const raft::GuardInfo& guard, std::uint64_t seeds) {
  sabotaged_guard = guard.number;
  Violation violation;
  std::uint64_t seed = 0;
  while (violation.none() && seed < seeds) {
    ++seed;
    violation = run_apart([seed] {
      const Violation lease = run_leases(seed);
      if (!lease.none()) return lease;
      const StoreOptions options = draw_store_options(seed);
      return StoreWorld(options, false).run().violation;
    });
  }
  sabotaged_guard = 0;
  std::printf("%3d %-18s ", guard.number, guard.name);
  if (violation.none()) {
    std::printf("NOT CAUGHT\n");
  } else {
    std::printf("seed %llu: %s: %s\n", static_cast<unsigned long long>(seed),
                violation.checker.c_str(), violation.what.c_str());
  }
  std::fflush(stdout);
  return !violation.none();
}

int main(int argc, char** argv) {
  std::uint64_t seeds = 2000;
  int only = 0;
  for (int i = 1; i + 1 < argc; i += 2) {
    const auto number = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--seeds") == 0) seeds = number;
    if (std::strcmp(argv[i], "--guard") == 0) only = static_cast<int>(number);
  }
  int missed = 0;
  int tried = 0;
  for (const raft::GuardInfo& guard : range::kGuards) {
    if (only != 0 && guard.number != only) continue;
    ++tried;
    missed += caught(guard, seeds) ? 0 : 1;
  }
  std::printf("%d of %d guards are missed when they are gone\n", tried - missed, tried);
  return missed == 0 && tried > 0 ? 0 : 1;
}

}  // namespace
}  // namespace skald::sim

int main(int argc, char** argv) { return skald::sim::main(argc, argv); }
