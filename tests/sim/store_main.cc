// Runs simulated stores with many ranges.
//   store_sim --seeds N [--first S]    N seeds from S on; exits with 1 on a violation
//   store_sim --seed N [--trace]       one seed
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "tests/sim/lease_world.h"
#include "tests/sim/runner.h"
#include "tests/sim/store_world.h"

namespace skald::sim {
namespace {

using Number = unsigned long long;

std::array<std::uint64_t*, 17> fields(StoreStats& s) {
  return {&s.seeds,   &s.events,    &s.virtual_time, &s.acked,       &s.elections, &s.splits,
          &s.changes, &s.transfers, &s.snapshots,    &s.created,     &s.destroyed, &s.restarts,
          &s.crashes, &s.pauses,    &s.partitions,   &s.disk_faults, &s.served};
}

void print(StoreStats& s) {
  static constexpr const char* kNames[] = {
      "seeds",         "events",    "virtual us", "acked",       "elections",       "splits",
      "changes asked", "transfers", "snapshots",  "made",        "destroyed",       "starts",
      "crashes",       "pauses",    "partitions", "disk faults", "serves looked at"};
  std::size_t i = 0;
  for (const std::uint64_t* field : fields(s)) {
    std::printf("%s%llu %s", i == 0 ? "" : ", ", static_cast<Number>(*field), kNames[i]);
    ++i;
  }
  std::printf("\n");
}

/// A clean run tells its numbers in the place of a violation's text.
Violation run_seed(std::uint64_t seed) {
  if (Violation lease = run_leases(seed); !lease.none()) return lease;
  const StoreOptions options = draw_store_options(seed);
  StoreOutcome outcome = StoreWorld(options, false).run();
  if (!outcome.violation.none()) return outcome.violation;
  if (seed % 25 == 0 && StoreWorld(options, false).run().trace_hash != outcome.trace_hash) {
    return {"same seed, same run", "two runs differ"};
  }
  std::ostringstream numbers;
  for (const std::uint64_t* field : fields(outcome.stats)) numbers << *field << ' ';
  return {"", numbers.str()};
}

int run_many(std::uint64_t first, std::uint64_t count) {
  const auto begin = std::chrono::steady_clock::now();
  StoreStats total;
  int found = 0;
  for (std::uint64_t seed = first; seed < first + count && found < 10; ++seed) {
    const Violation violation = run_apart([seed] { return run_seed(seed); });
    if (violation.none()) {
      std::istringstream numbers(violation.what);
      for (std::uint64_t* field : fields(total)) {
        std::uint64_t number = 0;
        numbers >> number;
        *field += number;
      }
      continue;
    }
    ++found;
    std::printf("seed %llu: %s: %s\n", static_cast<Number>(seed), violation.checker.c_str(),
                violation.what.c_str());
    std::fflush(stdout);
  }
  print(total);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%.1f s\n", took.count());
  const bool sane =
      total.seeds < 50 || (total.acked > 100 * total.seeds && total.splits > total.seeds &&
                           total.snapshots > total.seeds && total.destroyed > total.seeds &&
                           total.served > 1000 * total.seeds);
  if (!sane && found == 0) std::printf("these runs did too little to prove anything\n");
  return found == 0 && sane ? 0 : 1;
}

int main(int argc, char** argv) {
  std::uint64_t seed = 0;
  std::uint64_t seeds = 0;
  std::uint64_t first = 1;
  bool trace = false;
  for (int i = 1; i < argc; ++i) {
    const auto is = [argv, i](const char* name) { return std::strcmp(argv[i], name) == 0; };
    const auto number = [argc, argv, &i] {
      return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0;
    };
    if (is("--seed")) {
      seed = number();
    } else if (is("--seeds")) {
      seeds = number();
    } else if (is("--first")) {
      first = number();
    } else if (is("--trace")) {
      trace = true;
    }
  }
  if (seeds > 0) return run_many(first, seeds);
  const StoreOptions options = draw_store_options(seed);
  std::printf("seed %llu: %s\n", static_cast<Number>(seed), describe(options).c_str());
  std::fflush(nullptr);
  StoreOutcome outcome = StoreWorld(options, trace).run();
  print(outcome.stats);
  std::printf("trace %016llx\n", static_cast<Number>(outcome.trace_hash));
  if (outcome.violation.none()) return 0;
  std::printf("%s: %s\n", outcome.violation.checker.c_str(), outcome.violation.what.c_str());
  return 1;
}

}  // namespace
}  // namespace skald::sim

int main(int argc, char** argv) { return skald::sim::main(argc, argv); }
