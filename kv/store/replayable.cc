#include "kv/store/replayable.h"

#include "kv/store/database.h"

namespace skald::store {

Status check_replayable(const ReplicaKey& who, const std::string& store_name, const ReplicaLog& log,
                        const std::optional<Applied>& data) {
  const std::uint64_t applied = data.value_or(Applied{}).index;
  if (applied >= log.base.index) return {};
  return Error{"stores/" + store_name + ": the data of range " + std::to_string(who.range.value) +
               " is at log index " + std::to_string(applied) + ", but the log begins after " +
               std::to_string(log.base.index) +
               ": data that had been flushed is missing or was replaced by an older copy. " +
               kDamageChoices};
}

}  // namespace skald::store
