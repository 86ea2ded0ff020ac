#include "tests/sim/store_checks.h"

namespace skald::sim {
namespace {

std::string name(RangeId range) { return "range " + std::to_string(range.value % 1000); }

std::uint64_t hash_lanes(const range::Lanes& lanes) {
  std::uint64_t hash = 0;
  for (const auto& [key, value] : lanes.pieces()) {
    hash = mix(mix(hash, hash_of(key)), hash_of(value));
  }
  return hash;
}

}  // namespace

void StoreChecks::report(const std::string& checker, const std::string& what) {
  if (violation_.none()) violation_ = {checker, what};
}

void StoreChecks::on_ready(StoreNode& node, const range::HostReady& ready) {
  for (const range::HostReady::Event& event : ready.events) {
    if (event.event.kind != raft::Event::Kind::kBecameLeader) continue;
    const auto [place, first] =
        leaders_.try_emplace({event.range, event.event.term}, event.replica);
    if (!first && place->second != event.replica) {
      report("one leader a term", name(event.range) + " term " + std::to_string(event.event.term));
    }
  }
  for (const range::Packet& packet : ready.packets) {
    for (const range::Body& body : packet.bodies) {
      const auto* raft = std::get_if<range::RaftMessage>(&body);
      if (raft != nullptr) check_promise(node, raft->range, raft->message);
    }
  }
  for (const store::ReplicaWrite& write : ready.log.replicas) {
    const auto dead = destroyed_.find({node.id(), write.who.range});
    if (write.remove || dead == destroyed_.end() || dead->second < write.who.replica) continue;
    report("destroyed stays destroyed",
           name(write.who.range) + " on store " + std::to_string(node.id().value));
  }
}

void StoreChecks::on_durable(StoreNode& node, const store::WriteSet& set) {
  for (const store::ReplicaWrite& write : set.replicas) {
    if (!write.hard_state) continue;
    votes_[{write.who.range, write.who.replica}] = {write.hard_state->term, write.hard_state->vote};
  }
  for (const store::RecordWrite& record : set.records) {
    const RangeId range = range::tombstone_range(record.key);
    if (!range || !record.value) continue;
    const auto tombstone = range::decode_tombstone(*record.value);
    ReplicaId& highest = destroyed_[{node.id(), range}];
    highest = std::max(highest, tombstone->highest);
  }
}

/// Nothing is promised that the disk does not have: votes, and entries in the log or in data that
/// is flushed.
void StoreChecks::check_promise(StoreNode& node, RangeId range, const raft::Message& message) {
  raft::Index index = 0;
  if (const auto* append = std::get_if<raft::AppendResponse>(&message.body)) {
    if (!append->rejected) index = append->index;
  } else if (const auto* beat = std::get_if<raft::HeartbeatResponse>(&message.body)) {
    index = beat->index;
  } else if (const auto* vote = std::get_if<raft::VoteResponse>(&message.body)) {
    if (!vote->pre && vote->granted) check_vote(node, range, message, message.to);
  } else if (const auto* asks = std::get_if<raft::VoteRequest>(&message.body)) {
    if (!asks->pre) check_vote(node, range, message, message.from);
  }
  if (index <= 1 || holds(node, range, message.from, index)) return;
  report("no promise before its sync", name(range) + " entry " + std::to_string(index));
}

void StoreChecks::check_vote(StoreNode& node, RangeId range, const raft::Message& message,
                             ReplicaId vote) {
  const auto found = votes_.find({range, message.from});
  const Vote durable = found == votes_.end() ? Vote{} : found->second;
  if (durable.term > message.term) return;  // kept long ago
  if (durable.term == message.term && durable.vote == vote) return;
  report("no promise before its sync", name(range) + " vote of store " +
                                           std::to_string(node.id().value) + " in term " +
                                           std::to_string(message.term));
}

bool StoreChecks::holds(StoreNode& node, RangeId range, ReplicaId replica,
                        raft::Index index) const {
  const auto there = node.log().entries({0, range, replica}, index, index + 1, ~std::uint64_t{0});
  if (there.ok() && !there->empty()) return true;
  const auto flushed = node.data().flushed(range);
  return flushed && flushed->index >= index;
}

/// What is applied anywhere is durable on a majority of the voters of the configuration applied
/// there. Of a joint one the new voters count: what lies above it may need them alone.
void StoreChecks::check_quorum(range::Range& range, raft::Index index) {
  const std::vector<ReplicaId> voters = range::config_of(range.descriptor()).voters;
  std::size_t sure = 0;
  for (const ReplicaId voter : voters) {
    const auto home = homes_.find({range.key().range, voter});
    if (home == homes_.end()) {
      sure += voter == range.id() ? 1 : 0;  // it has never said a word
      continue;
    }
    StoreNode& node = *nodes_.at(static_cast<Machine>(home->second.value));
    const auto dead = destroyed_.find({home->second, range.key().range});
    const bool gone = dead != destroyed_.end() && dead->second >= voter;
    sure += gone || holds(node, range.key().range, voter, index) ? 1 : 0;
  }
  if (2 * sure > voters.size()) return;
  report("commits are durable", name(range.key().range) + " entry " + std::to_string(index) +
                                    " is applied, and synced by " + std::to_string(sure) + " of " +
                                    range::describe(range.descriptor()));
}

void StoreChecks::on_packet(const range::Packet& packet) {
  for (const range::Body& body : packet.bodies) {
    const auto* raft = std::get_if<range::RaftMessage>(&body);
    if (raft == nullptr) continue;
    const auto [place, first] = homes_.try_emplace({raft->range, raft->message.from}, packet.from);
    if (!first && place->second != packet.from) {
      report("one replica an id",
             name(raft->range) + " replica " + std::to_string(raft->message.from.value));
    }
  }
}

void StoreChecks::on_applied(StoreNode& node, RangeId id) {
  range::Range* range = node.host().find(id);
  if (range == nullptr || !range->initialised()) return;
  if (range->halted()) report("halted", range->halted()->message);
  check_commands(node, *range);
  if (range->needs_rebuild()) return;
  const range::Applier& applier = range->applier();
  // Lanes are long: at some indexes only, the same ones everywhere.
  const bool lanes = applier.applied().index % 8 == 0;
  State state{range::encode(applier.descriptor()), lanes ? hash_lanes(applier.lanes()) : 0,
              node.kv(*range).hash(), applier.stamp_us()};
  const auto [place, first] = states_.try_emplace({id, applier.applied().index}, state);
  if (!first && !(place->second == state)) {
    const State& other = place->second;
    std::string what = name(id) + " at " + std::to_string(applier.applied().index) + " on store " +
                       std::to_string(node.id().value) + ":";
    if (other.descriptor != state.descriptor) what += " descriptor";
    if (other.lanes != state.lanes) what += " lanes";
    if (other.values != state.values) what += " values";
    if (other.stamp_us != state.stamp_us) what += " stamp";
    report("equal state at equal index", what);
  }
  bool news = false;
  for (const auto& [other, replica] : node.host().ranges()) {
    if (!replica->initialised()) continue;
    const range::Descriptor& descriptor = replica->descriptor();
    const auto known = latest_.find(other);
    if (known != latest_.end() &&
        known->second.epoch.boundary_ver >= descriptor.epoch.boundary_ver &&
        known->second.epoch.conf_ver >= descriptor.epoch.conf_ver) {
      continue;
    }
    latest_[other] = descriptor;
    news = true;
  }
  if (news) check_cover(false);
}

void StoreChecks::check_commands(StoreNode& node, range::Range& range) {
  for (const KvApply& apply : node.kv(range).take_applied()) {
    check_command(range, apply);
  }
}

void StoreChecks::check_command(range::Range& replica, const KvApply& apply) {
  const RangeId range = replica.key().range;
  const std::pair op(apply.client, apply.op);
  const std::pair place(range, apply.index);
  const auto [entry, new_entry] = entries_.try_emplace(place, op);
  if (!new_entry && entry->second != op) {
    report("committed never lost",
           name(range) + " entry " + std::to_string(apply.index) + " is two commands");
  }
  if (new_entry) check_quorum(replica, apply.index);
  const auto [known, first] = ops_.try_emplace(op, place);
  if (!first) {
    if (known->second != place) {
      report("lanes once and in order", "client " + std::to_string(apply.client) + " op " +
                                            std::to_string(apply.op) + " was applied twice");
    }
    return;
  }
  std::uint64_t& last = last_op_[{apply.client, apply.key}];
  if (apply.op <= last) {
    report("lanes once and in order", "client " + std::to_string(apply.client) + " op " +
                                          std::to_string(apply.op) + " after " +
                                          std::to_string(last));
  }
  last = apply.op;
  serve_.on_command(apply.client, apply.op, apply.key);
  last_value_[apply.key] = std::to_string(apply.client) + " " + std::to_string(apply.op);
}

/// The newest descriptors of all ranges hold each key once. A child may not be known yet, where the
/// first to apply the split has no replica of it.
void StoreChecks::check_cover(bool whole) {
  std::map<std::string, const range::Descriptor*> by_start;
  for (const auto& [id, descriptor] : latest_) {
    if (!by_start.emplace(descriptor.boundary.start, &descriptor).second) {
      return report("keys covered once", "two ranges begin at " + descriptor.boundary.start);
    }
  }
  std::optional<std::string> at = "";
  for (const auto& [start, descriptor] : by_start) {
    const bool overlaps = !at || *at > start;
    if (overlaps || (whole && at != start)) {
      return report("keys covered once", range::describe(*descriptor));
    }
    at = descriptor->boundary.end;
  }
  if (whole && at) report("keys covered once", "nothing from " + *at);
}

std::uint64_t StoreChecks::config_changes() const {
  std::uint64_t changes = 0;
  for (const auto& [id, descriptor] : latest_) changes += descriptor.epoch.conf_ver - 1;
  return changes;
}

void StoreChecks::on_acked(std::uint64_t client, std::uint64_t op) {
  if (!ops_.contains({client, op})) {
    report("acked is applied", "client " + std::to_string(client) + " op " + std::to_string(op));
  }
  const std::string stale = serve_.on_acked(client, op);
  if (!stale.empty()) report("no stale match", stale);
}

void StoreChecks::on_served(const StoreNode& node) {
  const std::string stale = serve_.look_at(node);
  if (!stale.empty()) report("no stale match", stale);
}

void StoreChecks::at_the_end() {
  check_cover(true);
  std::map<std::string, std::string> values;
  for (const auto& [machine, node] : nodes_) {
    for (const auto& [id, range] : node->host().ranges()) {
      if (!range->leads_up_to_date()) continue;
      for (const auto& [key, value] : node->kv(*range).values()) values[key] = value;
    }
  }
  for (const auto& [key, value] : last_value_) {
    if (values[key] != value) {
      report("committed never lost", key + " is '" + values[key] + "', not '" + value + "'");
    }
  }
}

}  // namespace skald::sim
