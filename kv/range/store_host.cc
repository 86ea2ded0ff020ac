#include "kv/range/store_host.h"

#include <algorithm>

#include "config/base/assert.h"
#include "kv/range/guards.h"

namespace skald::range {

Range& StoreHost::add(RangeStart start) {
  const RangeId id = start.key.range;
  std::unique_ptr<Machine> machine = start.state ? options_.make_machine() : nullptr;
  slots_[id] = {next_instance_++, false, ticks_, {}, {}};
  auto& place = ranges_[id];
  place =
      std::make_unique<Range>(options_.range, std::move(start), std::move(machine), random_.fork());
  touch(id);
  return *place;
}

Range* StoreHost::find(RangeId range) {
  const auto found = ranges_.find(range);
  return found == ranges_.end() || slots_.at(range).dying ? nullptr : found->second.get();
}

std::optional<ReplicaId> StoreHost::tombstone(RangeId range) const {
  const auto found = tombstones_.find(range);
  if (found == tombstones_.end()) return std::nullopt;
  return found->second.highest;
}

void StoreHost::bootstrap(const Descriptor& descriptor, store::Space space,
                          store::Space local_space) {
  const Replica* own = descriptor.on(store());
  SKALD_ASSERT(own != nullptr);
  SKALD_ASSERT(!ranges_.contains(descriptor.id));
  store::ReplicaRecord record{descriptor.id,
                              own->id,
                              local_space,
                              {{{descriptor.boundary.start, descriptor.boundary.end}, space}},
                              encode(descriptor)};
  store::DataBatch batch;
  batch.replicas.push_back(record);
  batch.applied.emplace_back(descriptor.id, store::Applied{1, 1});
  pending_.data.push_back(std::move(batch));
  pending_.flush = true;
  const store::HardState hard_state{1, {}, 1};
  store::ReplicaWrite write;
  write.who = key(descriptor.id, own->id);
  write.restart_at = {1, 1};
  write.hard_state = hard_state;
  pending_.log.replicas.push_back(write);
  add({write.who, hard_state, raft::MemoryLog(1, 1), RangeStart::State{record, {1, 1}, descriptor},
       0});
}

void StoreHost::tick(std::uint64_t now_us, std::uint64_t wall_us) {
  ++ticks_;
  wall_us_ = std::max(wall_us_, wall_us);
  for (const auto& [id, range] : ranges_) {
    if (slots_.at(id).dying) continue;
    range->tick(now_us, wall_us);
    touch(id);
  }
}

void StoreHost::store_disconnected(StoreId store) {
  for (const auto& [id, range] : ranges_) {
    if (slots_.at(id).dying) continue;
    range->store_disconnected(store);
    touch(id);
  }
}

void StoreHost::request(RangeId id, const DataRequest& request) {
  if (Range* range = find(id)) {
    range->request(request, wall_us_);
    touch(id);
  } else {
    pending_.replies.push_back({request.id, Reply{Outcome::kNoRange, {}, 0, {}, {}}});
  }
}

void StoreHost::read(RangeId id, const ReadRequest& request) {
  if (Range* range = find(id)) {
    range->read(request);
    touch(id);
  } else {
    pending_.replies.push_back({request.id, Reply{Outcome::kNoRange, {}, 0, {}, {}}});
  }
}

void StoreHost::manage(RangeId id, const ManageRequest& request) {
  if (Range* range = find(id)) {
    range->manage(request, wall_us_);
    touch(id);
  } else {
    pending_.replies.push_back({request.id, Reply{Outcome::kNoRange, {}, 0, {}, {}}});
  }
}

void StoreHost::logged(std::uint64_t commit) {
  const auto found = issued_.find(commit);
  if (found == issued_.end()) return;
  const std::vector<Issued> done = std::move(found->second);
  issued_.erase(found);
  for (const Issued& issued : done) {
    const auto slot = slots_.find(issued.range);
    if (slot == slots_.end() || slot->second.instance != issued.instance) continue;
    Range& range = *ranges_.at(issued.range);
    if (!issued.destroyed) {
      if (slot->second.dying) continue;
      if (issued.write_number != 0) range.written(issued.write_number);
      touch(issued.range);
      continue;
    }
    if (range.initialised()) {
      store::DataBatch batch;
      batch.destroy(range.applier().record());
      pending_.data.push_back(std::move(batch));
    }
    ++counters_.destroyed;
    std::erase_if(queries_, [&issued](const auto& item) {
      return item.second.range == issued.range;  // it answers no more
    });
    ranges_.erase(issued.range);
    slots_.erase(slot);
  }
}

void StoreHost::flushed(RangeId id, const store::Applied& applied) {
  if (Range* range = find(id)) {
    range->flushed(applied);
    touch(id);
  }
}

void StoreHost::published(RangeId id, raft::Index index) {
  if (Range* range = find(id)) {
    range->published(index);
    touch(id);
  }
}

bool StoreHost::may_serve(RangeId id, std::uint64_t now_us) {
  const Range* range = find(id);
  return range != nullptr && now_us < range->serve_until_us();
}

void StoreHost::snapshot_arrived(RangeId id, ReplicaId to, ReplicaId from, raft::Term term,
                                 StagedSnapshot staged) {
  Range* range = find(id);
  if (range == nullptr || range->id() != to) {
    for (const store::Extent& extent : staged.record.extents) {
      pending_.abandon.push_back(extent.space);
    }
    pending_.abandon.push_back(staged.record.local_space);
    return;
  }
  range->step_snapshot(from, term, std::move(staged), options_.make_machine());
  take(id, pending_);
}

void StoreHost::snapshot_progress(RangeId id, ReplicaId to) {
  if (Range* range = find(id)) range->snapshot_progress(to);
}

void StoreHost::snapshot_finished(RangeId id, ReplicaId to, raft::Index index, bool ok) {
  if (Range* range = find(id)) {
    range->snapshot_finished(to, index, ok);
    touch(id);
  }
}

std::vector<RangeId> StoreHost::to_rebuild() const {
  std::vector<RangeId> all;
  for (const auto& [id, range] : ranges_) {
    if (range->needs_rebuild() && !slots_.at(id).dying) all.push_back(id);
  }
  return all;
}

std::vector<RangeId> StoreHost::to_apply() const {
  std::vector<RangeId> all;
  for (const auto& [id, range] : ranges_) {
    if (range->has_entries() && !slots_.at(id).dying && !range->halted()) all.push_back(id);
  }
  return all;
}

store::DataBatch StoreHost::apply(RangeId id, std::size_t bytes_max,
                                  const std::function<store::Space()>& allocate) {
  Range& range = *ranges_.at(id);
  ApplyResult result = range.apply(bytes_max);
  touch(id);
  if (!result.split) return std::move(result.batch);
  return split(range, std::move(*result.split), std::move(result.batch), allocate);
}

/// The child may have been here before the split reached this replica: by a snapshot, or already
/// gone again. Then its part of the parent's data is nobody's.
bool StoreHost::wants_child(RangeId child, ReplicaId replica) {
  const auto grave = tombstones_.find(child);
  if (grave != tombstones_.end() && grave->second.highest >= replica &&
      SKALD_GUARD(Guard::kTombstoneHeld)) {
    return false;
  }
  const auto there = ranges_.find(child);
  if (there == ranges_.end()) return true;
  return there->second->id() == replica && !there->second->initialised() &&
         !there->second->is_installing() && !slots_.at(child).dying;
}

store::DataBatch StoreHost::split(Range& parent, SplitOff split, store::DataBatch batch,
                                  const std::function<store::Space()>& allocate) {
  const Descriptor& child = split.child;
  const Replica* own = child.on(store());
  if (own == nullptr || !wants_child(child.id, own->id)) {
    ++counters_.splits_void;
    for (const store::Extent& extent : split.extents) {
      batch.garbage.push_back({extent.space, extent.interval});
    }
    return batch;
  }
  ++counters_.splits;
  RangeStart start;
  start.key = key(child.id, own->id);
  start.hard_state = {1, {}, 1};
  start.log = raft::MemoryLog(1, 1);
  const auto embryo = embryos_.find(child.id);
  if (embryo != embryos_.end() && SKALD_GUARD(Guard::kChildKeepsLog)) {
    start.hard_state = embryo->second.found.log.hard_state;
    start.log = log_of(embryo->second.found);
    start.replay_to = replay_floor(start.key);
    start.hard_state.commit = std::max(start.hard_state.commit, start.replay_to);
  } else {
    const auto there = ranges_.find(child.id);
    if (there != ranges_.end()) {
      const raft::Raft& voted = there->second->raft();
      if (voted.term() >= 1 && SKALD_GUARD(Guard::kChildKeepsVote)) {
        start.hard_state = {voted.term(), voted.vote(), 1};
      }
    }
    store::ReplicaWrite write;
    write.who = start.key;
    write.restart_at = {1, 1};
    write.hard_state = start.hard_state;
    write.meta = encode(Birth{parent.key().range, parent.id(), split.index});
    births_.push_back(std::move(write));
  }
  embryos_.erase(child.id);
  store::ReplicaRecord record{child.id, own->id, allocate(), std::move(split.extents),
                              encode(child)};
  for (auto& [name, value] : split.local) {
    batch.put(record.local_space, std::move(name), std::move(value));
  }
  batch.replicas.push_back(record);
  batch.applied.emplace_back(child.id, store::Applied{1, 1});
  start.state = RangeStart::State{std::move(record), {1, 1}, child};
  const bool led = parent.leads();
  Range& range = add(std::move(start));
  if (led) range.campaign();
  return batch;
}

void StoreHost::post(StoreId to, bool control, Body body) {
  Packet& packet = outbox_[{to, control}];
  packet.from = store();
  packet.to = to;
  packet.control = control;
  packet.bodies.push_back(std::move(body));
}

/// One range's ready becomes part of the store's.
void StoreHost::take(RangeId id, HostReady& ready) {
  Range& range = *ranges_.at(id);
  const Slot& slot = slots_.at(id);
  RangeReady from = range.take_ready();
  if (slot.dying) return;
  if (from.serve_until_us) ready.serve.push_back({id, *from.serve_until_us});
  if (from.report) {
    const LeaseHolder::Report& report = from.report->report;
    post(from.report->leader, true,
         VisibleReport{id, range.id(), range.raft().term(), report.number, report.visible});
  }
  for (const RangeReady::Grant& grant : from.grants) {
    post(grant.to, true,
         LeaseGrant{id, grant.replica, range.raft().term(), grant.number, grant.duration_us});
  }
  for (RangeReady::Message& message : from.messages) {
    const bool control = raft::is_control(message.message);
    post(message.to, control, RaftMessage{id, range.epoch().conf_ver, std::move(message.message)});
  }
  if (from.install) {
    store::DataBatch batch;
    const StagedSnapshot& staged = *from.install;
    const store::ReplicaRecord old =
        range.initialised() ? range.applier().record() : store::ReplicaRecord{};
    batch.install(old, staged.record, {staged.meta.index, staged.meta.term});
    ready.data.push_back(std::move(batch));
    if (SKALD_GUARD(Guard::kInstallFlushed)) ready.flush = true;
  }
  if (from.abandon) {
    for (const store::Extent& extent : from.abandon->record.extents) {
      ready.abandon.push_back(extent.space);
    }
    ready.abandon.push_back(from.abandon->record.local_space);
  }
  if (from.log) {
    ready.log.replicas.push_back(std::move(*from.log));
    to_issue_.push_back({id, range.id(), slot.instance, from.write_number, false});
  }
  answer_queries(range, from.replies);
  for (auto& answer : from.replies) ready.replies.push_back(std::move(answer));
  for (auto& effect : from.effects) ready.effects.push_back({id, std::move(effect)});
  for (const raft::SnapshotRequest& request : from.snapshots) {
    const std::optional<StoreId> to = range.store_of(request.to);
    if (to) ready.snapshots.push_back({id, range.id(), request, *to});
  }
  for (const raft::Event& event : from.events) ready.events.push_back({id, range.id(), event});
  if (from.ask_membership) ask_membership(range);
  if (range.retired() && range.replayed()) return destroy(range, range.descriptor());
  if (range.removed() && !range.leads() && range.replayed()) destroy(range, range.descriptor());
}

HostReady StoreHost::take_ready() {
  HostReady ready = std::exchange(pending_, {});
  // A child's birth goes into the log before, and never together with, what it writes itself.
  std::set<RangeId> later;
  for (store::ReplicaWrite& birth : births_) {
    later.insert(birth.who.range);
    ready.log.replicas.push_back(std::move(birth));
  }
  births_.clear();
  bury(ready);
  for (const store::ReplicaWrite& write : ready.log.replicas) later.insert(write.who.range);
  for (const RangeId id : std::exchange(touched_, {})) {
    if (!ranges_.contains(id)) continue;
    if (later.contains(id)) {
      touch(id);
    } else {
      take(id, ready);
    }
  }
  for (auto& [to, packet] : std::exchange(outbox_, {})) ready.packets.push_back(std::move(packet));
  if (!ready.log.empty()) {
    ready.commit = next_commit_++;
    issued_[ready.commit] = std::exchange(to_issue_, {});
  }
  return ready;
}

}  // namespace skald::range
