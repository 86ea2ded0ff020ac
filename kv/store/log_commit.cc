#include "kv/store/log_commit.h"

#include <leveldb/write_batch.h>

#include <algorithm>

#include "config/base/assert.h"

namespace skald::store {

using log_codec::Garbage;
using log_codec::Tag;

CommitBuilder::CommitBuilder(const StoredLogs& logs, const Graves& graves)
    : logs_(logs), graves_(graves), batch_(std::make_unique<leveldb::WriteBatch>()) {}

CommitBuilder::~CommitBuilder() = default;

leveldb::WriteBatch& CommitBuilder::finish(std::uint64_t sequence) {
  batch_->Put(log_codec::tag_prefix(Tag::kSequence), log_codec::encode_sequence(sequence));
  return *batch_;
}

StoredLog CommitBuilder::now(const ReplicaKey& who) const {
  const auto changed = changed_.find(who);
  if (changed != changed_.end()) return changed->second.value_or(StoredLog{});
  const auto found = logs_.find(who);
  return found == logs_.end() ? StoredLog{} : found->second;
}

void CommitBuilder::put_base(const ReplicaKey& who, const StoredLog& log) {
  batch_->Put(log_codec::replica_key(Tag::kBase, who),
              log_codec::encode_base({log.log.base, log.deleted_to}));
}

void CommitBuilder::add(const ReplicaWrite& write) {
  const ReplicaKey& who = write.who;
  SKALD_ASSERT(!changed_.contains(who));
  if (write.remove) return remove(who);
  const bool fresh = !logs_.contains(who);
  const StoredLog old = now(who);
  StoredLog log = old;
  log.log = log_after(old.log, write);
  std::uint64_t cut_from = old.log.last_index + 1;  // entries from here to old last are replaced
  if (write.restart_at.has_value()) {
    // Behind the new base the old suffix must go now; what lies before it can wait.
    cut_from = write.restart_at->index + 1;
    bury(who, {old.deleted_to, std::min(old.log.last_index + 1, cut_from)});
    log.deleted_to = cut_from;
  }
  if (!write.entries.empty()) cut_from = std::min(cut_from, write.entries.front().index);
  const std::uint64_t keep_to = write.entries.empty() ? 0 : write.entries.back().index;
  for (std::uint64_t index = std::max(cut_from, keep_to + 1); index <= old.log.last_index;
       ++index) {
    batch_->Delete(log_codec::entry_key(who, index));
  }
  for (const LogEntry& entry : write.entries) {
    batch_->Put(log_codec::entry_key(who, entry.index), log_codec::encode_entry(entry));
  }
  entries_ += write.entries.size();
  if (fresh || log.log.base != old.log.base || log.deleted_to != old.deleted_to) {
    put_base(who, log);
  }
  if (write.hard_state.has_value()) {
    batch_->Put(log_codec::replica_key(Tag::kHardState, who),
                log_codec::encode_hard_state(*write.hard_state));
  }
  if (write.meta.has_value()) batch_->Put(log_codec::replica_key(Tag::kMeta, who), *write.meta);
  changed_.emplace(who, std::move(log));
}

void CommitBuilder::remove(const ReplicaKey& who) {
  const auto found = logs_.find(who);
  if (found == logs_.end()) return;
  for (const Tag tag : {Tag::kBase, Tag::kHardState, Tag::kMeta}) {
    batch_->Delete(log_codec::replica_key(tag, who));
  }
  bury(who, {found->second.deleted_to, found->second.log.last_index + 1});
  changed_.emplace(who, std::nullopt);
}

void CommitBuilder::bury(const ReplicaKey& who, const Garbage& garbage) {
  if (garbage.empty()) return;
  batch_->Put(log_codec::garbage_key(who, garbage.next), log_codec::encode_garbage(garbage));
  changed_graves_[{who, garbage.next}] = garbage;
}

void CommitBuilder::add(const RecordWrite& write) {
  const std::string key = log_codec::record_key(write.store, write.key);
  if (write.value.has_value()) {
    batch_->Put(key, *write.value);
  } else {
    batch_->Delete(key);
  }
}

void CommitBuilder::delete_some(const ReplicaKey& who, Garbage& garbage, std::uint64_t& budget) {
  for (; !garbage.empty() && budget > 0; --budget) {
    batch_->Delete(log_codec::entry_key(who, garbage.next++));
    ++deleted_;
  }
}

void CommitBuilder::delete_garbage(std::uint64_t budget) {
  for (const auto& [name, grave] : graves_) {
    if (budget == 0) return;
    Garbage left = grave;
    delete_some(name.first, left, budget);
    const std::string key = log_codec::garbage_key(name.first, name.second);
    if (left.empty()) {
      batch_->Delete(key);
    } else {
      batch_->Put(key, log_codec::encode_garbage(left));
    }
    changed_graves_[name] = left;
  }
  for (const auto& [who, log] : logs_) {
    if (budget == 0) return;
    const auto changed = changed_.find(who);
    if (changed != changed_.end() && !changed->second.has_value()) continue;
    StoredLog next = now(who);
    Garbage garbage = next.garbage();  // with what this very commit truncates
    if (garbage.empty()) continue;
    delete_some(who, garbage, budget);
    next.deleted_to = garbage.next;
    put_base(who, next);
    changed_[who] = std::move(next);
  }
}

}  // namespace skald::store
