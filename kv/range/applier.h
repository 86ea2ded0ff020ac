// The replicated state of a range and how committed entries change it.
//
// Deterministic: equal entries lead every replica to equal descriptors, lanes, stamps, machine
// writes and replies. Owned by one Range; could run on an apply thread of its own.
//
// Invariant: everything that an entry changes is in the one DataBatch that moves the applied index
// past it. After a crash the data is behind some such batch and the log is applied again from
// there.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kv/raft/types.h"
#include "kv/range/command.h"
#include "kv/range/lanes.h"
#include "kv/range/machine.h"
#include "kv/range/reply.h"
#include "kv/store/data_types.h"

namespace skald::range {

/// The child that a split makes. Whether this store still wants its replica is the host's to say.
struct SplitOff {
  Descriptor child;
  store::Extents extents;
  std::vector<std::pair<std::string, std::string>> local;  ///< records of the child's local space
  raft::Index index = 0;                                   ///< of the split in the parent's log
};

struct ApplyResult {
  struct Answer {
    raft::Index index = 0;
    raft::Term term = 0;
    Reply reply;
  };
  struct Effect {
    raft::Index index = 0;
    EffectScope scope = EffectScope::every_replica;
    std::string bytes;
  };
  store::DataBatch batch;
  std::vector<Answer> answers;
  std::vector<Effect> effects;
  std::optional<SplitOff> split;  ///< then it is of the last entry in the batch
  bool descriptor_changed = false;
  bool visible = false;         ///< what matches see may have changed
  std::size_t entries = 0;      ///< of those given, how many were applied
  std::optional<Error> halted;  ///< the entry after them cannot be understood
};

class Applier {
 public:
  /// `applied` and `record` as the data store has them; lanes and stamp follow by load_local(), the
  /// machine's records by its rebuild.
  Applier(std::unique_ptr<Machine> machine, store::ReplicaRecord record, store::Applied applied,
          Descriptor descriptor);

  /// One record of the replica's local space.
  Status load_local(std::string_view key, std::string_view value);

  /// Applies `entries` in order, to the end or up to and with a split. Requires: they follow
  /// applied().
  ApplyResult apply(const std::vector<raft::Entry>& entries);

  const Descriptor& descriptor() const { return descriptor_; }
  const store::ReplicaRecord& record() const { return record_; }
  const store::Applied& applied() const { return applied_; }
  std::uint64_t stamp_us() const { return stamp_us_; }
  const Lanes& lanes() const { return lanes_; }
  Machine& machine() { return *machine_; }
  const Machine& machine() const { return *machine_; }

 private:
  Status apply_one(const raft::Entry& entry, ApplyResult& result);
  Status apply_config(const raft::Entry& entry, ApplyResult& result);
  Status apply_user(const ApplyContext& context, const UserCommand& command, ApplyResult& result);
  Status apply_end_life(const ApplyContext& context, const EndLifeCommand& command,
                        ApplyResult& result);
  void apply_retire(const raft::Entry& entry, const RetireCommand& command, ApplyResult& result);
  Status apply_split(const raft::Entry& entry, const SplitCommand& command, ApplyResult& result);
  Status run_machine(const ApplyContext& context, std::string_view bytes, ApplyResult& result,
                     std::string& reply);
  Reply stale() const;
  void finish(ApplyResult& result);

  std::unique_ptr<Machine> machine_;
  store::ReplicaRecord record_;
  store::Applied applied_;
  Descriptor descriptor_;
  std::optional<Descriptor> last_child_;  ///< of this process's last split, for stale requests
  std::map<ReplicaId, StoreId> stores_;
  Lanes lanes_;
  std::uint64_t stamp_us_ = 0;
  bool stamp_changed_ = false;
};

}  // namespace skald::range
