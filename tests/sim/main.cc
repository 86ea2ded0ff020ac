// Runs simulated Raft groups.
//   sim --seeds N [--first S] [--jobs J]   N seeds from S on; exits with 1 on a violation
//   sim --seed N [--trace] [--shrink]      one seed, told in full
//   sim --regressions FILE                 the seeds in a file, one a line, # comments
//   sim --deaths N                         how long a group is unavailable when its leader dies
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "tests/sim/runner.h"

namespace skald::sim {
namespace {

using Number = unsigned long long;

void print_stats(const GroupStats& stats, std::uint64_t seeds) {
  std::printf(
      "%llu seeds, %llu events, %.1f simulated hours\n"
      "%llu proposals, %llu acked, %llu committed, %llu reads\n"
      "%llu elections, %llu config entries, %llu transfers, %llu starts, %llu snapshots\n"
      "%llu messages, %llu lost, %llu syncs\nfaults:",
      static_cast<Number>(seeds), static_cast<Number>(stats.events),
      static_cast<double>(stats.virtual_time) / 3.6e9, static_cast<Number>(stats.proposed),
      static_cast<Number>(stats.acked), static_cast<Number>(stats.committed),
      static_cast<Number>(stats.reads), static_cast<Number>(stats.elections),
      static_cast<Number>(stats.config_changes), static_cast<Number>(stats.transfers),
      static_cast<Number>(stats.restarts), static_cast<Number>(stats.snapshots),
      static_cast<Number>(stats.messages), static_cast<Number>(stats.messages_lost),
      static_cast<Number>(stats.syncs));
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    if (stats.faults[kind] == 0) continue;
    std::printf(" %s %llu", name_of(static_cast<Fault>(kind)),
                static_cast<Number>(stats.faults[kind]));
  }
  std::printf("\n");
}

/// A batch that did too little proves nothing.
bool sane(const BatchResult& batch) {
  if (batch.seeds < 100) return true;
  const GroupStats& total = batch.total;
  bool every_fault = true;
  for (Fault fault :
       {Fault::kCrash, Fault::kPause, Fault::kPartition, Fault::kReset, Fault::kDiskStall,
        Fault::kDiskFailure, Fault::kMembership, Fault::kTransfer}) {
    every_fault = every_fault && total.faults[static_cast<std::size_t>(fault)] > batch.seeds / 4;
  }
  return every_fault && total.acked > 100 * batch.seeds && total.reads > 20 * batch.seeds &&
         total.elections > 2 * batch.seeds && total.snapshots > batch.seeds / 10 &&
         total.config_changes > batch.seeds;
}

int run_many(std::uint64_t first, std::uint64_t count, unsigned jobs) {
  const auto begin = std::chrono::steady_clock::now();
  const BatchResult batch = run_batch(first, count, jobs, 50, 10);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  print_stats(batch.total, batch.seeds);
  std::printf("%.1f s\n", took.count());
  for (const Finding& finding : batch.findings) {
    std::printf("seed %llu: %s: %s\n  replay with: sim --seed %llu --trace\n",
                static_cast<Number>(finding.seed), finding.violation.checker.c_str(),
                finding.violation.what.c_str(), static_cast<Number>(finding.seed));
  }
  if (!sane(batch)) {
    std::printf("these runs did too little to prove anything\n");
    return 1;
  }
  return batch.findings.empty() ? 0 : 1;
}

int run_one(std::uint64_t seed, bool trace, bool smaller) {
  GroupOptions options = draw_options(seed);
  if (smaller) options = shrink(options, run_apart(options));
  std::printf("seed %llu: %s\n", static_cast<Number>(seed), describe(options).c_str());
  std::fflush(nullptr);
  const GroupOutcome outcome = GroupWorld(options, trace).run();
  print_stats(outcome.stats, 1);
  std::printf("trace %016llx\n", static_cast<Number>(outcome.trace_hash));
  if (outcome.violation.none()) return 0;
  std::printf("%s: %s\n", outcome.violation.checker.c_str(), outcome.violation.what.c_str());
  return 1;
}

int run_regressions(const char* path) {
  std::ifstream in(path);
  int failures = 0;
  int seeds = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line.front() == '#') continue;
    const std::uint64_t seed = std::strtoull(line.c_str(), nullptr, 10);
    const Violation violation = run_apart(draw_options(seed));
    ++seeds;
    if (violation.none()) continue;
    ++failures;
    std::printf("seed %llu: %s: %s\n", static_cast<Number>(seed), violation.checker.c_str(),
                violation.what.c_str());
  }
  std::printf("%d regression seeds, %d fail\n", seeds, failures);
  return failures == 0 && seeds > 0 ? 0 : 1;
}

void measure_deaths(std::uint64_t deaths, bool streams) {
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
      "%.0f ms\n",
      static_cast<Number>(deaths), streams ? "break" : "stay silent", at(50), at(90), at(99),
      at(100));
}

int main(int argc, char** argv) {
  std::uint64_t seed = 0;
  std::uint64_t seeds = 0;
  std::uint64_t first = 1;
  unsigned jobs = 1;
  bool one = false;
  bool trace = false;
  bool smaller = false;
  for (int i = 1; i < argc; ++i) {
    const auto is = [argv, i](const char* name) { return std::strcmp(argv[i], name) == 0; };
    const auto number = [argc, argv, &i] {
      return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0;
    };
    if (is("--seed")) {
      seed = number();
      one = true;
    } else if (is("--seeds")) {
      seeds = number();
    } else if (is("--first")) {
      first = number();
    } else if (is("--jobs")) {
      jobs = static_cast<unsigned>(number());
    } else if (is("--deaths")) {
      const std::uint64_t deaths = std::max<std::uint64_t>(number(), 1);
      measure_deaths(deaths, true);
      measure_deaths(deaths, false);
      return 0;
    } else if (is("--regressions") && i + 1 < argc) {
      return run_regressions(argv[i + 1]);
    } else if (is("--trace")) {
      trace = true;
    } else if (is("--shrink")) {
      smaller = true;
    } else {
      std::fprintf(stderr, "unknown option: %s\n", argv[i]);
      return 2;
    }
  }
  if (one) return run_one(seed, trace, smaller);
  if (seeds == 0 || jobs == 0) {
    std::fprintf(stderr, "usage: sim --seeds N [--first S] [--jobs J] | --seed N [--trace]\n");
    return 2;
  }
  return run_many(first, seeds, jobs);
}

}  // namespace
}  // namespace skald::sim

int main(int argc, char** argv) { return skald::sim::main(argc, argv); }
