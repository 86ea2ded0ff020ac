// The data directory of a node: its format, its identity, its lock and its databases.
//
//   LOCK              held while a process uses the directory
//   FORMAT            the directory's version, and which databases were made in it
//   NODE              who the node is
//   log/              the Raft log of all ranges (disk_log_store.h), with log.synced beside it
//   stores/<name>/    the data of one store (data_store.h)
//
// A directory of a later release, one that lost a file, and one whose data is damaged are refused,
// in words that name the file and what can be done.
//
// Owned by the node; must outlive the stores it opens.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "config/base/ids.h"
#include "config/base/result.h"
#include "kv/store/data_store.h"
#include "kv/store/disk_engine.h"
#include "kv/store/disk_log_store.h"
#include "kv/store/file_system.h"

namespace skald::store {

class DataDirectory {
 public:
  /// Makes the directory (not its parents) and its identity on the first start. `fresh` is the
  /// identity that a new directory gets.
  static Result<std::unique_ptr<DataDirectory>> open(FileSystem& files, std::string path,
                                                     NodeId fresh);
  ~DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  NodeId node() const { return node_; }

  /// `path` and `must_exist` of the options are set here.
  Result<std::unique_ptr<LogStore>> open_log(DiskLogOptions options);
  /// `name`: small letters, digits, '-' and '_'.
  Result<std::unique_ptr<DataStore>> open_store(const std::string& name, DiskEngineOptions options);

 private:
  DataDirectory(FileSystem& files, std::string path);
  Status take_lock();
  Status read_format();
  Status read_node(NodeId fresh);
  /// Records that a database was made, so that its absence is noticed from then on.
  Status remember(const std::string& database);
  Status write_format();

  FileSystem& files_;
  const std::string path_;
  int lock_ = -1;
  NodeId node_;
  std::set<std::string> databases_;
};

}  // namespace skald::store
