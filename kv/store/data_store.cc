#include "kv/store/data_store.h"

#include <algorithm>
#include <utility>

#include "config/base/assert.h"
#include "config/base/coding.h"

namespace skald::store {

DataStore::DataStore(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}

Result<std::unique_ptr<DataStore>> DataStore::open(std::unique_ptr<Engine> engine) {
  std::unique_ptr<DataStore> store(new DataStore(std::move(engine)));
  if (Status s = store->load(); !s) return s.error();
  return store;
}

Status DataStore::load() {
  Catalog catalog;
  {
    Result<std::unique_ptr<EngineCursor>> cursor = engine_->cursor(nullptr);
    if (!cursor) return cursor.error();
    EngineCursor& at = **cursor;
    const std::string end = physical_end(0, std::nullopt);
    for (at.seek(physical_key(0, {})); at.valid() && at.key() < end; at.next()) {
      const std::string_view key = at.key().substr(sizeof(Space));
      if (Status s = catalog.load(key, at.value()); !s) return s;
    }
    if (!at.status().ok()) return at.status();
  }
  catalog.recycle_pending();
  const std::lock_guard lock(mutex_);
  catalog_ = std::move(catalog);
  flushed_batches_ = counters_.batches;
  flushed_.clear();
  for (const auto& [range, applied] : catalog_.applied()) {
    const auto replica = catalog_.replicas().find(range);
    if (replica == catalog_.replicas().end()) {
      return Error{"the data store has an applied index of range " + std::to_string(range.value) +
                   " but no replica of it"};
    }
    flushed_[range] = {replica->second.replica, applied};
  }
  counters_.garbage_intervals = catalog_.garbage().size();
  return {};
}

Status DataStore::reopen() {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& weak : snapshots_) {
      if (const auto snapshot = weak.lock()) snapshot->end();
    }
    snapshots_.clear();
  }
  if (Status s = engine_->reopen(); !s) return s;
  return load();
}

/// Requires: `order_` held, and the catalog changed.
Status DataStore::commit(std::vector<EngineWrite> writes) {
  {
    const std::lock_guard lock(mutex_);
    for (EngineWrite& change : catalog_.take_changes()) writes.push_back(std::move(change));
    ++counters_.batches;
    counters_.writes += writes.size();
    counters_.garbage_intervals = catalog_.garbage().size();
  }
  return engine_->apply(writes);
}

Status DataStore::write(const DataBatch& batch) {
  std::vector<EngineWrite> writes;
  writes.reserve(batch.writes.size() + batch.applied.size());
  for (const DataWrite& write : batch.writes) {
    SKALD_ASSERT(write.space >= kFirstSpace);
    writes.push_back({physical_key(write.space, write.key), write.value});
  }
  const std::lock_guard order(order_);
  if (Status s = engine_->status(); !s) return s;
  {
    const std::lock_guard lock(mutex_);
    catalog_.apply(batch);
    for (const RangeId range : batch.removed) flushed_.erase(range);
  }
  return commit(std::move(writes));
}

Result<std::optional<std::string>> DataStore::get(Space space, std::string_view key) {
  return engine_->get(physical_key(space, key));
}

Result<DataCursor> DataStore::iterate(const Extents& extents) {
  Result<std::unique_ptr<EngineCursor>> cursor = engine_->cursor(nullptr);
  if (!cursor) return cursor.error();
  return DataCursor(std::move(*cursor), extents);
}

std::vector<ReplicaRecord> DataStore::replicas() const {
  const std::lock_guard lock(mutex_);
  std::vector<ReplicaRecord> all;
  for (const auto& [range, record] : catalog_.replicas()) all.push_back(record);
  return all;
}

std::optional<ReplicaRecord> DataStore::replica(RangeId range) const {
  const std::lock_guard lock(mutex_);
  const auto found = catalog_.replicas().find(range);
  if (found == catalog_.replicas().end()) return std::nullopt;
  return found->second;
}

std::optional<Applied> DataStore::applied(RangeId range) const {
  const std::lock_guard lock(mutex_);
  const auto found = catalog_.applied().find(range);
  if (found == catalog_.applied().end()) return std::nullopt;
  return found->second;
}

