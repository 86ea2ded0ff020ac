#include "tests/sim/store_node.h"

#include <algorithm>

#include "kv/raft/text.h"

namespace skald::sim {

StoreNode::StoreNode(range::StoreId id, Scheduler& scheduler, Network& network, Trace& trace,
                     StoreObserver& observer, const StoreOptions& options, Random random)
    : id_(id),
      scheduler_(scheduler),
      network_(network),
      trace_(trace),
      observer_(observer),
      options_(options),
      random_(random),
      disk_(scheduler, random_.fork(), options.disk) {
  if (options.has(Fault::kDrift)) rate_per_mille_ = random_.between(990, 1010);
  auto engine = std::make_unique<store::MemoryEngine>();
  engine_ = engine.get();
  auto opened = store::DataStore::open(std::move(engine));
  SKALD_ASSERT(opened.ok());
  data_ = std::move(*opened);
}

Micros StoreNode::clock() const { return scheduler_.now() * rate_per_mille_ / 1000; }

/// Node time: the wall clock at the start, and from then on the other one.
Micros StoreNode::wall() const { return clock() + wall_offset_; }

void StoreNode::start() {
  SKALD_ASSERT(!up());
  ++incarnation_;
  ++counters_.restarts;
  if (options_.has(Fault::kDrift)) wall_offset_ = random_.below(kSecond);
  trace_.fold(machine(), 1);
  if (trace_.loud()) trace_.say(id_.value, "starts");
  range::HostOptions options;
  options.range = options_.range;
  options.range.store = id_;
  options.make_machine = [] { return std::make_unique<KvMachine>(); };
  host_ = std::make_unique<range::StoreHost>(options, random_.fork());
  senders_ =
      std::make_unique<range::SnapshotSenders>(*data_, options_.snapshot, (incarnation_ << 32) + 1);
  receivers_ = std::make_unique<range::SnapshotReceivers>(*data_, 4, 20 * kSecond);
  range::HostStart found;
  const auto contents = log_.recover();
  SKALD_ASSERT(contents.ok());
  for (const auto& [key, log] : contents->replicas) {
    range::HostStart::Log one{key, log, {}};
    if (log.last_index > log.base.index) {
      one.entries = *log_.entries(key, log.base.index + 1, log.last_index + 1, ~0ULL);
    }
    found.logs.push_back(std::move(one));
  }
  for (const store::ReplicaRecord& record : data_->replicas()) {
    found.data.emplace_back(record, *data_->applied(record.range));
  }
  found.records = contents->records;
  apply_free_at_ = scheduler_.now();
  if (const Status status = host_->start(std::move(found)); !status.ok()) {
    observer_.on_broken(*this, status.error().message);
    return;
  }
  std::set<range::StoreId> peers;
  for (std::uint64_t peer = 1; peer <= options_.stores; ++peer) peers.insert(range::StoreId{peer});
  host_->set_peers(std::move(peers));
  schedule_tick();
  drain();
}

void StoreNode::bootstrap(const range::Descriptor& descriptor) {
  const store::Space space = data_->allocate_space();
  host_->bootstrap(descriptor, space, data_->allocate_space());
  drain();
}

void StoreNode::crash() {
  if (!up()) return;
  trace_.fold(machine(), 2);
  if (trace_.loud()) trace_.say(id_.value, "crashes");
  ++incarnation_;
  host_.reset();
  senders_.reset();
  receivers_.reset();
  working_.clear();
  published_.clear();
  serve_until_.clear();
  publishing_.clear();
  deferred_.clear();
  paused_until_ = 0;
  disk_.crash();
  engine_->crash(flush_held_ || random_.one_in(2) ? 0 : random_.below(engine_->unflushed() + 1));
  SKALD_ASSERT(data_->reopen().ok());
}

bool StoreNode::ok(const Status& status) {
  if (status.ok()) return true;
  if (data_->status().ok()) {
    observer_.on_broken(*this, status.error().message);
  } else if (up()) {
    observer_.on_failed(*this);
  }
  return false;
}

void StoreNode::pause(Micros duration) {
  if (paused()) return;
  paused_until_ = scheduler_.now() + duration;
  scheduler_.at(paused_until_, mine([this] { wake(); }));
}

void StoreNode::wake() {
  paused_until_ = 0;
  while (!deferred_.empty()) {
    const std::function<void()> action = std::move(deferred_.front());
    deferred_.pop_front();
    action();
  }
}

std::function<void()> StoreNode::mine(std::function<void()> action) {
  return [this, incarnation = incarnation_, action = std::move(action)] {
    if (incarnation != incarnation_) return;
    if (paused()) {
      deferred_.push_back(mine(action));
    } else {
      action();
    }
  };
}

void StoreNode::schedule_tick() {
  scheduler_.after(options_.tick * 1000 / rate_per_mille_, mine([this] {
                     schedule_tick();
                     host_->tick(clock(), wall());
                     if (random_.one_in(options_.flush_one_in)) flush();
                     if (!up()) return;
                     if (random_.one_in(options_.flush_one_in)) tell_flushed();
                     poll_snapshots();
                     if (up()) drain();
                   }));
}

void StoreNode::flush() {
  if (flush_held_) return;
  ++counters_.flushes;
  ok(data_->flush());
}

/// What is flushed is told some time later; more is applied by then.
void StoreNode::tell_flushed() {
  for (const store::ReplicaRecord& record : data_->replicas()) {
    const auto flushed = data_->flushed(record.range);
    const range::Range* range = host_->find(record.range);
    if (range == nullptr || range->id() != record.replica || !flushed) continue;
    host_->flushed(record.range, *flushed);
  }
}

void StoreNode::disconnected(Machine peer) {
  if (!up()) return;
  mine([this, peer] {
    host_->store_disconnected(range::StoreId{peer});
    drain();
  })();
}

void StoreNode::receive(const range::Packet& packet) {
  if (!up()) return;
  mine([this, packet] {
    for (const range::Body& body : packet.bodies) {
      trace_.fold(machine(), 3, packet.from.value * 16 + body.index());
      if (trace_.loud()) {
        if (const auto* raft = std::get_if<range::RaftMessage>(&body)) {
          trace_.say(id_.value, "r" + std::to_string(raft->range.value % 1000) + " got " +
                                    raft::describe(raft->message));
        }
      }
      const auto* chunk = std::get_if<range::SnapshotChunk>(&body);
      if (chunk != nullptr) on_chunk(*chunk, packet.from);
      if (!up()) return;
    }
    host_->receive(packet);
    drain();
  })();
}

void StoreNode::on_chunk(const range::SnapshotChunk& chunk, range::StoreId from) {
  range::SnapshotChunk damaged;
  const range::SnapshotChunk* seen = &chunk;
  if (!calm_ && random_.chance(options_.damage_per_mille, 1000) && !chunk.items.empty()) {
    damaged = chunk;
    ++counters_.damaged;
    std::string& value = damaged.items.front().value;
    if (!value.empty()) value[0] = static_cast<char>(value[0] ^ 1);
    seen = &damaged;
  }
  if (trace_.loud()) {
    trace_.say(id_.value, "r" + std::to_string(chunk.range.value) + " got chunk " +
                              std::to_string(chunk.number) + (chunk.last ? " (last)" : "") +
                              " of snapshot " + std::to_string(chunk.id) + " from store " +
                              std::to_string(from.value) + (seen == &chunk ? "" : ", damaged"));
  }
  Result<range::SnapshotAck> ack = receivers_->on_chunk(*seen, *host_, scheduler_.now());
  if (!ack.ok()) {
    ok(ack.error());
    return;
  }
  if (ack->status == range::SnapshotAck::Status::kDone) ++counters_.snapshots;
  range::Packet packet{id_, from, true, {}};
  packet.bodies.emplace_back(std::move(*ack));
  send(std::move(packet));
  drain();
}

void StoreNode::poll_snapshots() {
  range::SnapshotSenders::Out out = senders_->poll(scheduler_.now());
  for (auto& [to, chunk] : out.chunks) {
    range::Packet packet{id_, to, false, {}};
    packet.bodies.emplace_back(std::move(chunk));
    send(std::move(packet));
  }
  for (const auto& [range, to] : out.progress) host_->snapshot_progress(range, to);
  for (const auto& finished : out.finished) {
    host_->snapshot_finished(finished.range, finished.to, finished.index, finished.ok);
  }
  ok(receivers_->drop_idle(scheduler_.now()));
}

void StoreNode::request(RangeId range, const range::DataRequest& request) {
  if (!up()) return;
  mine([this, range, request] {
    host_->request(range, request);
    drain();
  })();
}

void StoreNode::read(RangeId range, const range::ReadRequest& request) {
  if (!up()) return;
  mine([this, range, request] {
    host_->read(range, request);
    drain();
  })();
}

void StoreNode::manage(RangeId range, const range::ManageRequest& request) {
  if (!up()) return;
  mine([this, range, request] {
    host_->manage(range, request);
    drain();
  })();
}

void StoreNode::drain() {
  if (draining_) return;
  draining_ = true;
  while (up()) {
    range::HostReady ready = host_->take_ready();
    if (ready.empty()) break;
    observer_.on_ready(*this, ready);
    carry_out(std::move(ready));
  }
  draining_ = false;
  if (up()) schedule_work();
}

void StoreNode::carry_out(range::HostReady ready) {
  for (const range::HostReady::Serve& serve : ready.serve) {
    serve_until_[serve.range] = serve.until_us;
  }
  if (!ready.serve.empty()) observer_.on_served(*this);
  for (range::Packet& packet : ready.packets) send(std::move(packet));
  for (const store::DataBatch& batch : ready.data) {
    if (!ok(data_->write(batch))) return;
  }
  if (ready.flush && !ok(data_->flush())) return;
  for (const store::Space space : ready.abandon) {
    if (!ok(data_->abandon_space(space))) return;
  }
  if (!ready.log.empty()) {
    const auto set = std::make_shared<const store::WriteSet>(std::move(ready.log));
    disk_.submit({[this, set] {
                    SKALD_ASSERT(log_.append(*set).ok());
                    observer_.on_durable(*this, *set);
                  },
                  mine([this, commit = ready.commit] {
                    trace_.fold(machine(), 5, commit);
                    host_->logged(commit);
                    drain();
                  })});
  }
  for (const auto& answer : ready.replies) observer_.on_reply(*this, answer);
  for (const range::HostReady::Snapshot& snapshot : ready.snapshots) {
    if (trace_.loud()) {
      trace_.say(id_.value, "r" + std::to_string(snapshot.range.value) +
                                " sends a snapshot to store " + std::to_string(snapshot.to.value));
    }
    senders_->start(snapshot, scheduler_.now());
  }
  for (const range::SnapshotAck& ack : ready.acks) {
    if (trace_.loud()) {
      trace_.say(id_.value, "r" + std::to_string(ack.range.value) + " got ack of snapshot " +
                                std::to_string(ack.id) + ", next " + std::to_string(ack.next) +
                                ", status " + std::to_string(static_cast<int>(ack.status)));
    }
    senders_->on_ack(ack, scheduler_.now());
  }
  if (!ready.snapshots.empty() || !ready.acks.empty()) poll_snapshots();
}

void StoreNode::send(range::Packet packet) {
  trace_.fold(machine(), 4, packet.to.value * 1024 + packet.bodies.size());
  network_.send(machine(), static_cast<Machine>(packet.to.value), packet.control ? 0 : 1, 0,
                [this, packet = std::move(packet)] { observer_.on_packet(packet); });
}

/// The apply thread: one range after the other, each some time after the one before.
void StoreNode::schedule_work() {
  if (apply_held_) return;
  std::vector<RangeId> due = host_->to_rebuild();
  for (const RangeId range : host_->to_apply()) due.push_back(range);
  for (const RangeId range : due) {
    if (!working_.insert(range).second) continue;
    apply_free_at_ =
        std::max(apply_free_at_, scheduler_.now()) + random_.below(options_.apply_delay_max + 1);
    scheduler_.at(apply_free_at_, mine([this, range] {
                    working_.erase(range);
                    work(range);
                    drain();
                  }));
  }
}

void StoreNode::hold_apply(bool hold) {
  apply_held_ = hold;
  if (up()) schedule_work();
}

void StoreNode::work(RangeId id) {
  if (apply_held_) return;
  range::Range* range = host_->find(id);
  if (range == nullptr) return;
  if (range->needs_rebuild()) return rebuild(*range);
  if (!range->has_entries() || range->halted()) return;
  const store::DataBatch batch =
      host_->apply(id, random_.one_in(2) ? 1 : 4000, [this] { return data_->allocate_space(); });
  if (!ok(data_->write(batch))) return;
  observer_.on_applied(*this, id);
  publish_later(id);
}

void StoreNode::publish_later(RangeId id) {
  if (options_.range.serve_lease_us == 0 || !publishing_.insert(id).second) return;
  scheduler_.after(random_.below(options_.publish_delay_max + 1), mine([this, id] {
                     publishing_.erase(id);
                     publish(id);
                     drain();
                   }));
}

void StoreNode::publish(RangeId id) {
  range::Range* range = host_->find(id);
  if (range == nullptr || !range->initialised() || range->needs_rebuild()) return;
  published_[id] = {range->descriptor().boundary, kv(*range).values()};
  host_->published(id, range->applier().applied().index);
  observer_.on_served(*this);
}

void StoreNode::rebuild(range::Range& range) {
  const store::ReplicaRecord& record = range.applier().record();
  auto local = data_->iterate({{{}, record.local_space}});
  SKALD_ASSERT(local.ok());
  for (; local->valid(); local->next()) ok(range.rebuild_local(local->key(), local->value()));
  auto all = data_->iterate(record.extents);
  SKALD_ASSERT(all.ok());
  for (; all->valid(); all->next()) {
    const range::Record one{all->key(), all->value()};
    ok(range.rebuild_chunk({&one, 1}));
  }
  range.rebuild_finish();
  observer_.on_applied(*this, range.key().range);
  publish_later(range.key().range);
}

void StoreNode::calm() {
  calm_ = true;
  disk_.calm();
}

}  // namespace skald::sim
