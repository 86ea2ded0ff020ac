// Unsafe recovery: the quorum of a range is lost for good, and an operator names the replica that
// goes on. Never called by the store itself.
#include "kv/range/store_host.h"

namespace skald::range {

/// The replica appends a configuration with itself as the only voter, in a new term and a new
/// generation, and restarts. What only the lost replicas had is gone; what this one has, committed
/// or not, becomes committed. Replicas of the old generation are refused when they come back.
Status StoreHost::recover(RangeId id) {
  Range* range = find(id);
  if (range == nullptr || !range->initialised() || range->is_installing() || !range->replayed()) {
    return Error{"range " + std::to_string(id.value) + " has no whole replica on this store"};
  }
  const raft::MemoryLog& log = range->durable_log();
  const ReplicaId self = range->id();
  RangeStart start;
  start.key = range->key();
  start.hard_state = {range->raft().term() + 1, {}, range->applier().applied().index};
  start.log = log;
  start.state =
      RangeStart::State{range->applier().record(), range->applier().applied(), range->descriptor()};
  ConfigContext context;
  context.stores = {{self, store()}};
  context.recovery = true;
  raft::ConfigEntry config{{{self}, {}, {}}, encode(context)};
  const raft::Entry entry{start.hard_state.term, log.last_index() + 1, raft::EntryKind::kConfig,
                          raft::make_payload(raft::encode(config))};
  start.log.append({entry});
  store::ReplicaWrite write;
  write.who = start.key;
  write.entries.push_back(
      {entry.index, entry.term, static_cast<std::uint8_t>(entry.kind), *entry.data});
  write.hard_state = start.hard_state;
  births_.push_back(std::move(write));
  pending_.serve.push_back({id, 0});
  add(std::move(start)).campaign();
  return {};
}

}  // namespace skald::range
