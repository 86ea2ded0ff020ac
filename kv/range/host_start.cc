// What a store makes of its two databases at the start: which replicas go on, and what a crash left
// half done (store_host.h).
#include <algorithm>

#include "config/base/assert.h"
#include "kv/range/store_host.h"

namespace skald::range {
namespace {

std::string name(const store::ReplicaKey& key) {
  return "replica " + std::to_string(key.replica.value) + " of range " +
         std::to_string(key.range.value);
}

}  // namespace

raft::MemoryLog StoreHost::log_of(const HostStart::Log& found) {
  raft::MemoryLog log(found.log.base.index, found.log.base.term);
  std::vector<raft::Entry> entries;
  for (const store::LogEntry& entry : found.entries) {
    entries.push_back({entry.term, entry.index, static_cast<raft::EntryKind>(entry.kind),
                       raft::make_payload(entry.data)});
  }
  log.append(entries);
  SKALD_ASSERT(log.last_index() == found.log.last_index);
  return log;
}

/// A child's log proves that its split was committed in the parent's.
raft::Index StoreHost::replay_floor(const store::ReplicaKey& key) const {
  raft::Index floor = 0;
  for (const auto& [child, embryo] : embryos_) {
    const Birth& birth = embryo.birth;
    if (birth.parent == key.range && birth.replica == key.replica) {
      floor = std::max(floor, birth.index);
    }
  }
  return floor;
}

Status StoreHost::start_record(const store::StoreRecord& record) {
  if (record.store != options_.number) return {};
  const RangeId range = tombstone_range(record.key);
  if (!range) return {};
  Result<Tombstone> tombstone = decode_tombstone(record.value);
  if (!tombstone.ok()) return tombstone.error();
  tombstones_[range] = std::move(*tombstone);
  return {};
}

Status StoreHost::start(HostStart found) {
  for (const store::StoreRecord& record : found.records) {
    if (Status status = start_record(record); !status.ok()) return status;
  }
  std::map<store::ReplicaKey, const HostStart::Log*> logs;
  std::set<RangeId> with_data;
  for (const HostStart::Log& log : found.logs) {
    if (log.key.store == options_.number) logs[log.key] = &log;
  }
  for (const auto& [record, applied] : found.data) with_data.insert(record.range);
  for (const auto& [key, log] : logs) {
    const std::optional<ReplicaId> dead = tombstone(key.range);
    if (dead && *dead >= key.replica) continue;
    if (log->log.base.index == 0 || with_data.contains(key.range)) continue;
    const Result<Birth> birth = decode_birth(log->log.meta);
    if (!birth.ok()) return Error{name(key) + " has a log but no data, and was born of no split"};
    embryos_[key.range] = {*log, *birth};
  }
  for (const auto& [record, applied] : found.data) {
    const auto log = logs.find(key(record.range, record.replica));
    const Status status = start_data(record, applied, log == logs.end() ? nullptr : log->second);
    if (!status.ok()) return status;
  }
  for (const auto& [key, log] : logs) {
    if (Status status = start_log(*log); !status.ok()) return status;
  }
  return {};
}

Status StoreHost::start_data(const store::ReplicaRecord& record, const store::Applied& applied,
                             const HostStart::Log* found) {
  const store::ReplicaKey who = key(record.range, record.replica);
  const std::optional<ReplicaId> dead = tombstone(record.range);
  if (dead && *dead >= record.replica) {
    store::DataBatch batch;
    batch.destroy(record);
    pending_.data.push_back(std::move(batch));
    return {};
  }
  Result<Descriptor> descriptor = decode_descriptor(record.config);
  if (!descriptor.ok()) return descriptor.error();
  RangeStart start;
  start.key = who;
  if (found != nullptr) {
    start.hard_state = found->log.hard_state;
    start.log = log_of(*found);
  }
  if (applied.index < start.log.first_index() - 1) {
    return Error{name(who) + ": its data is at entry " + std::to_string(applied.index) +
                 ", its log begins behind " + std::to_string(start.log.first_index() - 1)};
  }
  if (start.log.term(applied.index) != applied.term) {
    // The data was flushed and the log had not followed yet: it begins anew there.
    start.log.reset(applied.index, applied.term);
    if (start.hard_state.term < applied.term) start.hard_state = {applied.term, {}, applied.index};
    store::ReplicaWrite write;
    write.who = who;
    write.restart_at = {applied.index, applied.term};
    write.hard_state = start.hard_state;
    pending_.log.replicas.push_back(std::move(write));
  }
  start.replay_to = replay_floor(who);
  if (start.replay_to > start.log.last_index()) {
    return Error{name(who) + ": its log lacks the split that a child on this store came from"};
  }
  start.hard_state.commit = std::min(
      std::max({start.hard_state.commit, start.replay_to, applied.index}), start.log.last_index());
  start.state = RangeStart::State{record, applied, std::move(*descriptor)};
  add(std::move(start));
  return {};
}

/// Logs without data: what is left of the dead, and replicas that never got a snapshot.
Status StoreHost::start_log(const HostStart::Log& found) {
  const std::optional<ReplicaId> dead = tombstone(found.key.range);
  if (dead && *dead >= found.key.replica) {
    store::ReplicaWrite write;
    write.who = found.key;
    write.remove = true;
    pending_.log.replicas.push_back(std::move(write));
    return {};
  }
  if (found.log.base.index > 0 || ranges_.contains(found.key.range)) return {};
  RangeStart start;
  start.key = found.key;
  start.hard_state = found.log.hard_state;
  start.hard_state.commit = 0;
  add(std::move(start));
  return {};
}

}  // namespace skald::range
