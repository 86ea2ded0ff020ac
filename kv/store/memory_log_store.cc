#include "kv/store/memory_log_store.h"

#include <algorithm>
#include <utility>

#include "config/base/assert.h"

namespace skald::store {

void MemoryLogStore::fail_next(Error reason, bool written) {
  fail_next_.emplace(std::move(reason), written);
}

void MemoryLogStore::refuse_reopen(std::optional<Error> reason) {
  refuse_reopen_ = std::move(reason);
}

void MemoryLogStore::lose_tail(const ReplicaKey& who, std::uint64_t count) {
  Log& log = logs_.at(who);
  for (; count > 0 && log.log.last_index > log.log.base.index; --count) {
    log.entries.erase(log.log.last_index--);
  }
}

Status MemoryLogStore::append(const WriteSet& set) {
  if (!status_.ok()) return status_;
  if (set.empty()) return {};
  if (fail_next_.has_value()) {
    const auto [reason, written] = *std::exchange(fail_next_, std::nullopt);
    if (written) apply(set);
    status_ = reason;
    return status_;
  }
  apply(set);
  return {};
}

void MemoryLogStore::apply(const WriteSet& set) {
  ++counters_.commits;
  for (const ReplicaWrite& write : set.replicas) {
    if (write.remove) {
      logs_.erase(write.who);
      continue;
    }
    Log& log = logs_[write.who];
    log.log = log_after(std::move(log.log), write);
    if (write.restart_at.has_value()) log.entries.clear();
    if (!write.entries.empty()) {
      log.entries.erase(log.entries.lower_bound(write.entries.front().index), log.entries.end());
    }
    for (const LogEntry& entry : write.entries) {
      counters_.bytes += entry.data.size();
      ++counters_.entries;
      log.entries.emplace(entry.index, entry);
    }
    log.entries.erase(log.entries.begin(), log.entries.upper_bound(log.log.base.index));
  }
  for (const RecordWrite& write : set.records) {
    if (write.value.has_value()) {
      records_[{write.store, write.key}] = *write.value;
    } else {
      records_.erase({write.store, write.key});
    }
  }
}

Result<LogContents> MemoryLogStore::recover() {
  if (!status_.ok()) return status_.error();
  LogContents contents;
  for (const auto& [who, log] : logs_) contents.replicas.emplace_back(who, log.log);
  for (const auto& [key, value] : records_) {
    contents.records.push_back({key.first, key.second, value});
  }
  return contents;
}

Result<std::vector<LogEntry>> MemoryLogStore::entries(const ReplicaKey& who, std::uint64_t from,
                                                      std::uint64_t to, std::uint64_t max_bytes) {
  if (!status_.ok()) return status_.error();
  const auto found = logs_.find(who);
  std::vector<LogEntry> result;
  if (found == logs_.end() || from <= found->second.log.base.index) return result;
  std::uint64_t bytes = 0;
  for (auto at = found->second.entries.lower_bound(from);
       at != found->second.entries.end() && at->first < to; ++at) {
    bytes += at->second.data.size();
    if (!result.empty() && bytes > max_bytes) break;
    result.push_back(at->second);
  }
  return result;
}

Status MemoryLogStore::collect_garbage(std::uint64_t) { return status_; }
Status MemoryLogStore::note_idle() { return status_; }
Status MemoryLogStore::status() const { return status_; }

Status MemoryLogStore::reopen() {
  status_ = refuse_reopen_.has_value() ? Status(*refuse_reopen_) : Status();
  return status_;
}

LogCounters MemoryLogStore::counters() const { return counters_; }

LogStore::Size MemoryLogStore::size() {
  Size size;
  for (const auto& [who, log] : logs_) {
    for (const auto& [index, entry] : log.entries) size.memory_bytes += entry.data.size();
  }
  return size;
}

}  // namespace skald::store
