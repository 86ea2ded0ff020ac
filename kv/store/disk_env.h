// The LevelDB Env of one database: own background thread, complete reads, durable names.
//
// LevelDB's default Env shares one background thread among all databases of a process, takes a
// short read for the end of a file (LevelDB #1285), creates 0644 files, loses the error of a failed
// write, and leaves a new file's name unsynced. This one does none of that: a file that has failed
// stays failed; the first sync of a new file, and each rename, also sync the directory.
//
// With `discard_logs` the write-ahead log goes nowhere: what is on disk is the last flushed
// memtable (design.md section 6).
//
// Owned by one Database, and must outlive its leveldb::DB.
#pragma once

#include <memory>

#include "config/base/result.h"
#include "kv/store/file_system.h"

namespace leveldb {
class Env;
}

namespace skald::store {

struct DiskEnvOptions {
  bool discard_logs = false;
  /// Tests: background work waits for `settle`, so that a run is the same each time.
  bool hold_background = false;
};

class DiskEnv {
 public:
  DiskEnv(FileSystem& files, DiskEnvOptions options);
  ~DiskEnv();
  DiskEnv(const DiskEnv&) = delete;
  DiskEnv& operator=(const DiskEnv&) = delete;

  leveldb::Env& env();

  /// Ok, or why the names in the directory can no longer be trusted: to be checked after
  /// leveldb::DB::Open, and after each flush.
  Status status() const;

  /// While one lives, no background work begins: made before leveldb::DB::Open, it keeps the tables
  /// as they were found. To be gone before anything waits for such work.
  class Hold {
   public:
    explicit Hold(DiskEnv& env);
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    DiskEnv& env_;
  };
  /// While one lives, held background work may run: around each call that waits for it.
  class Release {
   public:
    explicit Release(DiskEnv& env);
    ~Release();
    Release(const Release&) = delete;
    Release& operator=(const Release&) = delete;

   private:
    DiskEnv& env_;
  };
  /// Runs held background work to its end. Without `hold_background` does nothing.
  void settle();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skald::store
