#include "actors/store/log_writer.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <caf/send.hpp>
#include <chrono>
#include <utility>

#include "actors/messages.h"

namespace skald::actors {

namespace {

constexpr std::chrono::seconds kRetryAfter{1};
constexpr std::chrono::milliseconds kIdleAfter{200};
constexpr std::chrono::seconds kMeasureEvery{1};
constexpr std::size_t kGroupBytesMax = 16 << 20;
constexpr std::uint64_t kGarbageAtOnce = 10'000;
/// What was deleted is given back to the disk after so much was written: in a quiet moment, or,
/// when there is none, not too often.
constexpr std::uint64_t kCompactIdleBytes = 4 << 20;
constexpr std::uint64_t kCompactBusyBytes = 256 << 20;
constexpr std::chrono::seconds kCompactBusyAfter{60};

/// What an entry weighs beside its command.
constexpr std::size_t kEntryBytes = 64;

std::size_t weight(const store::WriteSet& set) {
  std::size_t bytes = 0;
  for (const store::ReplicaWrite& write : set.replicas) {
    for (const store::LogEntry& entry : write.entries) bytes += entry.data.size() + kEntryBytes;
  }
  return bytes;
}

/// `more` only appends to what `write` appended.
bool continues(const store::ReplicaWrite& write, const store::ReplicaWrite& more) {
  if (write.remove || more.remove || more.restart_at || more.meta) return false;
  if (write.truncate_to && !more.entries.empty() && write.entries.empty()) return false;
  if (more.entries.empty() || write.entries.empty()) return true;
  return more.entries.front().index == write.entries.back().index + 1;
}

void append(store::ReplicaWrite& write, store::ReplicaWrite& more) {
  write.entries.insert(write.entries.end(), std::make_move_iterator(more.entries.begin()),
                       std::make_move_iterator(more.entries.end()));
  if (more.truncate_to) write.truncate_to = more.truncate_to;
  if (more.hard_state) write.hard_state = more.hard_state;
}

}  // namespace

Result<range::HostStart> read_log(store::LogStore& log, store::StoreNumber number) {
  Result<store::LogContents> contents = log.recover();
  if (!contents) return contents.error();
  range::HostStart found;
  for (auto& [key, replica] : contents->replicas) {
    if (key.store != number) continue;
    range::HostStart::Log one{key, replica, {}};
    if (replica.last_index > replica.base.index) {
      auto entries = log.entries(key, replica.base.index + 1, replica.last_index + 1, ~0ULL);
      if (!entries) return entries.error();
      one.entries = std::move(*entries);
    }
    found.logs.push_back(std::move(one));
  }
  found.records = std::move(contents->records);
  return found;
}

bool merge(store::WriteSet& set, store::WriteSet& more) {
  const auto of = [&set](const store::ReplicaKey& who) {
    return std::find_if(set.replicas.begin(), set.replicas.end(),
                        [&](const store::ReplicaWrite& write) { return write.who == who; });
  };
  for (const store::ReplicaWrite& write : more.replicas) {
    const auto there = of(write.who);
    if (there != set.replicas.end() && !continues(*there, write)) return false;
  }
  for (store::ReplicaWrite& write : more.replicas) {
    const auto there = of(write.who);
    if (there == set.replicas.end()) {
      set.replicas.push_back(std::move(write));
    } else {
      append(*there, write);
    }
  }
  for (store::RecordWrite& write : more.records) set.records.push_back(std::move(write));
  return true;
}

LogWriter::LogWriter(std::unique_ptr<store::LogStore> log, Background& background,
                     LogFigures& figures)
    : log_(std::move(log)),
      background_(background),
      figures_(figures),
      compacted_bytes_(0 - kCompactIdleBytes) {}

void LogWriter::start() {
  thread_ = std::thread([this] { run(); });
}

void LogWriter::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void LogWriter::submit(store::WriteSet set, std::uint64_t commit, caf::actor who) {
  bool was_empty = false;
  figures_.waiting.fetch_add(1, std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex_);
    was_empty = waiting_.empty();
    waiting_.push_back({std::move(set), commit, std::move(who)});
  }
  if (was_empty) wake_.notify_one();
}

void LogWriter::read(store::StoreNumber number, caf::actor who) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(
        {.set = {}, .commit = 0, .who = std::move(who), .read = true, .number = number});
  }
  wake_.notify_one();
}

