// What must never happen in a Raft group, judged by somebody who sees all disks and all logs.
//
// Owned by the world, told of every Ready before it is carried out, every apply, delivery and tick.
// It repeats no reasoning of the core: quorums are counted here on what the disks hold. The first
// violation ends the run.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/sim/group_node.h"
#include "tests/sim/outcome.h"

namespace skald::sim {

class GroupChecks {
 public:
  using Nodes = std::map<Machine, GroupNode>;

  GroupChecks(const Nodes& nodes, const Scheduler& scheduler, const GroupOptions& options)
      : nodes_(nodes), scheduler_(scheduler), options_(options) {}

  void on_ready(GroupNode& node, const raft::Ready& ready);
  void on_applied(GroupNode& node, const raft::Entry& entry);
  void on_delivered(GroupNode& node, const raft::Message& message);
  void on_tick(GroupNode& node);

  const Violation& violation() const { return violation_; }
  void report(const std::string& checker, const std::string& what);

  /// The last index known to be committed anywhere, and the configuration committed last.
  raft::Index committed() const { return committed_.empty() ? 0 : committed_.rbegin()->first; }
  raft::Term committed_term() const {
    return committed_.empty() ? 0 : committed_.rbegin()->second.term;
  }
  const raft::Config& committed_config() const { return committed_config_; }
  bool was_member(ReplicaId id) const { return members_ever_.contains(id); }
  void first_config(const raft::Config& config) {
    committed_config_ = config;
    for (ReplicaId member : config.members()) members_ever_.insert(member);
  }
  std::uint64_t elections() const { return leaders_.size(); }
  std::uint64_t config_changes() const { return config_changes_; }

 private:
  struct Content {
    raft::Term prev_term;
    std::uint64_t hash;
    bool config;
  };
  struct Commitment {
    raft::Term term;
    raft::Term seen_in;  ///< the term of the replica that first knew
  };
  struct Watch {
    raft::Index checked_commit = 0;  ///< commits up to here were looked at
    raft::Index config_index = 0;
    raft::Config config;                            ///< in force when last looked at
    std::map<ReplicaId, std::uint64_t> heard;       ///< the tick at which a peer was last heard
    std::map<std::uint64_t, std::uint64_t> writes;  ///< number -> tick of issue
    std::uint64_t restarts = 0;
  };

  Watch& watch(GroupNode& node);
  const GroupNode* host(ReplicaId id) const;
  static std::uint64_t key(raft::Index index, raft::Term term) { return (index << 24) ^ term; }

  void check_event(GroupNode& node, const raft::Event& event);
  void check_election(GroupNode& node);
  void check_complete(GroupNode& node);
  void check_entries(GroupNode& node, const raft::Write& write);
  void check_config(GroupNode& node, const raft::Write& write);
  void check_new_config(GroupNode& node, const raft::Entry& entry, const raft::Config& before);
  void check_promise(GroupNode& node, const raft::Message& message);
  void check_durable(GroupNode& node, const raft::Message& message, raft::Index index);
  void check_commit(GroupNode& node);
  void check_commit_durable(GroupNode& node, const Watch& seen);
  void check_limits(GroupNode& node);
  void check_anchor(GroupNode& node);
  void check_contact(GroupNode& node, Watch& seen);
  void check_disk(GroupNode& node, Watch& seen);

  /// Whether `holds` is true for a majority of both sets of voters.
  template <class Holds>
  static bool quorum(const raft::Config& config, const Holds& holds);

  const Nodes& nodes_;
  const Scheduler& scheduler_;
  const GroupOptions& options_;
  Violation violation_;
  std::map<raft::Term, ReplicaId> leaders_;
  std::map<raft::Term, Micros> elected_at_;
  std::unordered_map<std::uint64_t, Content> contents_;
  std::map<raft::Index, Commitment> committed_;
  std::unordered_map<raft::Index, std::uint64_t> states_;
  std::map<raft::Index, raft::Config> configs_;  ///< committed
  raft::Config committed_config_;
  std::set<ReplicaId> members_ever_;  ///< of committed configurations
  std::uint64_t config_changes_ = 0;
  std::map<ReplicaId, Watch> watches_;
};

}  // namespace skald::sim
