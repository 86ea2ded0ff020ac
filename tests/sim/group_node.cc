#include "tests/sim/group_node.h"

#include <algorithm>
#include <utility>

#include "kv/raft/text.h"

namespace skald::sim {

namespace {

constexpr raft::Index kFetchedRun = 20;

}  // namespace

raft::Fetch CachedLog::entries(raft::Index low, raft::Index high, std::size_t bytes_max) const {
  const bool hot = hot_ >= log_.last_index() || low > log_.last_index() - hot_;
  const bool warm = warm_ <= low && low < warm_ + kFetchedRun;
  if (hot) return log_.entries(low, high, bytes_max);
  if (warm) return log_.entries(low, std::min(high, warm_ + kFetchedRun), bytes_max);
  wanted_ = low;
  return {raft::Fetch::Status::kPending, {}};
}

GroupNode::GroupNode(Machine machine, Scheduler& scheduler, Network& network, Trace& trace,
                     GroupObserver& observer, const GroupOptions& options, Random random)
    : machine_(machine),
      scheduler_(scheduler),
      network_(network),
      trace_(trace),
      observer_(observer),
      options_(options),
      random_(random),
      disk_(scheduler, random_.fork(), options.disk),
      tick_length_(options.tick) {
  // Clocks drift by up to 1 % (design.md section 4).
  if (options.has(Fault::kDrift)) {
    tick_length_ = options.tick * random_.between(990, 1010) / 1000;
  }
}

raft::Options GroupNode::raft_options() const {
  raft::Options options = options_.raft;
  options.id = id_;
  return options;
}

void GroupNode::create(ReplicaId id, const raft::Config& config) {
  SKALD_ASSERT(machine_of(id) == machine_);
  id_ = id;
  durable_ = Durable{};
  if (!config.voters.empty()) {  // genesis: a snapshot at index 1
    durable_.log.reset(1, 1);
    durable_.hard_state.term = 1;
    durable_.flushed = {1, 1, 0, config};
  }
  restart();
}

void GroupNode::restart() {
  SKALD_ASSERT(!up());
  ++incarnation_;
  ++counters_.restarts;
  state_ = durable_.flushed;
  apply_free_at_ = scheduler_.now();
  fetching_ = false;
  const raft::Restart found{durable_.hard_state, state_.index, state_.config};
  view_ = std::make_unique<CachedLog>(durable_.log);
  raft_ = std::make_unique<raft::Raft>(raft_options(), *view_, found, random_.fork());
  view_->limit(options_.log_cache);
  trace_.fold(machine_, 1, id_.value);
  if (trace_.loud()) trace_.say(id_.value, "starts");
  schedule_tick();
}

void GroupNode::crash() {
  if (!up()) return;
  trace_.fold(machine_, 2);
  if (trace_.loud()) trace_.say(id_.value, "crashes");
  ++incarnation_;
  raft_.reset();
  deferred_.clear();
  paused_until_ = 0;
  disk_.crash();
}

void GroupNode::destroy() {
  crash();
  id_ = {};
}

void GroupNode::pause(Micros duration) {
  if (paused()) return;
  paused_until_ = scheduler_.now() + duration;
  scheduler_.at(paused_until_, mine([this] { wake(); }));
}

/// What came meanwhile is seen now, in its order, as by a process that was stopped.
void GroupNode::wake() {
  paused_until_ = 0;
  while (!deferred_.empty()) {
    const std::function<void()> action = std::move(deferred_.front());
    deferred_.pop_front();
    action();
  }
}

std::function<void()> GroupNode::mine(std::function<void()> action) {
  return [this, incarnation = incarnation_, action = std::move(action)] {
    if (incarnation != incarnation_) return;
    if (paused()) {
      deferred_.push_back(mine(action));
    } else {
      action();
    }
  };
}

void GroupNode::schedule_tick() {
  scheduler_.after(tick_length_, mine([this] {
                     schedule_tick();
                     ++counters_.ticks;
                     raft_->tick(scheduler_.now());
                     maybe_flush();
                     observer_.on_tick(*this);
                     drain();
                   }));
}

void GroupNode::disconnected(Machine peer) {
  if (!up()) return;
  const auto tell = mine([this, peer] {
    const ReplicaId leader = raft_->leader();
    if (leader && machine_of(leader) == peer) raft_->peer_disconnected(leader);
    std::vector<ReplicaId> peers;
    for (const auto& [id, progress] : raft_->progress()) {
      if (machine_of(id) == peer) peers.push_back(id);
    }
    for (ReplicaId id : peers) raft_->peer_disconnected(id);
    drain();
  });
  tell();
}

void GroupNode::receive(const raft::Message& message, const GroupState& snapshot) {
  if (message.to != id_ || !up()) {
    observer_.on_stranger(*this, message);
    return;
  }
  const auto take = mine([this, message, snapshot] {
    trace_.fold(machine_, 3, message.from.value * 16 + message.body.index());
    if (trace_.loud()) trace_.say(id_.value, "got " + raft::describe(message));
    observer_.on_delivered(*this, message);
    if (std::holds_alternative<raft::InstallSnapshot>(message.body)) staged_ = snapshot;
    raft_->step(message);
    drain();
  });
  take();
}

void GroupNode::drain() {
  if (draining_) return;
  draining_ = true;
  while (up()) {
    raft::Ready ready = raft_->take_ready();
    raft_->check_invariants();
    if (ready.empty()) break;
    if (trace_.loud()) {
      for (const raft::Event& event : ready.events) {
        trace_.say(id_.value, "event " + raft::describe(event));
      }
      if (ready.write) trace_.say(id_.value, "write " + raft::describe(*ready.write));
    }
    observer_.on_ready(*this, ready);
    for (const raft::Message& message : ready.messages) {
      std::size_t bytes = 0;
      if (const auto* append = std::get_if<raft::Append>(&message.body)) {
        for (const raft::Entry& entry : append->entries) bytes += entry.bytes();
      }
      send(message, {}, bytes / 100);  // 100 MB/s
    }
    if (ready.write) write(std::move(*ready.write));
    if (!ready.committed.empty()) apply_later(std::move(ready.committed));
    for (const raft::ReadResult& read : ready.reads) observer_.on_read(*this, read);
    for (const raft::SnapshotRequest& request : ready.snapshots) send_snapshot(request);
  }
  draining_ = false;
  maybe_fetch();
}

/// The log engine reads what the core asked for in vain, on its own thread.
void GroupNode::maybe_fetch() {
  if (!up() || fetching_ || view_->wanted() == 0) return;
  fetching_ = true;
  scheduler_.after(random_.between(1, 5) * kMillisecond, mine([this, low = view_->wanted()] {
                     fetching_ = false;
                     view_->fetched(low);
                     drain();
                   }));
}

void GroupNode::send(const raft::Message& message, const GroupState& snapshot, Micros extra) {
  trace_.fold(machine_, 4, message.to.value * 16 + message.body.index());
  const Machine to = machine_of(message.to);
  network_.send(machine_, to, raft::is_control(message) ? 0 : 1, extra,
                [this, to, message, snapshot] { observer_.on_arrival(to, message, snapshot); });
}

void GroupNode::write(raft::Write write) {
  const auto shared = std::make_shared<const raft::Write>(std::move(write));
  disk_.submit(
      {[this, shared, staged = staged_] { persist(*shared, staged); }, mine([this, shared] {
         if (shared->snapshot) {
           ++counters_.snapshots;
           state_ = durable_.flushed;
         }
         trace_.fold(machine_, 5, shared->number);
         if (trace_.loud()) {
           trace_.say(id_.value, "synced #" + std::to_string(shared->number));
         }
         raft_->written(shared->number);
         drain();
       })});
}

void GroupNode::persist(const raft::Write& write, const GroupState& staged) {
  if (write.snapshot) {
    durable_.log.reset(write.snapshot->index, write.snapshot->term);
    durable_.flushed = staged;
  }
  durable_.log.append(write.entries);
  durable_.hard_state = write.hard_state;
}

/// One apply thread: in order, each batch some time after the one before.
void GroupNode::apply_later(std::vector<raft::Entry> entries) {
  apply_free_at_ =
      std::max(apply_free_at_, scheduler_.now()) + random_.below(options_.apply_delay_max + 1);
  scheduler_.at(apply_free_at_, mine([this, entries = std::move(entries)] {
                  for (const raft::Entry& entry : entries) {
                    if (entry.index == state_.index + 1) apply(entry);  // else: a snapshot came
                  }
                  raft_->applied(entries.back().index);
                  drain();
                }));
}

void GroupNode::apply(const raft::Entry& entry) {
  ++counters_.applied;
  state_.index = entry.index;
  state_.term = entry.term;
  state_.hash = mix(state_.hash, entry.term);
  if (entry.data) state_.hash = mix(state_.hash, hash_of(*entry.data));
  if (entry.kind == raft::EntryKind::kConfig) {
    state_.config = raft::decode_config_entry(*entry.data)->config;
  }
  observer_.on_applied(*this, entry);
}

/// Now and then the state is flushed; then, and only then, the log behind it may go.
void GroupNode::maybe_flush() {
  if (!random_.one_in(20)) return;
  if (state_.index < durable_.flushed.index) return;  // a snapshot is about to replace it
  durable_.flushed = state_;
  if (state_.index <= options_.compact_behind) return;
  const raft::Index behind = state_.index - options_.compact_behind;
  if (behind <= durable_.log.last_index() && !raft_->log().installing()) {
    durable_.log.compact(behind);
  }
}

void GroupNode::send_snapshot(const raft::SnapshotRequest& request) {
  if (state_.index == 0) return;
  const raft::SnapshotMeta meta{state_.index, state_.term, state_.config};
  const Micros extra = random_.between(1, 300) * kMillisecond;
  send({id_, request.to, request.term, raft::InstallSnapshot{meta}}, state_, extra);
  if (options_.has(Fault::kSnapshot) && random_.one_in(2)) return;  // the report is lost
  const bool ok = !random_.one_in(4);
  scheduler_.after(extra + random_.between(1, 50) * kMillisecond,
                   mine([this, to = request.to, index = meta.index, ok] {
                     raft_->snapshot_finished(to, index, ok);
                     drain();
                   }));
}

void GroupNode::calm() { disk_.calm(); }

}  // namespace skald::sim
