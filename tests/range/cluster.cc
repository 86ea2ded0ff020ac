#include "tests/range/cluster.h"

#include "config/base/assert.h"

namespace skald::range {

Node::Node(StoreId id, const RangeOptions& options) : id_(id), options_(options) {
  options_.store = id;
  auto engine = std::make_unique<store::MemoryEngine>();
  engine_ = engine.get();
  data_ = std::move(*store::DataStore::open(std::move(engine)));
}

void Node::start() {
  HostOptions options;
  options.range = options_;
  options.make_machine = [] { return std::make_unique<sim::KvMachine>(); };
  host_ = std::make_unique<StoreHost>(options, Random(id_.value * 100 + ++starts_));
  senders_ = std::make_unique<SnapshotSenders>(*data_, SnapshotOptions{}, (starts_ << 32) + 1);
  receivers_ = std::make_unique<SnapshotReceivers>(*data_, 4, 20'000'000);
  HostStart found;
  const auto contents = log_.recover();
  for (const auto& [key, log] : contents->replicas) {
    HostStart::Log one{key, log, {}};
    if (log.last_index > log.base.index) {
      one.entries = *log_.entries(key, log.base.index + 1, log.last_index + 1, ~0ULL);
    }
    found.logs.push_back(std::move(one));
  }
  for (const store::ReplicaRecord& record : data_->replicas()) {
    found.data.emplace_back(record, *data_->applied(record.range));
  }
  found.records = contents->records;
  started = host_->start(std::move(found));
  host_->set_peers(peers);
}

void Node::crash() {
  host_.reset();
  senders_.reset();
  receivers_.reset();
  serve_until_.clear();
  engine_->crash(0);
  SKALD_ASSERT(data_->reopen().ok());
}

void Node::bootstrap(const Descriptor& descriptor) {
  const store::Space space = data_->allocate_space();
  host_->bootstrap(descriptor, space, data_->allocate_space());
}

void Node::tick(std::uint64_t now_us) { host_->tick(now_us, now_us); }

void Node::receive(const Packet& packet, std::uint64_t now_us) {
  for (const Body& body : packet.bodies) {
    const auto* chunk = std::get_if<SnapshotChunk>(&body);
    if (chunk == nullptr) continue;
    Packet answer{id_, packet.from, true, {}};
    answer.bodies.emplace_back(*receivers_->on_chunk(*chunk, *host_, now_us));
    inbox.push_back(std::move(answer));
  }
  host_->receive(packet);
}

void Node::flush() {
  SKALD_ASSERT(data_->flush().ok());
  for (const store::ReplicaRecord& record : data_->replicas()) {
    const Range* range = host_->find(record.range);
    const auto flushed = data_->flushed(record.range);
    if (range != nullptr && range->id() == record.replica && flushed) {
      host_->flushed(record.range, *flushed);
    }
  }
}

void Node::work(RangeId id) {
  Range& range = *host_->find(id);
  if (range.needs_rebuild()) {
    const store::ReplicaRecord& record = range.applier().record();
    auto local = data_->iterate({{{}, record.local_space}});
    for (; local->valid(); local->next()) {
      SKALD_ASSERT(range.rebuild_local(local->key(), local->value()).ok());
    }
    auto all = data_->iterate(record.extents);
    for (; all->valid(); all->next()) {
      const Record one{all->key(), all->value()};
      SKALD_ASSERT(range.rebuild_chunk({&one, 1}).ok());
    }
    range.rebuild_finish();
  } else {
    SKALD_ASSERT(
        data_->write(host_->apply(id, 1 << 20, [this] { return data_->allocate_space(); })).ok());
  }
  if (publishes) host_->published(id, range.applier().applied().index);
}

void Node::drain(std::vector<Packet>& wire, std::uint64_t now_us) {
  for (Packet& packet : std::exchange(inbox, {})) wire.push_back(std::move(packet));
  while (true) {
    HostReady ready = host_->take_ready();
    std::vector<RangeId> due = host_->to_rebuild();
    if (applies) {
      for (const RangeId range : host_->to_apply()) due.push_back(range);
    }
    if (ready.empty() && due.empty()) break;
    carry_out(std::move(ready), wire, now_us);
    for (const RangeId range : due) {
      Range* there = host_->find(range);
      if (there != nullptr && (there->needs_rebuild() || there->has_entries())) work(range);
    }
  }
  SnapshotSenders::Out out = senders_->poll(now_us);
  for (auto& [to, chunk] : out.chunks) {
    Packet packet{id_, to, false, {}};
    packet.bodies.emplace_back(std::move(chunk));
    wire.push_back(std::move(packet));
  }
  for (const auto& finished : out.finished) {
    host_->snapshot_finished(finished.range, finished.to, finished.index, finished.ok);
  }
}

void Node::carry_out(HostReady ready, std::vector<Packet>& wire, std::uint64_t now_us) {
  for (const HostReady::Serve& serve : ready.serve) serve_until_[serve.range] = serve.until_us;
  for (Packet& packet : ready.packets) wire.push_back(std::move(packet));
  for (const store::DataBatch& batch : ready.data) SKALD_ASSERT(data_->write(batch).ok());
  if (ready.flush) SKALD_ASSERT(data_->flush().ok());
  for (const store::Space space : ready.abandon) SKALD_ASSERT(data_->abandon_space(space).ok());
  if (!ready.log.empty()) {
    SKALD_ASSERT(log_.append(ready.log).ok());
    host_->logged(ready.commit);
  }
  for (const auto& answer : ready.replies) replies_[answer.id] = answer.reply;
  for (const HostReady::Snapshot& snapshot : ready.snapshots) senders_->start(snapshot, now_us);
  for (const SnapshotAck& ack : ready.acks) senders_->on_ack(ack, now_us);
}

Cluster::Cluster(std::uint64_t stores, RangeOptions options) {
  std::set<StoreId> peers;
  for (std::uint64_t store = 1; store <= stores; ++store) peers.insert(StoreId{store});
  for (std::uint64_t store = 1; store <= stores; ++store) {
    nodes_[store] = std::make_unique<Node>(StoreId{store}, options);
    nodes_[store]->peers = peers;
    nodes_[store]->start();
  }
}

void Cluster::settle() {
  for (int round = 0; round < 10'000; ++round) {
    for (auto& [store, node] : nodes_) {
      if (node->up()) node->drain(wire_, now_us_);
    }
    const std::vector<Packet> under_way = std::exchange(wire_, {});
    if (under_way.empty()) return;
    for (const Packet& packet : under_way) {
      const auto to = nodes_.find(packet.to.value);
      if (to == nodes_.end() || !to->second->up()) continue;
      if (cut.contains(packet.from.value) || cut.contains(packet.to.value)) continue;
      if (on_packet) on_packet(packet);
      to->second->receive(packet, now_us_);
    }
  }
  SKALD_ASSERT(false);  // they do not come to rest
}

void Cluster::run(std::uint64_t ticks) {
  for (; ticks > 0; --ticks) {
    now_us_ += kTickUs;
    for (auto& [store, node] : nodes_) {
      if (node->up()) node->tick(now_us_);
    }
    settle();
  }
}

void Cluster::until(const std::function<bool()>& so) {
  settle();
  for (int ticks = 0; ticks < 2000 && !so(); ++ticks) run(1);
  SKALD_ASSERT(so());
}

Descriptor first_descriptor(RangeId id, const std::vector<std::uint64_t>& stores,
                            const Genesis& genesis) {
  Descriptor first;
  first.id = id;
  first.epoch = {1, 1};
  first.genesis = genesis;
  std::uint64_t replica = 0;
  for (const std::uint64_t store : stores) {
    first.replicas.push_back({StoreId{store}, ReplicaId{++replica}, {}});
  }
  return first;
}

void Cluster::genesis(std::uint64_t voters) {
  std::vector<std::uint64_t> stores;
  for (std::uint64_t store = 1; store <= voters; ++store) stores.push_back(store);
  for (const std::uint64_t store : stores) {
    node(store).bootstrap(first_descriptor(RangeId{1}, stores));
  }
  until([this] { return leader(RangeId{1}) != 0; });
}

std::uint64_t Cluster::leader(RangeId range) {
  for (const auto& [store, node] : nodes_) {
    if (!node->up() || cut.contains(store)) continue;
    const Range* there = node->host().find(range);
    if (there != nullptr && there->leads_up_to_date()) return store;
  }
  return 0;
}

Reply Cluster::write(RangeId range, const std::string& key, std::uint64_t op, LaneId lane,
                     std::uint64_t seq) {
  until([this, range] { return leader(range) != 0; });
  Node& leads = node(leader(range));
  DataRequest request;
  request.id = next_id_++;
  request.boundary_ver = leads.host().find(range)->epoch().boundary_ver;
  request.lane = lane;
  request.seq = seq;
  request.bytes = "1 " + std::to_string(op) + " " + key;
  leads.host().request(range, request);
  until([&leads, id = request.id] { return leads.replies().contains(id); });
  return leads.replies().at(request.id);
}

Reply Cluster::manage(RangeId range, decltype(ManageRequest::body) body) {
  until([this, range] { return leader(range) != 0; });
  Node& leads = node(leader(range));
  ManageRequest request;
  request.id = next_id_++;
  request.epoch = leads.host().find(range)->epoch();
  request.body = std::move(body);
  leads.host().manage(range, request);
  until([&leads, id = request.id] { return leads.replies().contains(id); });
  return leads.replies().at(request.id);
}

}  // namespace skald::range
