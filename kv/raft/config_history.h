// Which configuration is in force at each end of the log. Owned by one Raft.
//
// A configuration is in force from its append (Raft 6), so cutting off the log brings back the one
// before. Invariant: never empty; indexes rise; only the first may be at or below the commit index
// once prune() was called.
#pragma once

#include <vector>

#include "kv/raft/types.h"

namespace skald::raft {

class ConfigHistory {
 public:
  struct Record {
    Index index = 0;
    Config config;
  };

  ConfigHistory(Index index, Config config) : records_{{index, std::move(config)}} {}

  /// In force: the last one appended.
  const Record& latest() const { return records_.back(); }
  /// The oldest that may still matter: after prune(), the last committed one.
  const Record& oldest() const { return records_.front(); }
  /// Whether `id` votes in any configuration that is committed last, or appended after it.
  bool may_vote(ReplicaId id) const;

  void append(Index index, Config config);
  /// The log was cut off from `index` on.
  void truncate_from(Index index);
  /// Everything up to `commit` is committed: older configurations are history.
  void prune(Index commit);
  void reset(Index index, Config config);

 private:
  std::vector<Record> records_;
};

}  // namespace skald::raft
