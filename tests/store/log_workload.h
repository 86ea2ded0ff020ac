// Random group commits for log stores, and a log store's whole state to compare.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/base/random.h"
#include "kv/store/log_store.h"

namespace skald::store {

/// Everything a log store holds.
struct LogDump {
  LogContents contents;
  std::vector<std::vector<LogEntry>> entries;  // of each replica

  bool operator==(const LogDump&) const = default;
};

Result<LogDump> dump(LogStore& log);

/// Makes WriteSets that fit a store's state: appends, conflicts, truncations, snapshots, removals,
/// records, over a few replicas of two stores.
class LogWorkload {
 public:
  LogWorkload(std::uint64_t seed, std::size_t data_bytes_max)
      : random_(seed), data_bytes_max_(data_bytes_max) {}

  WriteSet next(const LogContents& now);

 private:
  ReplicaWrite replica_write(const ReplicaKey& who, const ReplicaLog& log);
  std::string data();

  Random random_;
  const std::size_t data_bytes_max_;
  std::map<std::pair<StoreNumber, RangeId>, std::uint64_t> removed_;  // ids are never reused
};

}  // namespace skald::store
