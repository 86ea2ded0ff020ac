// Messages from other stores: to whom they go, which replicas they make, and who is destroyed on
// whose word.
#include <algorithm>

#include "config/base/assert.h"
#include "kv/range/guards.h"
#include "kv/range/store_host.h"

namespace skald::range {
namespace {

constexpr std::size_t kQueriesMax = 1000;
/// Ticks that a snapshot waits for a split that would bring the same data.
constexpr std::uint64_t kSplitPatience = 100;

bool makes_a_replica(const raft::Message& message) {
  return std::holds_alternative<raft::Append>(message.body) ||
         std::holds_alternative<raft::Heartbeat>(message.body) ||
         std::holds_alternative<raft::VoteRequest>(message.body);
}

}  // namespace

void StoreHost::receive(const Packet& packet) {
  for (const Body& body : packet.bodies) {
    std::visit([this, &packet](const auto& one) { on(packet.from, one); }, body);
  }
}

void StoreHost::on(StoreId from, const RaftMessage& body) {
  Range* range = find(body.range);
  const ReplicaId to = body.message.to;
  if (range == nullptr) {
    range = make_for(from, body);
    if (range == nullptr) return;
  }
  if (range->id() != to) {
    ++counters_.strays;
    // Somebody knows of a newer replica on this store: is the one here still a member?
    if (range->id() < to) {
      slots_.at(body.range).hints.insert(from);
      ask_membership(*range);
    }
    return;
  }
  const Epoch theirs{body.conf_ver, 0};
  if (range->initialised() && body.conf_ver != 0 &&
      theirs.generation() != range->epoch().generation()) {
    ++counters_.strays;
    if (theirs.generation() < range->epoch().generation()) {
      post(from, true,
           MembershipAnswer{body.range, body.message.from, range->descriptor(), 0, false});
    } else {
      slots_.at(body.range).hints.insert(from);
      ask_membership(*range);
    }
    return;
  }
  range->step(from, body.message);
  touch(body.range);
}

/// A member that this store does not have yet: it begins with nothing and waits for a snapshot, or
/// for the split that makes it.
Range* StoreHost::make_for(StoreId from, const RaftMessage& body) {
  const std::optional<ReplicaId> dead = tombstone(body.range);
  const bool buried = dead && *dead >= body.message.to && SKALD_GUARD(Guard::kTombstoneHeld);
  if (ranges_.contains(body.range) || embryos_.contains(body.range) || buried ||
      !makes_a_replica(body.message) || !body.message.to) {
    ++counters_.strays;
    return nullptr;
  }
  std::size_t uninitialised = 0;
  for (const auto& [id, range] : ranges_) uninitialised += range->initialised() ? 0 : 1;
  if (uninitialised >= kMaxUninitialised) {
    ++counters_.refused;
    return nullptr;
  }
  ++counters_.created;
  RangeStart start;
  start.key = key(body.range, body.message.to);
  Range& range = add(std::move(start));
  slots_.at(body.range).maker = from;
  return &range;
}

void StoreHost::ask_membership(Range& range) {
  const RangeId id = range.key().range;
  Slot& slot = slots_.at(id);
  std::set<StoreId> whom = slot.hints;
  if (slot.maker) whom.insert(slot.maker);
  if (range.initialised()) {
    for (const Replica& replica : range.descriptor().replicas) whom.insert(replica.store);
  } else {
    whom.insert(peers_.begin(), peers_.end());
  }
  whom.erase(store());
  for (const StoreId to : whom) post(to, true, MembershipQuery{id, range.id()});
}

void StoreHost::on(StoreId from, const MembershipQuery& body) {
  Range* range = find(body.range);
  if (range == nullptr) {
    const auto grave = tombstones_.find(body.range);
    if (grave == tombstones_.end()) return;
    post(from, true,
         MembershipAnswer{body.range, body.replica, grave->second.descriptor, 0, false});
    return;
  }
  if (!range->initialised()) return;
  if (!range->leads_up_to_date() || !range->settled() || queries_.size() >= kQueriesMax) {
    post(from, true,
         MembershipAnswer{body.range, body.replica, range->descriptor(), 0,
                          !SKALD_GUARD(Guard::kDestroyProof)});
    return;
  }
  const std::uint64_t id = next_query_++;
  queries_[id] = {from, body.range, body.replica};
  range->read({id, 0, {}});
  touch(body.range);
}

/// Reads of our own: the leader was still one after the query came.
void StoreHost::answer_queries(Range& range, std::vector<RangeReady::Answer>& replies) {
  for (const RangeReady::Answer& answer : replies) {
    const auto found = queries_.find(answer.id);
    if (found == queries_.end()) continue;
    const Query query = found->second;
    queries_.erase(found);
    const bool sure =
        answer.reply.outcome == Outcome::kDone && range.leads_up_to_date() && range.settled();
    if (!range.initialised()) continue;
    post(query.from, true,
         MembershipAnswer{query.range, query.replica, range.descriptor(), range.raft().term(),
                          sure});
  }
  std::erase_if(replies, [](const RangeReady::Answer& answer) { return answer.id >> 63; });
}

/// A settled configuration without this replica, none older than what it knows itself. Its leader's
/// term is not below the one in which the id was given out, so no entry that would still add it can
/// be on its way.
bool StoreHost::is_proof(const Range& range, const MembershipAnswer& answer) const {
  // Retired is for good, and only who applied it says so.
  if (answer.descriptor.state == Descriptor::State::kRetired) {
    return answer.descriptor.id == range.key().range;
  }
  if (answer.descriptor.find(range.id()) != nullptr) return false;
  if (!SKALD_GUARD(Guard::kDestroyProof)) return true;
  return answer.confirmed && !config_of(answer.descriptor).joint() &&
         answer.descriptor.epoch.conf_ver >= range.epoch().conf_ver &&
         answer.term >= term_of(range.id());
}

void StoreHost::on(StoreId, const MembershipAnswer& body) {
  Range* range = find(body.range);
  if (range == nullptr || range->id() != body.replica) return;
  if (is_proof(*range, body)) {
    if (range->replayed() && !range->is_installing()) destroy(*range, body.descriptor);
    return;
  }
  Slot& slot = slots_.at(body.range);
  const bool news = body.descriptor.epoch.generation() > range->epoch().generation();
  const std::size_t known = slot.hints.size();
  for (const Replica& replica : body.descriptor.replicas) {
    if (slot.hints.size() < raft::kMembersMax) slot.hints.insert(replica.store);
  }
  if (news || slot.hints.size() > known) ask_membership(*range);
}

void StoreHost::on(StoreId, const SnapshotAck& body) { pending_.acks.push_back(body); }

void StoreHost::on(StoreId, const VisibleReport& body) {
  if (Range* range = find(body.range)) {
    range->on_report(body.replica, body.term, {body.number, body.visible});
    touch(body.range);
  }
}

void StoreHost::on(StoreId, const LeaseGrant& body) {
  Range* range = find(body.range);
  if (range == nullptr || range->id() != body.replica) return;
  range->on_grant(body.number, body.duration_us);
  touch(body.range);
}

SnapshotAck::Status StoreHost::judge_snapshot(const Descriptor& descriptor, ReplicaId to) const {
  using Status = SnapshotAck::Status;
  const auto found = ranges_.find(descriptor.id);
  if (found == ranges_.end() || found->second->id() != to || slots_.at(descriptor.id).dying) {
    return Status::kRefuse;
  }
  const Range& range = *found->second;
  if (range.is_installing() || !range.replayed() || range.halted()) return Status::kLater;
  if (range.initialised() || term_of(to) != 0) return Status::kNext;
  if (ticks_ - slots_.at(descriptor.id).born >= kSplitPatience) return Status::kNext;
  for (const auto& [id, other] : ranges_) {
    if (id == descriptor.id || !other->initialised()) continue;
    const Descriptor& parent = other->descriptor();
    const bool behind = parent.epoch.boundary_ver < descriptor.epoch.boundary_ver;
    if (behind && overlap(parent.boundary, descriptor.boundary)) return Status::kLater;
  }
  return Status::kNext;
}

void StoreHost::destroy(Range& range, const Descriptor& last_known) {
  const RangeId id = range.key().range;
  Slot& slot = slots_.at(id);
  if (slot.dying) return;
  slot.dying = true;
  pending_.serve.push_back({id, 0});
  dying_.push_back(id);
  Tombstone& tombstone = tombstones_[id];
  tombstone.highest = std::max(tombstone.highest, range.id());
  tombstone.descriptor = last_known;
  touch(id);
}

/// Children of this replica may stand on a batch that is not flushed: its log may not go before.
void StoreHost::bury(HostReady& ready) {
  for (const RangeId id : std::exchange(dying_, {})) {
    const Range& range = *ranges_.at(id);
    if (SKALD_GUARD(Guard::kBuryFlushed)) ready.flush = true;
    store::ReplicaWrite write;
    write.who = range.key();
    write.remove = true;
    std::erase_if(ready.log.replicas,
                  [&write](const store::ReplicaWrite& other) { return other.who == write.who; });
    ready.log.replicas.push_back(std::move(write));
    ready.log.records.push_back({options_.number, tombstone_key(id), encode(tombstones_.at(id))});
    to_issue_.push_back({id, range.id(), slots_.at(id).instance, 0, true});
  }
}

}  // namespace skald::range