void LogWriter::run() {
  for (;;) {
    std::deque<Job> group;
    {
      std::unique_lock lock(mutex_);
      const auto ready = [this] { return stopping_ || !waiting_.empty(); };
      if (noted_) {
        wake_.wait(lock, ready);
      } else if (!wake_.wait_for(lock, kIdleAfter, ready)) {
        lock.unlock();
        idle();
        continue;
      }
      if (waiting_.empty()) break;
      group.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
      std::size_t bytes = weight(group.front().set);
      while (!group.front().read && !waiting_.empty() && !waiting_.front().read &&
             bytes < kGroupBytesMax) {
        const std::size_t more = weight(waiting_.front().set);
        if (!merge(group.front().set, waiting_.front().set)) break;
        bytes += more;
        group.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
    }
    if (!group.front().read && !write_until_done(group.front().set)) break;
    finish(group);
    maybe_compact(false);
    measure();
  }
}

/// One synced write.
Status LogWriter::append(const store::WriteSet& set) {
  const auto begun = std::chrono::steady_clock::now();
  Status written = log_->append(set);
  const auto took = std::chrono::steady_clock::now() - begun;
  if (written) {
    figures_.note_sync(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
  } else {
    figures_.failures.fetch_add(1, std::memory_order_relaxed);
  }
  return written;
}

/// Once a second, or when it becomes idle.
void LogWriter::measure() {
  const auto now = std::chrono::steady_clock::now();
  if (now - measured_at_ < kMeasureEvery) return;
  measured_at_ = now;
  const store::LogCounters counters = log_->counters();
  figures_.entries.store(counters.entries, std::memory_order_relaxed);
  figures_.bytes.store(counters.bytes, std::memory_order_relaxed);
  figures_.garbage.store(counters.garbage_entries, std::memory_order_relaxed);
  const store::LogStore::Size size = log_->size();
  figures_.memory_bytes.store(size.memory_bytes, std::memory_order_relaxed);
  figures_.disk_bytes.store(size.disk_bytes, std::memory_order_relaxed);
}

/// False: the node stops, and the disk still refuses.
bool LogWriter::write_until_done(const store::WriteSet& set) {
  noted_ = false;
  Status written = append(set);
  if (!written) {
    failing_ = true;
    spdlog::error("the log cannot be written, nothing is acknowledged until it can: {}",
                  written.error().message);
  }
  while (!written) {
    {
      std::unique_lock lock(mutex_);
      if (wake_.wait_for(lock, kRetryAfter, [this] { return stopping_; })) return false;
      wake_.wait(lock, [this] { return stopping_ || !compacting_; });
      if (stopping_) return false;
    }
    written = log_->reopen();
    if (written) written = append(set);
  }
  if (failing_.exchange(false)) spdlog::warn("the log can be written again");
  return true;
}

void LogWriter::finish(const std::deque<Job>& done) {
  for (const Job& job : done) {
    if (!job.read) figures_.waiting.fetch_sub(1, std::memory_order_relaxed);
    if (job.read) {
      caf::anon_send(
          job.who,
          LogRead{std::make_shared<Result<range::HostStart>>(read_log(*log_, job.number))});
    } else {
      caf::anon_send(job.who, LogSynced{job.commit});
    }
  }
}

/// Nothing to write for a moment: the loss of what was written last becomes noticeable.
void LogWriter::idle() {
  noted_ = true;
  measured_at_ = {};
  measure();
  if (!log_->note_idle()) return;  // the next write meets the same failure, and handles it
  if (!log_->collect_garbage(kGarbageAtOnce)) return;
  noted_ = log_->counters().garbage_entries == 0;
  if (noted_) maybe_compact(true);
}

void LogWriter::maybe_compact(bool idle) {
  const store::LogCounters now = log_->counters();
  if (now.deleted_entries == compacted_deletes_) return;
  if (now.bytes - compacted_bytes_ < (idle ? kCompactIdleBytes : kCompactBusyBytes)) return;
  const auto time = std::chrono::steady_clock::now();
  if (!idle && time - compacted_at_ < kCompactBusyAfter) return;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(compacting_, true)) return;
  }
  compacted_bytes_ = now.bytes;
  compacted_deletes_ = now.deleted_entries;
  compacted_at_ = time;
  background_.submit([this] {
    static_cast<void>(log_->compact());  // a failure is the next write's
    {
      const std::lock_guard lock(mutex_);
      compacting_ = false;
    }
    wake_.notify_one();
  });
}

}  // namespace skald::actors
