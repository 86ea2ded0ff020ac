// Proves that the simulator finds what it must: for each guard (kv/raft/guards.h), switched off
// alone, seeds are run until a checker complains; what random seeds rarely reach, a golden script
// may catch by its output.
//   sabotage [--seeds N] [--guard G] [--jobs J]      exits with 1 if a guard is not missed
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "kv/raft/guards.h"
#include "tests/raft/script.h"
#include "tests/sim/runner.h"

#ifndef SKALD_SABOTAGE
#error "this program makes sense only with guards that can be switched off"
#endif

namespace skald::sim {
namespace {

std::string content(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// The first script, by name, that does not come out as recorded; empty if all do.
std::string differing_script() {
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
    if (!violation.none()) return path.stem().string();
  }
  return "";
}

bool caught(const raft::GuardInfo& guard, std::uint64_t seeds, unsigned jobs) {
  sabotaged_guard = guard.number;
  const BatchResult batch = run_batch(1, seeds, jobs, ~0ULL, 1);
  std::string by;
  if (!batch.findings.empty()) {
    const Finding& finding = batch.findings.front();
    by = "seed " + std::to_string(finding.seed) + ": " + finding.violation.checker;
    if (finding.violation.checker == "assertion") by += ": " + finding.violation.what;
  } else if (const std::string script = differing_script(); !script.empty()) {
    by = "script " + script;
  }
  sabotaged_guard = 0;
  std::printf("%2d %-20s %s\n", guard.number, guard.name, by.empty() ? "NOT CAUGHT" : by.c_str());
  std::fflush(stdout);
  return !by.empty();
}

int main(int argc, char** argv) {
  std::uint64_t seeds = 2000;
  int only = 0;
  unsigned jobs = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    const auto number = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--seeds") == 0) seeds = number;
    if (std::strcmp(argv[i], "--guard") == 0) only = static_cast<int>(number);
    if (std::strcmp(argv[i], "--jobs") == 0) jobs = static_cast<unsigned>(number);
  }
  if (const std::string script = differing_script(); !script.empty()) {
    std::printf("script %s differs though nothing is sabotaged\n", script.c_str());
    return 1;
  }
  int missed = 0;
  int tried = 0;
  for (const raft::GuardInfo& guard : raft::kGuards) {
    if (only != 0 && guard.number != only) continue;
    ++tried;
    missed += caught(guard, seeds, jobs) ? 0 : 1;
  }
  std::printf("%d of %d guards are missed when they are gone\n", tried - missed, tried);
  return missed == 0 && tried > 0 ? 0 : 1;
}

}  // namespace
}  // namespace skald::sim

int main(int argc, char** argv) { return skald::sim::main(argc, argv); }
