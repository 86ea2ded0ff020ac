// A disk that syncs: what the group-commit thread of a machine sees of it, under the scheduler.
//
// Jobs are durable in order; those that wait while a sync runs share the next one. A crash loses
// what is not synced; the sync under way may have happened or not, as a whole (one batch of the log
// engine is atomic). Faults: slow syncs, a stall, a failing sync, after which the disk takes
// nothing more until the machine restarts (its handle is poisoned); no space, which outlives a
// restart.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "config/base/random.h"
#include "tests/sim/scheduler.h"

namespace skald::sim {

struct DiskOptions {
  Micros sync_min = 100;
  Micros sync_spread = 900;
  std::uint32_t slow_per_mille = 0;  ///< syncs that take up to `slow`
  Micros slow = 300 * kMillisecond;
};

class Disk {
 public:
  struct Job {
    std::function<void()> persist;  ///< makes it so on the platter
    std::function<void()> done;     ///< tells the machine
  };
  struct Counters {
    std::uint64_t jobs = 0;
    std::uint64_t syncs = 0;
    std::uint64_t lost = 0;
    std::uint64_t failures = 0;
  };

  Disk(Scheduler& scheduler, Random random, const DiskOptions& options)
      : scheduler_(scheduler), random_(random), options_(options) {}

  void submit(Job job);
  /// Power is lost, or the process dies.
  void crash();
  void stall(Micros duration);
  /// The next sync fails: nothing or all of it is on the platter; `failed` is told.
  void fail_next(std::function<void()> failed);
  /// Nothing can be written for so long; each sync tells `failed`.
  void fill(Micros duration, std::function<void()> failed);
  void calm();
  const Counters& counters() const { return counters_; }

 private:
  void begin();
  void finish();

  Scheduler& scheduler_;
  Random random_;
  DiskOptions options_;
  std::vector<Job> waiting_;
  std::vector<Job> syncing_;
  std::function<void()> failed_;
  std::function<void()> full_;
  Micros full_until_ = 0;
  std::uint64_t generation_ = 0;  ///< of the process that uses it
  bool poisoned_ = false;
  bool nothing_written_ = false;  ///< by the sync that failed
  Micros stalled_until_ = 0;
  Counters counters_;
};

}  // namespace skald::sim
