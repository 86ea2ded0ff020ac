#include "kv/store/log_types.h"

#include "config/base/assert.h"

namespace skald::store {

ReplicaLog log_after(ReplicaLog log, const ReplicaWrite& write) {
  if (write.restart_at.has_value()) {
    SKALD_ASSERT(write.restart_at->index >= log.base.index);
    log.base = *write.restart_at;
    log.last_index = log.base.index;
  }
  if (!write.entries.empty()) {
    std::uint64_t expected = write.entries.front().index;
    SKALD_ASSERT(expected > log.base.index);
    SKALD_ASSERT(expected <= log.last_index + 1);
    for (const LogEntry& entry : write.entries) SKALD_ASSERT(entry.index == expected++);
    log.last_index = expected - 1;
  }
  if (write.truncate_to.has_value()) {
    SKALD_ASSERT(write.truncate_to->index >= log.base.index);
    SKALD_ASSERT(write.truncate_to->index <= log.last_index);
    log.base = *write.truncate_to;
  }
  if (write.hard_state.has_value()) log.hard_state = *write.hard_state;
  if (write.meta.has_value()) log.meta = *write.meta;
  return log;
}

}  // namespace skald::store
