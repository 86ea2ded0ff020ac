// Turns one WriteSet into one LevelDB batch, and says what the log store's memory is to become once
// that is durable. Used by the disk log store only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "kv/store/log_codec.h"
#include "kv/store/log_types.h"

namespace leveldb {
class WriteBatch;
}

namespace skald::store {

/// A replica in memory: what callers see, and how far deletion has got.
struct StoredLog {
  ReplicaLog log;
  std::uint64_t deleted_to = 1;
  std::uint64_t counted = 0;  // its part of LogCounters::garbage_entries

  log_codec::Garbage garbage() const { return {deleted_to, log.base.index + 1}; }
};

using StoredLogs = std::map<ReplicaKey, StoredLog>;
/// Entries without a log: of a removed replica, or from before a snapshot. By where they started.
using Graves = std::map<std::pair<ReplicaKey, std::uint64_t>, log_codec::Garbage>;

/// Builds the batch of one commit. Changes of memory are kept aside until it is durable.
class CommitBuilder {
 public:
  CommitBuilder(const StoredLogs& logs, const Graves& graves);
  ~CommitBuilder();
  CommitBuilder(const CommitBuilder&) = delete;
  CommitBuilder& operator=(const CommitBuilder&) = delete;

  void add(const ReplicaWrite& write);
  void add(const RecordWrite& write);
  void delete_garbage(std::uint64_t budget);
  /// The batch, with its own number in it.
  leveldb::WriteBatch& finish(std::uint64_t sequence);

  /// None: removed.
  const std::map<ReplicaKey, std::optional<StoredLog>>& changed() const { return changed_; }
  const Graves& changed_graves() const { return changed_graves_; }
  std::uint64_t entries() const { return entries_; }
  std::uint64_t deleted() const { return deleted_; }

 private:
  StoredLog now(const ReplicaKey& who) const;
  void remove(const ReplicaKey& who);
  void bury(const ReplicaKey& who, const log_codec::Garbage& garbage);
  void put_base(const ReplicaKey& who, const StoredLog& log);
  /// Deletes up to `budget` entries of `garbage` and moves its start.
  void delete_some(const ReplicaKey& who, log_codec::Garbage& garbage, std::uint64_t& budget);

  const StoredLogs& logs_;
  const Graves& graves_;
  std::unique_ptr<leveldb::WriteBatch> batch_;
  std::map<ReplicaKey, std::optional<StoredLog>> changed_;
  Graves changed_graves_;
  std::uint64_t entries_ = 0;
  std::uint64_t deleted_ = 0;
};

}  // namespace skald::store
