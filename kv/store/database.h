// One LevelDB with its own Env, its lock and its poison: what both disk engines stand on.
//
// LevelDB may go on after a failed append and drop, at the next recovery, what it acked after it.
// So any failed write, sync or flush poisons the handle: every later call fails with the first
// reason until `open` has closed, reopened and recovered it.
//
// `open` refuses a database with missing or damaged files, in words that name the file and the
// choices (design.md section 6), and cuts a torn tail off the record logs (record_log.h).
//
// Threads: everything but `open`, `close` and destruction may be called from any thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "config/base/result.h"
#include "kv/store/file_system.h"

namespace leveldb {
class Cache;
class DB;
class FilterPolicy;
class Logger;
class Status;
class WriteBatch;
}  // namespace leveldb

namespace skald::store {

class DiskEnv;

struct DatabaseOptions {
  std::string path;
  /// It was made before: not finding it is a loss and not a first start.
  bool must_exist = false;
  /// No write-ahead log (disk_env.h).
  bool discard_logs = false;
  std::size_t write_buffer_bytes = 0;
  std::size_t block_bytes = 0;
  std::size_t cache_bytes = 0;
  std::size_t file_bytes_max = 0;
  int open_files_max = 0;
  bool bloom_filter = false;
  bool compress = false;
  /// Read every table once at the first `open`, so that damage is found before the node votes or
  /// serves. Not again when it is reopened: a full disk is tried every second.
  bool verify_tables = true;
  /// Tests: see DiskEnvOptions.
  bool hold_background = false;
};

/// What an operator can do about a data directory that is refused.
extern const char* const kDamageChoices;

class Database {
 public:
  Database(FileSystem& files, DatabaseOptions options);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Opens, or closes and opens again. Refused while iterators are out (`pins`).
  Status open();

  /// Ok, or the reason of the poison.
  Status usable() const;
  /// Poisons with this reason unless poisoned already; returns the reason that holds.
  Error poison(Error reason);

  /// Requires: usable().
  leveldb::DB& db();

  Status write(leveldb::WriteBatch& batch, bool sync);
  /// All that was written before is on disk, in tables. Concurrent writes are allowed.
  Status flush();
  /// Rewrites tables in the interval without deleted and overwritten records; empty `end`: to the
  /// last key. Blocks for as long as that takes.
  Status compact(std::string_view begin, std::string_view end);
  /// Memtables and the block cache. 0 while it is not usable.
  std::uint64_t memory_bytes();
  /// Runs held background work (tests).
  void settle();

  /// The words for a LevelDB status; for damage, with the names of the damaged files.
  Error explain(std::string_view action, const leveldb::Status& status);

  /// Iterators and snapshots hold a pin; `open` does not pull the database away under them.
  std::shared_ptr<void> pin();

  const std::string& path() const { return options_.path; }

 private:
  Status open_clean();
  void close();
  Status probe();
  /// LevelDB never rewrites tables of the deepest level for themselves, and a memtable goes there
  /// with all that it deletes of its own. So deletions of nothing at both ends of the interval come
  /// to lie above them.
  Status span(std::string_view begin, std::string_view end);
  std::string damaged_tables();

  FileSystem& files_;
  const DatabaseOptions options_;
  std::unique_ptr<leveldb::Logger> no_log_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<DiskEnv> env_;
  std::unique_ptr<leveldb::DB> db_;
  mutable std::mutex mutex_;
  Status status_;
  bool verified_ = false;  // the tables, by an open of this process
  std::atomic<int> pins_ = 0;
};

}  // namespace skald::store
