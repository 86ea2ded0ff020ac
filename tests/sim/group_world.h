// One simulated world with one Raft group: machines, network, disks, faults, workload, checkers.
//
// Owned by one run; a seed decides everything. First a phase with faults, in which only safety is
// asked for; then all faults end and the group must come to rest: one leader, no joint
// configuration, everybody caught up, new proposals committed and reads answered.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/sim/group_checks.h"
#include "tests/sim/group_node.h"
#include "tests/sim/group_options.h"

namespace skald::sim {

class GroupWorld final : private GroupObserver {
 public:
  GroupWorld(const GroupOptions& options, bool loud);
  Outcome run();
  /// How long nothing is acked after the leader of a healthy group dies.
  Micros failover();

 private:
  struct PendingRead {
    std::uint64_t context;
    raft::Index floor;  ///< what a client had been told of when it asked
    raft::Index index;  ///< of the answer; 0 while there is none
  };
  struct Client {
    std::uint64_t restarts = 0;  ///< of the node, when this was asked
    std::map<raft::Index, raft::Term> proposals;
    std::vector<PendingRead> reads;
  };

  // GroupObserver
  void on_ready(GroupNode& node, const raft::Ready& ready) override;
  void on_applied(GroupNode& node, const raft::Entry& entry) override;
  void on_read(GroupNode& node, const raft::ReadResult& read) override;
  void on_delivered(GroupNode& node, const raft::Message& message) override;
  void on_tick(GroupNode& node) override;
  void on_stranger(GroupNode& node, const raft::Message& message) override;
  void on_arrival(Machine to, const raft::Message& message, const GroupState& snapshot) override;

  // group_workload.cc
  void schedule_workload();
  void work();
  void propose();
  void read();
  void change_config();
  void transfer();
  ReplicaId id_for(Machine machine, const raft::Config& config);
  GroupNode* leader();
  GroupNode* oldest_leader();
  GroupNode* any_up();
  Client& client(GroupNode& node);
  void serve_reads(GroupNode& node);
  void destroy_if_removed(GroupNode& node);
  bool may_matter(ReplicaId id);

  // group_nemesis.cc
  void schedule_fault();
  void inject(Fault fault, Random strike);
  void crash_some(Random& strike);
  void crash_and_restart(Machine machine, Micros delay);
  Machine any_machine(Random& random) const {
    return static_cast<Machine>(random.between(1, options_.machines));
  }

  bool run_until(Micros end);
  void calm();
  bool at_rest();
  std::string unrest();
  Outcome outcome();

  const GroupOptions options_;
  Scheduler scheduler_;
  Trace trace_;
  Random random_;
  Random random_faults_;
  Random random_work_;
  Network network_;
  std::map<Machine, GroupNode> nodes_;
  GroupChecks checks_;
  bool calm_ = false;

  std::map<Machine, Client> clients_;
  std::map<Machine, std::uint64_t> generations_;  ///< of replica ids given out
  std::map<Machine, std::uint64_t> destroyed_;    ///< tombstones: the newest generation
  raft::Index floor_ = 0;                         ///< the newest index any client was told of
  raft::Term acked_term_ = 0;                     ///< of the last proposal that was acked
  std::uint64_t next_command_ = 1;
  std::uint64_t acked_when_calm_ = 0;
  std::uint64_t reads_when_calm_ = 0;
  std::uint64_t next_strike_ = 0;
  Stats stats_;
};

}  // namespace skald::sim
