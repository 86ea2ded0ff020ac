// A file beside the log database that names a group commit which was synced, so that a tail of
// acknowledged commits that has vanished (a deleted, cut or rolled-back file) is noticed.
//
// Its own records are appended and synced now and then, not with each commit: it names a commit
// that was durable, perhaps not the last one.
#pragma once

#include "config/base/result.h"
#include "kv/store/file_system.h"

namespace skald::store {

class LastSynced {
 public:
  LastSynced(FileSystem& files, std::string path);
  ~LastSynced();
  LastSynced(const LastSynced&) = delete;
  LastSynced& operator=(const LastSynced&) = delete;

  /// The highest number ever noted. An Error if the file is missing or damaged.
  Result<std::uint64_t> read() const;
  /// Begins the file anew with one number.
  Status start(std::uint64_t sequence);
  /// Durable when it returns. Requires: `start` was ok.
  Status note(std::uint64_t sequence);

  std::uint64_t noted() const { return noted_; }

 private:
  void close();

  FileSystem& files_;
  const std::string path_;
  std::size_t bytes_ = 0;
  int file_ = -1;
  std::uint64_t noted_ = 0;
};

}  // namespace skald::store
