// What a log store keeps for each replica, and one group commit's worth of changes to it.
//
// Plain values, shared by the LevelDB engine, its memory twin and their callers. Indexes and terms
// are Raft's: entries have indexes from 1, `LogBase{0, 0}` is the empty log's base.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/base/ids.h"

namespace skald::store {

/// Which of a node's stores (meta, dist, inbox, retain ...): a number of the data directory, given
/// by the caller and never changed.
using StoreNumber = std::uint8_t;

/// One replica on this node. A replica id is never reused, so neither is this.
struct ReplicaKey {
  StoreNumber store = 0;
  RangeId range;
  ReplicaId replica;

  auto operator<=>(const ReplicaKey&) const = default;
};

/// Raft's persistent state besides the log (Raft figure 2); `commit` only speeds up a restart.
struct HardState {
  std::uint64_t term = 0;
  ReplicaId vote;
  std::uint64_t commit = 0;

  bool operator==(const HardState&) const = default;
};

struct LogEntry {
  std::uint64_t index = 0;
  std::uint64_t term = 0;
  std::uint8_t kind = 0;  // the caller's: command, configuration, no-op
  std::string data;

  bool operator==(const LogEntry&) const = default;
};

/// Where a log begins: entries up to and with `index` are in the data store or a snapshot.
struct LogBase {
  std::uint64_t index = 0;
  std::uint64_t term = 0;

  bool operator==(const LogBase&) const = default;
};

/// A replica as the log store knows it. Entries base.index + 1 .. last_index are there.
struct ReplicaLog {
  HardState hard_state;
  LogBase base;
  std::uint64_t last_index = 0;
  std::string meta;  // the caller's record: configuration, identity; empty until written

  bool operator==(const ReplicaLog&) const = default;
};

/// Changes to one replica, carried out in the order of the fields.
struct ReplicaWrite {
  ReplicaKey who;
  /// Snapshot installed: every entry goes, the log begins anew behind this.
  std::optional<LogBase> restart_at;
  /// Contiguous, first one in base.index + 1 .. last_index + 1. What the log holds from the first
  /// one's index on is replaced (Raft 5.3): conflicting suffix and new entries are one atomic
  /// change.
  std::vector<LogEntry> entries;
  /// Entries up to and with this index go. Requires: base.index <= index <= last_index, and the
  /// data store has *flushed* what they did.
  std::optional<LogBase> truncate_to;
  std::optional<HardState> hard_state;
  std::optional<std::string> meta;
  /// The replica and its log go; other fields must be empty. Tombstones are records.
  bool remove = false;
};

/// A small record of a store that belongs to no log: tombstones, genesis, the store's own state.
struct RecordWrite {
  StoreNumber store = 0;
  std::string key;
  std::optional<std::string> value;  // none deletes it
};

/// One group commit: ready work of many replicas of many stores, durable together or not at all.
/// At most one ReplicaWrite for each replica.
struct WriteSet {
  std::vector<ReplicaWrite> replicas;
  std::vector<RecordWrite> records;

  bool empty() const { return replicas.empty() && records.empty(); }
};

struct StoreRecord {
  StoreNumber store = 0;
  std::string key;
  std::string value;

  bool operator==(const StoreRecord&) const = default;
};

/// All that a log store holds but the entries, in order of keys.
struct LogContents {
  std::vector<std::pair<ReplicaKey, ReplicaLog>> replicas;
  std::vector<StoreRecord> records;

  bool operator==(const LogContents&) const = default;
};

/// What `log` is after `write`; asserts every "Requires" above. `write.remove` is the caller's.
ReplicaLog log_after(ReplicaLog log, const ReplicaWrite& write);

}  // namespace skald::store