std::optional<Applied> DataStore::flushed(RangeId range) const {
  const std::lock_guard lock(mutex_);
  const auto found = flushed_.find(range);
  const auto replica = catalog_.replicas().find(range);
  if (found == flushed_.end() || replica == catalog_.replicas().end()) return std::nullopt;
  // An earlier replica's flush says nothing about this one.
  if (found->second.first != replica->second.replica) return std::nullopt;
  return found->second.second;
}

Status DataStore::flush() {
  std::map<RangeId, std::pair<ReplicaId, Applied>> covered;
  std::uint64_t batches = 0;
  {
    // What is written but not yet in the catalog, or the other way round, must not be seen.
    const std::lock_guard order(order_);
    if (Status s = engine_->status(); !s) return s;
    const std::lock_guard lock(mutex_);
    batches = counters_.batches;
    if (batches == flushed_batches_) return {};
    for (const auto& [range, applied] : catalog_.applied()) {
      covered[range] = {catalog_.replicas().at(range).replica, applied};
    }
  }
  if (Status s = engine_->flush(); !s) return s;
  const std::lock_guard lock(mutex_);
  flushed_ = std::move(covered);
  flushed_batches_ = batches;
  ++counters_.flushes;
  return {};
}

Space DataStore::allocate_space() {
  const std::lock_guard order(order_);
  const std::lock_guard lock(mutex_);
  return catalog_.allocate_space();
}

Status DataStore::abandon_space(Space space) {
  const std::lock_guard order(order_);
  if (Status s = engine_->status(); !s) return s;
  {
    const std::lock_guard lock(mutex_);
    catalog_.abandon_space(space);
  }
  return commit({});
}

Result<std::shared_ptr<DataSnapshot>> DataStore::snapshot(RangeId range,
                                                          std::uint64_t deadline_ms) {
  const std::lock_guard order(order_);
  if (Status s = engine_->status(); !s) return s.error();
  const std::lock_guard lock(mutex_);
  const auto record = catalog_.replicas().find(range);
  const auto applied = catalog_.applied().find(range);
  if (record == catalog_.replicas().end() || applied == catalog_.applied().end()) {
    return std::shared_ptr<DataSnapshot>();
  }
  auto snapshot =
      std::make_shared<DataSnapshot>(*engine_, record->second, applied->second, deadline_ms);
  std::erase_if(snapshots_, [](const std::weak_ptr<DataSnapshot>& s) { return s.expired(); });
  snapshots_.push_back(snapshot);
  return snapshot;
}

std::uint64_t DataStore::expire_snapshots(std::uint64_t now_ms) {
  const std::lock_guard lock(mutex_);
  return std::erase_if(snapshots_, [now_ms](const std::weak_ptr<DataSnapshot>& weak) {
    const auto snapshot = weak.lock();
    if (snapshot == nullptr || snapshot->deadline_ms_ >= now_ms) return false;
    snapshot->end();
    return true;
  });
}

Result<DataStore::GarbageStep> DataStore::collect_garbage(std::uint64_t max_keys) {
  const std::lock_guard order(order_);
  if (Status s = engine_->status(); !s) return s.error();
  std::uint64_t number = 0;
  Garbage garbage;
  {
    const std::lock_guard lock(mutex_);
    if (catalog_.garbage().empty()) return GarbageStep{};
    number = catalog_.garbage().begin()->first;
    garbage = catalog_.garbage().begin()->second;
  }
  Result<DataCursor> at = iterate({{garbage.interval, garbage.space}});
  if (!at) return at.error();
  std::vector<EngineWrite> writes;
  for (; at->valid() && writes.size() < max_keys; at->next()) {
    writes.push_back({physical_key(garbage.space, at->key()), std::nullopt});
  }
  if (!at->status().ok()) return at->status().error();
  std::optional<Garbage> left;
  if (at->valid()) left = {garbage.space, {std::string(at->key()), garbage.interval.end}};
  GarbageStep step;
  if (!left.has_value()) step.emptied = garbage;
  {
    const std::lock_guard lock(mutex_);
    catalog_.note_deleted(number, left);
    counters_.garbage_keys_deleted += writes.size();
    step.more = !catalog_.garbage().empty();
  }
  if (Status s = commit(std::move(writes)); !s) return s.error();
  return step;
}

Status DataStore::compact(Space space, const Interval& interval) {
  return engine_->compact(physical_key(space, interval.begin), physical_end(space, interval.end));
}

DataCounters DataStore::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

}  // namespace skald::store
