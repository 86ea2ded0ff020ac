// The Raft log of a whole data directory: all ranges of all stores in one engine, one synced write
// for each group commit.
//
// The disk thread owns it: it collects the ready work of many ranges into one WriteSet, appends it,
// and only then may anything that the work promised be sent or acked. Calls block.
//
// Invariants: a WriteSet is durable whole or not at all. After a failed call the engine is
// poisoned: every later call but `reopen` fails with the same reason, and whether the failed
// WriteSet survived is unknown until `recover` has been read again.
//
// Threads: `append`, `collect_garbage`, `note_idle` from one thread at a time, `entries`,
// `compact`, `status` and `counters` from any; `reopen` and destruction when no other call is
// running.
#pragma once

#include "config/base/result.h"
#include "kv/store/log_types.h"

namespace skald::store {

struct LogCounters {
  std::uint64_t commits = 0;  // synced writes
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;            // handed to the engine
  std::uint64_t garbage_entries = 0;  // truncated but not yet deleted
  std::uint64_t deleted_entries = 0;  // since the start; their space needs a `compact`
};

class LogStore {
 public:
  virtual ~LogStore() = default;

  /// Durable when it returns ok. An empty set does nothing.
  virtual Status append(const WriteSet& set) = 0;

  /// Everything but the entries: at the start, and after `reopen`.
  virtual Result<LogContents> recover() = 0;

  /// Entries from, from + 1, ... below `to`, until their data exceeds `max_bytes`; at least one.
  /// Requires: base.index < from < to <= last_index + 1. Fewer come back, possibly none, when a
  /// concurrent append cuts them off.
  virtual Result<std::vector<LogEntry>> entries(const ReplicaKey& who, std::uint64_t from,
                                                std::uint64_t to, std::uint64_t max_bytes) = 0;

  /// Deletes up to about `max_entries` truncated entries. Each append also deletes some.
  virtual Status collect_garbage(std::uint64_t max_entries) = 0;
  /// Gives the disk space of deleted entries back. Blocks for long; appends go on meanwhile.
  virtual Status compact() = 0;

  /// To be called when there has been nothing to append for a moment: makes the loss of what was
  /// appended last noticeable at the next start.
  virtual Status note_idle() = 0;

  /// Ok, or why the engine is poisoned.
  virtual Status status() const = 0;
  /// Closes, opens and recovers the engine. On failure it stays poisoned, with the new reason.
  virtual Status reopen() = 0;

  virtual LogCounters counters() const = 0;

  /// What is held in memory, and on disk, roughly. From the thread that appends.
  struct Size {
    std::uint64_t memory_bytes = 0;
    std::uint64_t disk_bytes = 0;
  };
  virtual Size size() = 0;
};

}  // namespace skald::store
