// What clients and operators of the simulated group do, and what they may rely on.
#include <algorithm>

#include "kv/raft/text.h"
#include "tests/sim/group_world.h"

namespace skald::sim {
namespace {

constexpr raft::Index kBacklogMax = 200;
constexpr Micros kCalmInterval = kSecond;

}  // namespace

void GroupWorld::schedule_workload() {
  const Micros interval =
      calm_ ? std::max(options_.propose_interval, kCalmInterval) : options_.propose_interval;
  scheduler_.after(random_work_.below(2 * interval + 1), [this] {
    work();
    schedule_workload();
  });
}

void GroupWorld::work() {
  const std::uint64_t draw = random_work_.below(1000);
  if (draw < 700) {
    propose();
  } else if (draw < 980) {
    read();
  } else if (draw < 995) {
    if (!calm_ && options_.has(Fault::kMembership)) change_config();
  } else if (!calm_ && options_.has(Fault::kTransfer)) {
    transfer();
  }
}

/// The one with the highest term, if several think they lead.
GroupNode* GroupWorld::leader() {
  GroupNode* best = nullptr;
  for (auto& [machine, node] : nodes_) {
    if (!node.up() || node.paused() || !node.raft().leads()) continue;
    if (best == nullptr || node.raft().term() > best->raft().term()) best = &node;
  }
  return best;
}

/// The one with the lowest term: it may be deposed and not know it.
GroupNode* GroupWorld::oldest_leader() {
  GroupNode* oldest = nullptr;
  for (auto& [machine, node] : nodes_) {
    if (!node.up() || node.paused() || !node.raft().leads()) continue;
    if (oldest == nullptr || node.raft().term() < oldest->raft().term()) oldest = &node;
  }
  return oldest;
}

GroupNode* GroupWorld::any_up() {
  GroupNode& node = nodes_.at(static_cast<Machine>(random_work_.between(1, options_.machines)));
  return node.up() && !node.paused() ? &node : nullptr;
}

GroupWorld::Client& GroupWorld::client(GroupNode& node) {
  Client& client = clients_[node.machine()];
  if (client.restarts != node.counters().restarts) {
    client = Client{};
    client.restarts = node.counters().restarts;
  }
  return client;
}

void GroupWorld::propose() {
  GroupNode* const node = random_work_.one_in(5) ? any_up() : leader();
  if (node == nullptr) return;
  // The shell's back-pressure: a machine that cannot apply takes no more.
  if (node->raft().last_index() > node->state().index + kBacklogMax) return;
  const std::uint64_t burst = random_work_.one_in(10) ? random_work_.between(2, 20) : 1;
  for (std::uint64_t i = 0; i < burst; ++i) {
    std::string command = std::to_string(next_command_++);
    command.resize(std::max(command.size(), random_work_.below(options_.payload_max + 1)), '.');
    const raft::Proposal proposal = node->raft().propose(raft::make_payload(command));
    if (!proposal.ok()) break;
    client(*node).proposals[proposal.index] = proposal.term;
  }
  node->drain();
}

/// The proposer answers its client when it applies the entry: from now on it is a promise.
void GroupWorld::on_applied(GroupNode& node, const raft::Entry& entry) {
  checks_.on_applied(node, entry);
  Client& asked = client(node);
  const auto found = asked.proposals.find(entry.index);
  if (found != asked.proposals.end()) {
    if (found->second == entry.term) {
      ++stats_[Count::kAcked];
      acked_term_ = entry.term;
      floor_ = std::max(floor_, entry.index);
    }
    asked.proposals.erase(found);
  }
  serve_reads(node);
}

void GroupWorld::read() {
  const std::uint64_t whom = random_work_.below(3);
  GroupNode* const node = whom == 0 ? any_up() : whom == 1 ? leader() : oldest_leader();
  if (node == nullptr) return;
  const std::uint64_t context = next_command_++;
  if (node->raft().read(context) != raft::Refusal::kNone) return;
  client(*node).reads.push_back({context, floor_, 0});
  node->drain();
}

/// Real-time order: a read sees everything that any client had been told of before it was asked.
void GroupWorld::on_read(GroupNode& node, const raft::ReadResult& result) {
  std::vector<PendingRead>& reads = client(node).reads;
  const auto found = std::find_if(reads.begin(), reads.end(), [&result](const PendingRead& read) {
    return read.context == result.context;
  });
  if (found == reads.end()) {
    checks_.report("reads answered once", "read " + std::to_string(result.context));
    return;
  }
  if (!result.ok) {
    reads.erase(found);
    return;
  }
  if (result.index < found->floor) {
    checks_.report("linearizable reads", "replica " + std::to_string(node.id().value) +
                                             " reads at " + std::to_string(result.index) +
                                             ", clients knew of " + std::to_string(found->floor));
  }
  found->index = std::max<raft::Index>(result.index, 1);
  serve_reads(node);
}

void GroupWorld::serve_reads(GroupNode& node) {
  Client& asked = client(node);
  const raft::Index applied = node.state().index;
  const auto served = std::erase_if(asked.reads, [applied](const PendingRead& read) {
    return read.index > 0 && read.index <= applied;
  });
  if (served == 0) return;
  stats_[Count::kReads] += served;
  floor_ = std::max(floor_, applied);
}

/// The replica on that machine if it is a member, else one that never was.
ReplicaId GroupWorld::id_for(Machine machine, const raft::Config& config) {
  for (ReplicaId member : config.members()) {
    if (GroupNode::machine_of(member) == machine) return member;
  }
  return ReplicaId{++generations_[machine] * 100 + machine};
}

void GroupWorld::change_config() {
  GroupNode* const node = leader();
  if (node == nullptr) return;
  const raft::Config current = node->raft().config();
  raft::ConfigChange change;
  for (Machine machine = 1; machine <= options_.machines; ++machine) {
    const std::uint64_t draw = random_work_.below(10);
    if (draw >= 8) continue;
    (draw >= 6 ? change.learners : change.voters).push_back(id_for(machine, current));
  }
  if (change.voters.empty()) return;
  const raft::Proposal proposal = node->raft().propose_config(change);
  if (proposal.ok()) ++stats_[Fault::kMembership];
  node->drain();
}

void GroupWorld::transfer() {
  GroupNode* const node = leader();
  if (node == nullptr) return;
  const std::vector<ReplicaId> members = node->raft().config().members();
  const ReplicaId target = members[random_work_.below(members.size())];
  if (node->raft().transfer(target) == raft::Refusal::kNone) {
    ++stats_[Fault::kTransfer];
  }
  node->drain();
}

/// Whether that replica may be a member, now or once somebody comes back. One that a committed
/// configuration had and a later one has not is gone for good, whatever those behind believe.
bool GroupWorld::may_matter(ReplicaId id) {
  if (!id) return false;
  if (checks_.committed_config().is_member(id)) return true;
  if (checks_.was_member(id)) return false;
  for (auto& [machine, node] : nodes_) {
    if (!node.exists() || node.id() == id) continue;
    // It never was in a committed one. A log that ends in an earlier term than what is committed
    // can no longer win, and no open configuration in it will ever be committed.
    const raft::MemoryLog& log = node.durable().log;
    const raft::Term last_term =
        node.up() ? node.raft().log().last_term() : *log.term(log.last_index());
    if (last_term < checks_.committed_term()) continue;
    if (!node.up() || node.raft().config().is_member(id)) return true;
  }
  return false;
}

/// A new replica comes into being when the first message for it arrives; never a second time.
void GroupWorld::on_stranger(GroupNode& node, const raft::Message& message) {
  const std::uint64_t generation = message.to.value / 100;
  if (message.to <= node.id() || generation <= destroyed_[node.machine()]) return;
  if (message.term < checks_.committed_term()) return;  // of a leader that is none any more
  if (may_matter(node.id())) return;
  if (node.exists()) {
    destroyed_[node.machine()] = node.id().value / 100;
    node.destroy();
  }
  node.create(message.to, raft::Config{});
}

/// Removed for good: it was in a committed configuration, and is not in the last one.
void GroupWorld::destroy_if_removed(GroupNode& node) {
  if (!random_work_.one_in(50) || !node.up()) return;
  if (!checks_.was_member(node.id()) || may_matter(node.id())) return;
  destroyed_[node.machine()] = node.id().value / 100;
  node.destroy();
}

}  // namespace skald::sim
