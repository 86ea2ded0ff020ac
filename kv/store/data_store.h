// The applied state of all replicas of one store, in one engine (engine.h): LevelDB or its twin.
//
// The apply thread of the store owns it. Calls block.
//
// Invariants: a DataBatch is made whole or not at all, over all its ranges. After a crash the data
// is that behind some batch, with the applied indexes of that moment, and not older than the last
// flush: the caller replays the Raft log from there. The Raft log may be truncated only up to
// `flushed`. After a failed write or flush every call fails with the same reason until `reopen`;
// what was not flushed is then gone and must be replayed.
//
// Threads: any, at the same time, but for `reopen` and destruction.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "config/base/result.h"
#include "kv/store/catalog.h"
#include "kv/store/data_types.h"
#include "kv/store/engine.h"

namespace skald::store {

/// Walks logical keys in order over extents; at the first key when made. See EngineCursor.
class DataCursor {
 public:
  DataCursor(std::unique_ptr<EngineCursor> cursor, Extents extents);

  /// To the first key >= `key` inside the extents.
  void seek(std::string_view key);
  /// Requires: valid().
  void next();
  bool valid() const { return valid_; }
  /// Requires: valid(). Good until the next call.
  std::string_view key() const { return cursor_->key().substr(sizeof(Space)); }
  std::string_view value() const { return cursor_->value(); }
  /// To be checked when `valid` turns false.
  Status status() const { return cursor_->status(); }

 private:
  void settle();

  std::unique_ptr<EngineCursor> cursor_;
  Extents extents_;
  std::size_t extent_ = 0;
  std::string end_;  // physical, of the extent it is in
  bool valid_ = false;
};

struct KeyValue {
  std::string key;
  std::string value;

  bool operator==(const KeyValue&) const = default;
};

/// One replica's data as it was at one applied index, to be read in pieces.
///
/// Ends when it is destroyed, when its deadline has passed (`DataStore::expire_snapshots`) or when
/// the store is reopened; reading it then fails, and the reader starts over with a new one.
class DataSnapshot {
 public:
  DataSnapshot(Engine& engine, ReplicaRecord record, Applied applied, std::uint64_t deadline_ms);

  const ReplicaRecord& record() const { return record_; }
  const Applied& applied() const { return applied_; }

  enum class Part : std::uint8_t { kLocal, kData };
  struct Chunk {
    std::vector<KeyValue> items;
    std::optional<std::string> next;  // where to go on; none at the end
  };
  /// Keys from `from` on until their size exceeds `max_bytes`; at least one unless at the end.
  Result<Chunk> read(Part part, std::string_view from, std::uint64_t max_bytes);

 private:
  friend class DataStore;
  void end();

  Engine& engine_;
  const ReplicaRecord record_;
  const Applied applied_;
  const std::uint64_t deadline_ms_;
  std::mutex mutex_;
  std::shared_ptr<EngineSnapshot> snapshot_;  // null once ended
};

struct DataCounters {
  std::uint64_t batches = 0;
  std::uint64_t writes = 0;
  std::uint64_t flushes = 0;
  std::uint64_t garbage_intervals = 0;
  std::uint64_t garbage_keys_deleted = 0;
};

class DataStore {
 public:
  /// Reads the engine's records.
  static Result<std::unique_ptr<DataStore>> open(std::unique_ptr<Engine> engine);
  DataStore(const DataStore&) = delete;
  DataStore& operator=(const DataStore&) = delete;

  Status write(const DataBatch& batch);
  Result<std::optional<std::string>> get(Space space, std::string_view key);
  Result<DataCursor> iterate(const Extents& extents);

  std::vector<ReplicaRecord> replicas() const;
  std::optional<ReplicaRecord> replica(RangeId range) const;
  /// In memory, and surely on disk. None: no such replica (or none on disk).
  std::optional<Applied> applied(RangeId range) const;
  std::optional<Applied> flushed(RangeId range) const;

  /// All that was written before is on disk. Takes tens of milliseconds, or nothing if nothing was
  /// written since the last; writes go on meanwhile.
  Status flush();

  /// A space for a snapshot to be installed into. Until a written replica record names it, a
  /// restart turns it into garbage.
  Space allocate_space();
  Status abandon_space(Space space);

  /// None if there is no such replica. `deadline_ms` is of the caller's clock.
  Result<std::shared_ptr<DataSnapshot>> snapshot(RangeId range, std::uint64_t deadline_ms);
  /// Ends the snapshots whose deadline is before `now_ms`; says how many.
  std::uint64_t expire_snapshots(std::uint64_t now_ms);

  std::uint64_t memory_bytes() { return engine_->memory_bytes(); }
  /// Roughly, on disk; what is not yet flushed may be left out.
  std::uint64_t approximate_bytes(const Extents& extents);
  /// A key that has about half of the bytes below it, with keys on both sides; none if there is
  /// no such key. Where a split may really fall is the state machine's to say.
  Result<std::optional<std::string>> split_key(const Extents& extents);

  struct GarbageStep {
    bool more = false;
    std::optional<Garbage> emptied;  // worth a `compact`, when it held much
  };
  /// Deletes up to `max_keys` of what nobody needs.
  Result<GarbageStep> collect_garbage(std::uint64_t max_keys);
  /// Gives disk space of deleted keys back. Blocks for long: not on the apply thread.
  Status compact(Space space, const Interval& interval);

  Status status() const { return engine_->status(); }
  /// Ends all snapshots, reopens the engine and reads its records.
  Status reopen();
  DataCounters counters() const;

 private:
  explicit DataStore(std::unique_ptr<Engine> engine);
  Status load();
  Status commit(std::vector<EngineWrite> writes);
  Result<std::optional<std::string>> split_by_scan(const Extents& extents);
  Result<std::optional<std::string>> split_by_size(const Extents& extents, std::uint64_t total);

  const std::unique_ptr<Engine> engine_;
  std::mutex order_;  // held over a write, so that catalog and engine change in the same order
  mutable std::mutex mutex_;  // guards what follows; taken after `order_`
  Catalog catalog_;
  std::map<RangeId, std::pair<ReplicaId, Applied>> flushed_;
  std::uint64_t flushed_batches_ = 0;
  std::vector<std::weak_ptr<DataSnapshot>> snapshots_;
  DataCounters counters_;
};

}  // namespace skald::store
