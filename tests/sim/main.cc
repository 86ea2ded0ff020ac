// The simulator's command line.
//   sim --seeds N [--first S] [--jobs J]      N seeds from S on; exits with 1 on a violation
//   sim --seed N [--trace] [--shrink]         one seed, told in full
//   sim --regressions FILE                    the seeds in a file, one "world seed" a line
//   sim --deaths N                            how long a group is unavailable when its leader dies;
//                                             exits with 1 beyond the promised p99
// --world group|stores runs all seeds there; without it even seeds are groups, odd ones stores.
// What --shrink finds is said again with --without FAULT, --skip STRIKE, --strikes N, --until MS.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/sim/group_world.h"
#include "tests/sim/runner.h"
#include "tests/sim/shrink.h"

namespace skald::sim {
namespace {

using Number = unsigned long long;

struct Arguments {
  Batch batch;
  Case one;
  bool single = false;
  bool trace = false;
  bool smaller = false;
  std::uint64_t deaths = 0;
  std::string regressions;
};

/// Work that must have been done, a seed, and faults that must have struck.
struct Floor {
  Count count;
  double per_seed;
};

bool sane(const Stats& total, std::initializer_list<Floor> floors,
          std::initializer_list<Fault> faults) {
  const auto seeds = static_cast<double>(total[Count::kSeeds]);
  bool enough = true;
  const auto need = [&enough, seeds](const char* what, std::uint64_t there, double per_seed) {
    if (static_cast<double>(there) >= per_seed * seeds) return;
    std::printf("too little to prove anything: %llu %s\n", static_cast<Number>(there), what);
    enough = false;
  };
  for (const Floor& floor : floors) need(name_of(floor.count), total[floor.count], floor.per_seed);
  for (const Fault fault : faults) need(name_of(fault), total[fault], 0.2);
  return enough;
}

/// A batch that did too little proves nothing.
bool sane(const BatchResult& batch) {
  bool enough = true;
  if (batch.of(World::kGroup)[Count::kSeeds] >= 100) {
    enough = sane(batch.of(World::kGroup),
                  {{Count::kAcked, 100},
                   {Count::kReads, 20},
                   {Count::kElections, 2},
                   {Count::kSnapshots, 0.1},
                   {Count::kConfigs, 1}},
                  {Fault::kCrash, Fault::kPause, Fault::kPartition, Fault::kReset, Fault::kNetwork,
                   Fault::kDiskSlow, Fault::kDiskStall, Fault::kDiskFailure, Fault::kDiskFull,
                   Fault::kDrift, Fault::kMembership, Fault::kTransfer, Fault::kSnapshot});
  }
  if (batch.of(World::kStores)[Count::kSeeds] >= 100) {
    enough = sane(batch.of(World::kStores),
                  {{Count::kAcked, 100},
                   {Count::kReads, 20},
                   {Count::kElections, 4},
                   {Count::kSnapshots, 1},
                   {Count::kConfigs, 4},
                   {Count::kSplits, 0.5},
                   {Count::kMade, 1},
                   {Count::kDestroyed, 1},
                   {Count::kServed, 1000}},
                  {Fault::kCrash, Fault::kPause, Fault::kPartition, Fault::kReset, Fault::kNetwork,
                   Fault::kDiskSlow, Fault::kDiskStall, Fault::kDiskFailure, Fault::kDiskFull,
                   Fault::kDataFailure, Fault::kDrift, Fault::kMembership, Fault::kTransfer,
                   Fault::kSplit, Fault::kSnapshot, Fault::kDamage}) &&
             enough;
  }
  return enough;
}

void print(const Finding& finding) {
  std::printf("%s seed %llu: %s: %s\n  replay with: sim %s --trace\n", name_of(finding.one.world),
              static_cast<Number>(finding.one.seed), finding.violation.checker.c_str(),
              finding.violation.what.c_str(), replay(finding.one).c_str());
}

int run_many(const Batch& batch) {
  const auto begin = std::chrono::steady_clock::now();
  const BatchResult result = run_batch(batch);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  for (std::size_t world = 0; world < kWorlds; ++world) {
    const Stats& total = result.totals[world];
    if (total[Count::kSeeds] == 0) continue;
    std::printf("%s: %s", name_of(static_cast<World>(world)), describe(total).c_str());
  }
  for (const Finding& finding : result.findings) print(finding);
  std::printf("%llu seeds, %zu violations, %.1f s\n", static_cast<Number>(result.seeds),
              result.findings.size(), took.count());
  const bool enough = sane(result);
  return enough && result.findings.empty() ? 0 : 1;
}

int run_one(Case one, bool trace, bool smaller) {
  std::printf("%s\n", describe(one).c_str());
  std::fflush(stdout);
  if (smaller) {
    const Violation violation = run_apart(one);
    std::printf("%s: %s\n", violation.checker.c_str(), violation.what.c_str());
    if (!violation.none()) one = shrink(one, violation);
    std::printf("smallest: sim %s --trace\n", replay(one).c_str());
  }
  std::fflush(stdout);
  const Outcome outcome = run_case(one, trace);
  std::printf("%strace %016llx\n", describe(outcome.stats).c_str(),
              static_cast<Number>(outcome.trace_hash));
  if (outcome.violation.none()) return 0;
  std::printf("%s: %s\n", outcome.violation.checker.c_str(), outcome.violation.what.c_str());
  return 1;
}

int run_regressions(const std::string& path) {
  std::ifstream in(path);
  int failures = 0;
  int seeds = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream words(line);
    std::string world;
    Case one;
    words >> world >> one.seed;
    one.world = world == "stores" ? World::kStores : World::kGroup;
    const Violation violation = run_apart(one);
    ++seeds;
    if (violation.none()) continue;
    ++failures;
    print({one, violation});
  }
  std::printf("%d regression seeds, %d fail\n", seeds, failures);
  return failures == 0 && seeds > 0 ? 0 : 1;
}

bool measure_deaths(std::uint64_t deaths, bool streams, double p99_max_ms) {
  std::vector<Micros> times;
  for (std::uint64_t seed = 1; seed <= deaths; ++seed) {
    times.push_back(GroupWorld(default_options(seed, streams), false).failover());
  }
  std::sort(times.begin(), times.end());
  const auto at = [&times](std::size_t percent) {
    return static_cast<double>(times[(times.size() - 1) * percent / 100]) / 1000.0;
  };
  std::printf(
      "%llu deaths of a leader, connections %s: p50 %.0f ms, p90 %.0f ms, p99 %.0f ms, max "
      "%.0f ms; p99 promised: %.0f ms\n",
      static_cast<Number>(deaths), streams ? "break" : "stay silent", at(50), at(90), at(99),
      at(100), p99_max_ms);
  return at(99) < p99_max_ms;
}

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    const std::uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
    Reduction& less = arguments.one.less;
    if (name == "--trace" || name == "--shrink") {
      (name == "--trace" ? arguments.trace : arguments.smaller) = true;
      continue;
    }
    ++i;
    if (name == "--seed") {
      arguments.one.seed = number;
      arguments.single = true;
    } else if (name == "--seeds") {
      arguments.batch.count = number;
    } else if (name == "--first") {
      arguments.batch.first = number;
    } else if (name == "--jobs") {
      arguments.batch.jobs = static_cast<unsigned>(std::max<std::uint64_t>(number, 1));
    } else if (name == "--deaths") {
      arguments.deaths = number;
    } else if (name == "--regressions") {
      arguments.regressions = value;
    } else if (name == "--world" && (value == "group" || value == "stores")) {
      arguments.batch.world = value == "stores" ? World::kStores : World::kGroup;
    } else if (Fault fault{}; name == "--without" && find_fault(value, fault)) {
      less.without[static_cast<std::size_t>(fault)] = true;
    } else if (name == "--skip") {
      less.skip.insert(number);
    } else if (name == "--strikes") {
      less.strikes_max = number;
    } else if (name == "--until") {
      less.safety = number * kMillisecond;
    } else {
      std::fprintf(stderr, "what is %s %s?\n", name.c_str(), value.c_str());
      return false;
    }
  }
  arguments.one.world = arguments.batch.world.value_or(world_of(arguments.one.seed));
  return true;
}

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) return 2;
  if (arguments.deaths > 0) {
    const bool fast = measure_deaths(arguments.deaths, true, 500);
    return measure_deaths(arguments.deaths, false, 1500) && fast ? 0 : 1;
  }
  if (!arguments.regressions.empty()) return run_regressions(arguments.regressions);
  if (arguments.single) return run_one(arguments.one, arguments.trace, arguments.smaller);
  if (arguments.batch.count > 0) return run_many(arguments.batch);
  std::fprintf(stderr, "usage: sim --seeds N [--first S] [--jobs J] | --seed N [--trace]\n");
  return 2;
}

}  // namespace
}  // namespace skald::sim

int main(int argc, char** argv) { return skald::sim::main(argc, argv); }
