// The disk thread of a data directory: group commit over all ranges of all stores.
//
// Store actors submit what must be synced; the thread takes everything that waits, makes it one
// WriteSet and one synced write, and tells each submitter with LogSynced. While it syncs, more
// gathers: the busier the node, the more acks share a sync.
//
// A write that fails (a full or broken disk) poisons the log store. The thread then reopens it and
// writes the same again, once a second, until that works: nothing is reported in between, so
// nothing is acked, and proposals are refused as overloaded once enough waits. Entries are
// absolute, so writing them twice is the same as once.
//
// Bounds: what waits here is bounded by the ranges' limits of uncommitted bytes (raft/options.h).
#pragma once

#include <atomic>
#include <caf/actor.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "actors/store/background.h"
#include "actors/store/log_figures.h"
#include "kv/range/store_host.h"
#include "kv/store/log_store.h"

namespace skald::actors {

/// What `log` holds of one store: what a StoreHost starts from, but for its data.
Result<range::HostStart> read_log(store::LogStore& log, store::StoreNumber number);

class LogWriter {
 public:
  /// `background` gives disk space back, now and then; it stops before this.
  LogWriter(std::unique_ptr<store::LogStore> log, Background& background, LogFigures& figures);
  ~LogWriter() { stop(); }
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  void start();
  /// Writes what waits, unless the disk refuses it, and ends the thread.
  void stop();

  /// Any thread. `who` gets LogSynced{commit} once `set` is synced, in order of submission.
  void submit(store::WriteSet set, std::uint64_t commit, caf::actor who);
  /// Any thread. `who` gets LogContents{...} of its store as it is behind all that was submitted.
  void read(store::StoreNumber number, caf::actor who);

  store::LogStore& log() { return *log_; }
  /// True while the disk refuses writes.
  bool failing() const { return failing_; }

 private:
  struct Job {
    store::WriteSet set;
    std::uint64_t commit = 0;
    caf::actor who;
    bool read = false;
    store::StoreNumber number = 0;
  };

  void run();
  Status append(const store::WriteSet& set);
  void measure();
  bool write_until_done(const store::WriteSet& set);
  void finish(const std::deque<Job>& done);
  void idle();
  void maybe_compact(bool idle);

  const std::unique_ptr<store::LogStore> log_;
  Background& background_;
  LogFigures& figures_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> waiting_;  // guarded by mutex_
  bool stopping_ = false;    // guarded by mutex_
  bool compacting_ = false;  // guarded by mutex_: Background is in the log store
  std::atomic<bool> failing_{false};
  // The disk thread's: nothing to do since note_idle(); what was there at the last compaction.
  bool noted_ = true;
  std::uint64_t compacted_bytes_;  // behind, at first: an earlier life may have left much
  std::uint64_t compacted_deletes_ = 0;
  std::chrono::steady_clock::time_point compacted_at_{};
  std::chrono::steady_clock::time_point measured_at_{};
  std::thread thread_;
};

/// Adds `more` to `set` if both may go in one write: at most one ReplicaWrite for each replica.
bool merge(store::WriteSet& set, store::WriteSet& more);

}  // namespace skald::actors
