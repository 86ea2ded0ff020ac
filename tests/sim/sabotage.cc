// Proves that the simulator finds what it must: for each guard (kv/raft/guards.h,
// kv/range/guards.h), switched off alone, seeds are run until a checker complains; what random
// seeds rarely reach, a script may catch: a golden one of Raft by its output, one of stores
// (cases.h) by what it ends in.
//   sabotage [--seeds N] [--guard G] [--jobs J] [--table FILE]    exits with 1 if a guard is not
//                                                                 missed
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "kv/range/guards.h"
#include "tests/raft/script.h"
#include "tests/sim/cases.h"
#include "tests/sim/runner.h"

#ifndef SKALD_SABOTAGE
#error "this program makes sense only with guards that can be switched off"
#endif

namespace skald::sim {
namespace {

/// So many seeds are tried before the scripts.
constexpr std::uint64_t kSeedsFirst = 200;

/// How the absence of a guard showed first.
struct Catch {
  std::uint64_t seeds = 0;  ///< tried, the one that found it included
  std::string where;        ///< seed or script; empty: nowhere
  std::string checker;
};

std::string content(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// The first golden script, by name, that does not come out as recorded.
Catch by_golden_script() {
  std::vector<std::filesystem::path> paths;
  for (const auto& file : std::filesystem::directory_iterator(SKALD_GOLDEN_DIR)) {
    paths.push_back(file.path());
  }
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    const Violation violation = run_apart([&path] {
      const std::string want = content(path);
      return raft::script::run(want) == want ? Violation{} : Violation{"golden script", "differs"};
    });
    if (!violation.none()) return {0, "script " + path.stem().string(), violation.checker};
  }
  return {};
}

Catch by_case() {
  for (const ScriptedCase& one : scripted_cases()) {
    const Violation violation = run_apart([&one] { return one.run(); });
    if (!violation.none()) return {0, "case " + std::string(one.name), violation.checker};
  }
  return {};
}

Catch by_seeds(World world, std::uint64_t first, std::uint64_t seeds, unsigned jobs) {
  if (seeds < first) return {};
  const BatchResult result = run_batch({first, seeds - first + 1, world, jobs, 0, 1});
  if (result.findings.empty()) return {};
  // With several jobs the first to be found may not be the first seed; both are within `seeds`.
  const Finding& finding = result.findings.front();
  return {finding.one.seed, "seed " + std::to_string(finding.one.seed), finding.violation.checker};
}

Catch hunt(const raft::GuardInfo& guard, std::uint64_t seeds, unsigned jobs) {
  sabotaged_guard = guard.number;
  const bool of_raft = guard.number < 100;
  const World world = of_raft ? World::kGroup : World::kStores;
  Catch found = by_seeds(world, 1, std::min(seeds, kSeedsFirst), jobs);
  if (found.where.empty()) found = of_raft ? by_golden_script() : by_case();
  if (found.where.empty()) found = by_seeds(world, kSeedsFirst + 1, seeds, jobs);
  sabotaged_guard = 0;
  // What fails anyway proves nothing.
  if (found.seeds != 0 && !run_apart(Case{world, found.seeds, {}}).none()) {
    std::printf("%s fails though nothing is sabotaged\n", found.where.c_str());
    return {};
  }
  return found;
}

std::string row(const raft::GuardInfo& guard, const Catch& found) {
  const bool seed = found.where.rfind("seed", 0) == 0;
  return "| " + std::to_string(guard.number) + " | " + guard.name + " | " + guard.protects + " | " +
         (found.where.empty() ? "NOT CAUGHT" : found.checker) + " | " +
         (seed ? std::to_string(found.seeds) : found.where) + " |\n";
}

const char* const kTableHead =
    "# Guards and who misses them\n\n"
    "Written by `./dev sabotage --table tests/sim/SABOTAGE.md`: each guard is switched off alone "
    "in one build, and seeds\n(Raft: group world, ranges: store world) are run from 1 on until a "
    "checker complains; where they do not, a script does.\n\n"
    "| number | guard | invariant | checker that caught it | seeds to catch, or script |\n"
    "|---|---|---|---|---|\n";

struct Arguments {
  std::uint64_t seeds = 2000;
  int only = 0;
  unsigned jobs = 1;
  std::string table;
};

int run(const Arguments& arguments) {
  for (const Catch& broken : {by_golden_script(), by_case()}) {
    if (broken.where.empty()) continue;
    std::printf("%s fails though nothing is sabotaged\n", broken.where.c_str());
    return 1;
  }
  std::vector<raft::GuardInfo> guards(std::begin(raft::kGuards), std::end(raft::kGuards));
  guards.insert(guards.end(), std::begin(range::kGuards), std::end(range::kGuards));
  std::string table = kTableHead;
  std::size_t missed = 0;
  std::size_t tried = 0;
  for (const raft::GuardInfo& guard : guards) {
    if (arguments.only != 0 && guard.number != arguments.only) continue;
    ++tried;
    const Catch found = hunt(guard, arguments.seeds, arguments.jobs);
    missed += found.where.empty() ? 1 : 0;
    table += row(guard, found);
    std::printf("%3d %-20s %s: %s\n", guard.number, guard.name,
                found.where.empty() ? "NOT CAUGHT" : found.where.c_str(), found.checker.c_str());
    std::fflush(stdout);
  }
  const std::string sum = std::to_string(tried - missed) + " of " + std::to_string(tried) +
                          " guards are missed when they are gone";
  if (!arguments.table.empty()) std::ofstream(arguments.table) << table << "\n" << sum << ".\n";
  std::printf("%s\n", sum.c_str());
  return missed == 0 && tried > 0 ? 0 : 1;
}

int main(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i + 1 < argc; i += 2) {
    const auto number = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--seeds") == 0) arguments.seeds = number;
    if (std::strcmp(argv[i], "--guard") == 0) arguments.only = static_cast<int>(number);
    if (std::strcmp(argv[i], "--jobs") == 0) arguments.jobs = static_cast<unsigned>(number);
    if (std::strcmp(argv[i], "--table") == 0) arguments.table = argv[i + 1];
  }
  return run(arguments);
}

}  // namespace
}  // namespace skald::sim

int main(int argc, char** argv) { return skald::sim::main(argc, argv); }
