#include "tests/sim/group_world.h"

#include <algorithm>

#include "kv/raft/text.h"

namespace skald::sim {

GroupWorld::GroupWorld(const GroupOptions& options, bool loud)
    : options_(options),
      trace_(scheduler_, loud),
      random_(mix_seed(options.seed ^ 0xfeed)),
      random_faults_(random_.fork()),
      random_work_(random_.fork()),
      network_(scheduler_, random_.fork(), options_.network,
               [this](Machine machine, Machine peer) { nodes_.at(machine).disconnected(peer); }),
      checks_(nodes_, scheduler_, options_) {
  raft::Config config;
  for (Machine machine = 1; machine <= options_.machines; ++machine) {
    nodes_.try_emplace(machine, machine, scheduler_, network_, trace_,
                       static_cast<GroupObserver&>(*this), options_, random_.fork());
    if (machine <= options_.voters) config.voters.push_back(ReplicaId{100 + machine});
  }
  checks_.first_config(config);
  for (ReplicaId voter : config.voters) {
    generations_[GroupNode::machine_of(voter)] = 1;
    nodes_.at(GroupNode::machine_of(voter)).create(voter, config);
  }
}

Outcome GroupWorld::run() {
  schedule_workload();
  schedule_fault();
  if (!run_until(options_.safety)) return outcome();
  calm();
  const Micros end = scheduler_.now() + options_.liveness;
  while (scheduler_.now() < end) {
    if (!run_until(std::min(end, scheduler_.now() + 200 * kMillisecond))) return outcome();
    if (at_rest()) return outcome();
  }
  checks_.report("liveness", unrest());
  return outcome();
}

Micros GroupWorld::failover() {
  schedule_workload();
  run_until(3 * kSecond);
  GroupNode* const dead = leader();
  SKALD_ASSERT(dead != nullptr);
  const raft::Term term = dead->raft().term();
  // Not at a moment that the timers of the others prefer.
  run_until(scheduler_.now() + random_.below(kSecond));
  const Micros death = scheduler_.now();
  dead->crash();
  for (Machine peer = 1; options_.network.streams && peer <= options_.machines; ++peer) {
    if (peer != dead->machine()) network_.reset(dead->machine(), peer);
  }
  while (acked_term_ <= term && run_until(scheduler_.now() + kMillisecond)) {
  }
  return scheduler_.now() - death;
}

bool GroupWorld::run_until(Micros end) {
  while (checks_.violation().none() && scheduler_.step(end)) {
  }
  return checks_.violation().none();
}

/// No more faults: all links, machines and disks work.
void GroupWorld::calm() {
  calm_ = true;
  network_.calm();
  network_.heal_all();
  for (auto& [machine, node] : nodes_) {
    node.calm();
    node.wake();
    if (node.exists() && !node.up()) node.restart();
  }
  acked_when_calm_ = stats_[Count::kAcked];
  reads_when_calm_ = stats_[Count::kReads];
}

bool GroupWorld::at_rest() { return unrest().empty(); }

/// Why the group is not at rest; empty if it is.
std::string GroupWorld::unrest() {
  GroupNode* const node = leader();
  if (node == nullptr) return "nobody leads";
  const raft::Raft& raft = node->raft();
  if (!raft.commit_is_current()) return "the leader has committed nothing";
  if (raft.config().joint()) return "the configuration is still joint";
  if (raft.transferee()) return "leadership is still moving";
  if (stats_[Count::kAcked] < acked_when_calm_ + 5) return "proposals are not committed";
  if (stats_[Count::kReads] < reads_when_calm_ + 5) return "reads are not answered";
  for (ReplicaId member : raft.config().members()) {
    const GroupNode& there = nodes_.at(GroupNode::machine_of(member));
    const std::string name = "replica " + std::to_string(member.value);
    if (there.id() != member) return name + " was never created";
    if (there.state().index + 500 < raft.commit()) return name + " does not catch up";
    if (member != node->id() && raft.progress().at(member).match + 500 < raft.last_index()) {
      return name + " does not follow";
    }
  }
  return "";
}

Outcome GroupWorld::outcome() {
  stats_[Count::kSeeds] = 1;
  stats_[Count::kEvents] = scheduler_.executed();
  stats_[Count::kMicros] = scheduler_.now();
  stats_[Count::kElections] = checks_.elections();
  stats_[Count::kConfigs] = checks_.config_changes();
  stats_[Count::kTransfers] = stats_[Fault::kTransfer];
  stats_[Count::kMessages] = network_.counters().sent;
  stats_[Count::kLost] = network_.counters().lost;
  for (auto& [machine, node] : nodes_) {
    stats_[Count::kStarts] += node.counters().restarts;
    stats_[Count::kSnapshots] += node.counters().snapshots;
    stats_[Count::kSyncs] += node.disk().counters().syncs;
    trace_.fold(machine, node.state().index, node.state().hash);
  }
  for (const Fault always : {Fault::kNetwork, Fault::kDiskSlow, Fault::kDrift, Fault::kSnapshot}) {
    if (options_.has(always)) stats_[always] = 1;
  }
  return {checks_.violation(), stats_, trace_.hash()};
}

void GroupWorld::on_ready(GroupNode& node, const raft::Ready& ready) {
  checks_.on_ready(node, ready);
}

void GroupWorld::on_delivered(GroupNode& node, const raft::Message& message) {
  checks_.on_delivered(node, message);
}

void GroupWorld::on_arrival(Machine to, const raft::Message& message, const GroupState& snapshot) {
  nodes_.at(to).receive(message, snapshot);
}

void GroupWorld::on_tick(GroupNode& node) {
  checks_.on_tick(node);
  destroy_if_removed(node);
}

}  // namespace skald::sim
