#include "kv/raft/config_history.h"

#include <algorithm>
#include <utility>

#include "config/base/assert.h"

namespace skald::raft {

bool ConfigHistory::may_vote(ReplicaId id) const {
  return std::any_of(records_.begin(), records_.end(),
                     [id](const Record& record) { return record.config.is_voter(id); });
}

void ConfigHistory::append(Index index, Config config) {
  SKALD_ASSERT(index > records_.back().index);
  records_.push_back({index, std::move(config)});
}

void ConfigHistory::truncate_from(Index index) {
  while (records_.back().index >= index) {
    SKALD_ASSERT(records_.size() > 1);
    records_.pop_back();
  }
}

void ConfigHistory::prune(Index commit) {
  while (records_.size() > 1 && records_[1].index <= commit) records_.erase(records_.begin());
}

void ConfigHistory::reset(Index index, Config config) {
  records_.assign(1, Record{index, std::move(config)});
}

}  // namespace skald::raft
