// What must never happen among the ranges of simulated stores, judged by somebody who sees all of
// them. The first violation ends the run.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>

#include "tests/sim/group_checks.h"
#include "tests/sim/serve_checks.h"
#include "tests/sim/store_node.h"

namespace skald::sim {

class StoreChecks {
 public:
  using Nodes = std::map<Machine, std::unique_ptr<StoreNode>>;

  explicit StoreChecks(const Nodes& nodes) : nodes_(nodes), serve_(nodes) {}

  void on_ready(StoreNode& node, const range::HostReady& ready);
  void on_durable(StoreNode& node, const store::WriteSet& set);
  void on_applied(StoreNode& node, RangeId range);
  void on_packet(const range::Packet& packet);
  void on_served(const StoreNode& node);
  /// A client was told that its command is done.
  void on_acked(std::uint64_t client, std::uint64_t op);
  /// Everything has come to rest.
  void at_the_end();

  const Violation& violation() const { return violation_; }
  void report(const std::string& checker, const std::string& what);
  const std::map<RangeId, range::Descriptor>& latest() const { return latest_; }
  std::uint64_t elections() const { return leaders_.size(); }
  std::uint64_t config_changes() const;
  std::uint64_t serves() const { return serve_.looks(); }

 private:
  struct State {
    std::string descriptor;
    std::uint64_t lanes;
    std::uint64_t values;
    std::uint64_t stamp_us;

    bool operator==(const State&) const = default;
  };

  struct Vote {
    raft::Term term = 0;
    ReplicaId vote;
  };

  void check_promise(StoreNode& node, RangeId range, const raft::Message& message);
  void check_vote(StoreNode& node, RangeId range, const raft::Message& message, ReplicaId vote);
  bool holds(StoreNode& node, RangeId range, ReplicaId replica, raft::Index index) const;
  void check_quorum(range::Range& range, raft::Index index);
  void check_commands(StoreNode& node, range::Range& range);
  void check_command(range::Range& range, const KvApply& apply);
  void check_cover(bool whole);

  const Nodes& nodes_;
  ServeChecks serve_;
  Violation violation_;
  std::map<std::pair<RangeId, raft::Term>, ReplicaId> leaders_;
  std::map<std::pair<RangeId, ReplicaId>, range::StoreId> homes_;
  std::map<std::pair<range::StoreId, RangeId>, ReplicaId> destroyed_;
  std::map<std::pair<RangeId, ReplicaId>, Vote> votes_;  ///< durable
  std::map<std::pair<RangeId, raft::Index>, State> states_;
  std::map<std::pair<RangeId, raft::Index>, std::pair<std::uint64_t, std::uint64_t>> entries_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::pair<RangeId, raft::Index>> ops_;
  std::map<std::pair<std::uint64_t, std::string>, std::uint64_t> last_op_;  ///< client, key
  std::map<std::string, std::string> last_value_;                           ///< by key
  std::map<RangeId, range::Descriptor> latest_;
};

}  // namespace skald::sim
