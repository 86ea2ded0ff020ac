#include "tests/sim/disk.h"

#include <algorithm>
#include <utility>

namespace skald::sim {

void Disk::submit(Job job) {
  ++counters_.jobs;
  waiting_.push_back(std::move(job));
  if (syncing_.empty()) begin();
}

void Disk::begin() {
  if (waiting_.empty() || poisoned_) return;
  syncing_ = std::move(waiting_);
  waiting_.clear();
  ++counters_.syncs;
  Micros delay = options_.sync_min + random_.between(0, options_.sync_spread);
  if (random_.chance(options_.slow_per_mille, 1000)) delay += random_.below(options_.slow + 1);
  const Micros end = std::max(scheduler_.now(), stalled_until_) + delay;
  scheduler_.at(end, [this, generation = generation_] {
    if (generation == generation_) finish();
  });
}

void Disk::finish() {
  if (scheduler_.now() < stalled_until_) {  // it began to hang meanwhile
    scheduler_.at(stalled_until_, [this, generation = generation_] {
      if (generation == generation_) finish();
    });
    return;
  }
  if (scheduler_.now() < full_until_) {
    ++counters_.failures;
    poisoned_ = true;
    nothing_written_ = true;
    full_();
    return;
  }
  if (failed_) {
    ++counters_.failures;
    poisoned_ = true;
    std::exchange(failed_, nullptr)();
    return;
  }
  const std::vector<Job> batch = std::exchange(syncing_, {});
  for (const Job& job : batch) job.persist();
  begin();
  for (const Job& job : batch) job.done();
}

void Disk::crash() {
  ++generation_;
  if (!syncing_.empty() && !nothing_written_ && random_.one_in(2)) {
    for (const Job& job : syncing_) job.persist();
    syncing_.clear();
  }
  counters_.lost += syncing_.size() + waiting_.size();
  syncing_.clear();
  waiting_.clear();
  poisoned_ = false;
  nothing_written_ = false;
  failed_ = nullptr;
}

void Disk::stall(Micros duration) {
  stalled_until_ = std::max(stalled_until_, scheduler_.now() + duration);
}

void Disk::fail_next(std::function<void()> failed) { failed_ = std::move(failed); }

void Disk::fill(Micros duration, std::function<void()> failed) {
  full_until_ = std::max(full_until_, scheduler_.now() + duration);
  full_ = std::move(failed);
}

void Disk::calm() {
  full_until_ = 0;
  options_.slow_per_mille = 0;
  stalled_until_ = 0;
  failed_ = nullptr;
}

}  // namespace skald::sim
