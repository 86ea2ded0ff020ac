// The log store on LevelDB (log_store.h holds the contract).
//
// Each group commit is one synced WriteBatch that also carries its own number. Truncated entries
// are only *marked* gone (the base record moves) and are deleted later, some with each following
// commit, so that a truncation never makes a huge batch; the database remembers how far deletion
// has got, so that no read ever starts before that and walks over tombstones.
#pragma once

#include <memory>

#include "kv/store/file_system.h"
#include "kv/store/log_store.h"

namespace skald::store {

struct DiskLogOptions {
  /// The database's directory; the last-synced file lies beside it, with ".synced" appended.
  std::string path;
  bool must_exist = false;
  std::size_t write_buffer_bytes = 64 << 20;
  /// Commits between two writes of the last-synced file: at most so many lost at the end of the
  /// log can go unnoticed. Each write of it costs one more sync.
  std::uint64_t note_every = 256;
  /// Truncated entries deleted with each commit.
  std::uint64_t deletes_per_commit = 512;
  bool verify_tables = true;
  bool hold_background = false;
};

Result<std::unique_ptr<LogStore>> open_disk_log(FileSystem& files, DiskLogOptions options);

}  // namespace skald::store
