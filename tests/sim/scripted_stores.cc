#include "tests/sim/scripted_stores.h"

#include "tests/sim/store_rest.h"

namespace skald::sim {
namespace {

constexpr std::uint64_t kManageBit = std::uint64_t{1} << 38;
constexpr std::uint64_t kReadBit = std::uint64_t{1} << 39;
constexpr std::uint64_t kClient = 1;

StoreOptions healthy(std::uint32_t stores, std::uint32_t voters, bool serve_leases) {
  StoreOptions options;
  options.seed = 1;
  options.stores = stores;
  options.voters = voters;
  options.network.delay_min = kMillisecond;
  options.network.delay_spread = 100;
  options.network.half_open_one_in = 0;
  options.apply_delay_max = kMillisecond;
  options.flush_one_in = 2;
  options.range.keep_entries = 0;
  options.range.hold_entries = 5;
  options.range.catch_up_entries = 10;
  if (serve_leases) options.range.serve_lease_us = range::kServeLeaseUs;
  options.snapshot.chunk_bytes = 100;
  options.snapshot.retry_us = 500'000;
  options.snapshot.give_up_us = 2'000'000;
  options.router.timeout_us = 500'000;
  options.router.retry_us = 50'000;
  return options;
}

RangeId range_of(const range::Body& body) {
  return std::visit([](const auto& one) { return one.range; }, body);
}

}  // namespace

ScriptedStores::ScriptedStores(std::uint32_t stores, std::uint32_t voters, bool serve_leases)
    : options_(healthy(stores, voters, serve_leases)),
      trace_(scheduler_, false),
      random_(1),
      network_(scheduler_, random_.fork(), options_.network,
               [this](Machine machine, Machine peer) { nodes_.at(machine)->disconnected(peer); }),
      checks_(nodes_),
      router_({{NodeId{101}, LifeNumber{1}}, 1}, options_.router) {
  range::Descriptor first;
  first.id = kFirstRange;
  first.epoch = {1, 1};
  first.genesis = {77, 1, false};
  for (std::uint64_t voter = 1; voter <= voters; ++voter) {
    first.replicas.push_back({range::StoreId{voter}, ReplicaId{voter}, {}});
  }
  StoreObserver& self = *this;
  for (Machine machine = 1; machine <= stores; ++machine) {
    nodes_[machine] = std::make_unique<StoreNode>(range::StoreId{machine}, scheduler_, network_,
                                                  trace_, self, options_, random_.fork());
    nodes_[machine]->start();
    if (machine <= voters) nodes_[machine]->bootstrap(first);
  }
  router_.learn(first);
  schedule_client();
  for (int key = 10; key < 100; key += 10) must_write("k" + std::to_string(key));
}

bool ScriptedStores::step() {
  scheduler_.step(~Micros{0} >> 1);
  return clean();
}

void ScriptedStores::run(Micros duration) {
  const Micros end = scheduler_.now() + duration;
  while (clean() && scheduler_.step(end)) {
  }
}

bool ScriptedStores::run_until(const std::function<bool()>& done, Micros limit) {
  const Micros end = scheduler_.now() + limit;
  while (clean() && !done()) {
    if (!scheduler_.step(end)) return false;
  }
  return clean();
}

std::uint64_t ScriptedStores::write(const std::string& key) {
  const std::uint64_t op = next_op_++;
  history_.write_asked(kClient, op, key, scheduler_.now());
  router_.submit(op, key, std::to_string(kClient) + " " + std::to_string(op) + " " + key);
  pump();
  return op;
}

void ScriptedStores::must_write(const std::string& key) {
  const std::uint64_t op = write(key);
  if (!run_until([this, op] { return acked(op); }))
    checks_.report("liveness", key + " is not acked");
}

void ScriptedStores::ask_manage(RangeId range, decltype(range::ManageRequest::body) body) {
  StoreNode* const leads = leader(range);
  if (leads == nullptr) return;
  range::ManageRequest request;
  request.id = kManageBit | next_id_++;
  request.epoch = leads->host().find(range)->epoch();
  request.body = std::move(body);
  leads->manage(range, request);
}

void ScriptedStores::must_manage(RangeId range, decltype(range::ManageRequest::body) body) {
  for (int attempt = 0; attempt < 50 && clean(); ++attempt) {
    ask_manage(range, body);
    const std::uint64_t id = kManageBit | (next_id_ - 1);
    run_until([this, id] { return managed_.contains(id); }, 5 * kSecond);
    if (managed_.contains(id) && managed_.at(id) == range::Outcome::kDone) return;
    run(100 * kMillisecond);
  }
  checks_.report("liveness", "a change of range " + std::to_string(range.value) + " is never done");
}

void ScriptedStores::isolate(Machine machine) {
  for (const auto& [peer, node] : nodes_) {
    if (peer == machine) continue;
    network_.cut(machine, peer);
    network_.cut(peer, machine);
  }
}

void ScriptedStores::heal() { network_.heal_all(); }

void ScriptedStores::let_through(Machine machine, RangeId range) {
  blocked_.erase({machine, range});
  no_snapshots_.erase({machine, range});
}

void ScriptedStores::crash(Machine machine) {
  node(machine).crash();
  for (const auto& [peer, other] : nodes_) {
    if (peer != machine) network_.reset(machine, peer);
  }
}

void ScriptedStores::restart(Machine machine) {
  if (!node(machine).up()) node(machine).start();
}

void ScriptedStores::read_at(Machine machine, RangeId range, const std::string& key) {
  if (!node(machine).up()) return;
  const std::uint64_t id = kReadBit | next_id_++;
  reads_[id] = {range, key, scheduler_.now()};
  node(machine).read(range, {id, 0, {}});
}

Violation ScriptedStores::finish() {
  blocked_.clear();
  no_snapshots_.clear();
  heal();
  for (const auto& [machine, node] : nodes_) {
    node->hold_apply(false);
    node->hold_flush(false);
    restart(machine);
  }
  for (int key = 10; key < 100 && clean(); key += 10) must_write("k" + std::to_string(key));
  std::string why = "commands are not answered";
  Micros look = 0;
  const bool rest = run_until([this, &why, &look] {
    if (scheduler_.now() < look) return false;
    look = scheduler_.now() + 100 * kMillisecond;
    return router_.waiting() == 0 && ranges_at_rest(nodes_, checks_.latest(), why);
  });
  if (!rest) checks_.report("liveness", why);
  if (clean()) checks_.at_the_end();
  if (const Violation history = history_.check(); !history.none()) {
    checks_.report(history.checker, history.what);
  }
  return checks_.violation();
}

range::Range* ScriptedStores::replica(Machine machine, RangeId range) {
  return node(machine).up() ? node(machine).host().find(range) : nullptr;
}

bool ScriptedStores::may_serve(Machine machine, RangeId range) {
  StoreNode& there = node(machine);
  return there.up() && there.host().may_serve(range, there.clock());
}

StoreNode* ScriptedStores::leader(RangeId range) { return leader_of(nodes_, range); }

Machine ScriptedStores::leads(RangeId range) {
  run_until([this, range] { return leader(range) != nullptr; });
  StoreNode* const found = leader(range);
  if (found == nullptr) checks_.report("liveness", "no leader");
  return found == nullptr ? 1 : found->machine();
}

void ScriptedStores::on_broken(StoreNode& node, const std::string& why) {
  checks_.report("replayable", "store " + std::to_string(node.id().value) + ": " + why);
}

void ScriptedStores::on_packet(const range::Packet& packet) {
  checks_.on_packet(packet);
  if (on_delivery) on_delivery(packet);
  const auto to = static_cast<Machine>(packet.to.value);
  range::Packet rest = packet;
  std::erase_if(rest.bodies, [this, to](const range::Body& body) {
    const std::pair place(to, range_of(body));
    const bool chunk = std::holds_alternative<range::SnapshotChunk>(body);
    return blocked_.contains(place) || (chunk && no_snapshots_.contains(place));
  });
  nodes_.at(to)->receive(rest);
}

void ScriptedStores::on_reply(StoreNode& node, const range::RangeReady::Answer& answer) {
  if ((answer.id & kManageBit) != 0) {
    managed_[answer.id] = answer.reply.outcome;
    return;
  }
  const auto read = reads_.find(answer.id);
  if (read == reads_.end()) {
    scheduler_.after(kMillisecond, [this, answer] {
      router_.on_reply(answer.id, answer.reply);
      pump();
    });
    return;
  }
  const Read asked = read->second;
  reads_.erase(read);
  range::Range* range = node.host().find(asked.range);
  if (answer.reply.outcome != range::Outcome::kDone || range == nullptr || range->needs_rebuild() ||
      !range->descriptor().boundary.contains(asked.key)) {
    return;
  }
  const auto& values = node.kv(*range).values();
  const auto value = values.find(asked.key);
  history_.read(asked.key, value == values.end() ? "" : value->second, asked.asked,
                scheduler_.now());
}

void ScriptedStores::schedule_client() {
  scheduler_.after(10 * kMillisecond, [this] {
    for (const auto& [machine, node] : nodes_) {
      if (!node->up()) continue;
      for (const auto& [id, range] : node->host().ranges()) {
        if (range->initialised()) router_.learn(range->descriptor());
      }
    }
    router_.tick(scheduler_.now());
    pump();
    schedule_client();
  });
}

void ScriptedStores::pump() {
  route::Router::Out out = router_.take();
  for (const route::Router::Result& result : out.results) {
    if (result.outcome != range::Outcome::kDone) {
      checks_.report("commands are answered", range::describe(result.outcome));
      continue;
    }
    acked_.insert(result.op);
    checks_.on_acked(kClient, result.op);
    history_.write_told(kClient, result.op, result.bytes, scheduler_.now());
  }
  for (route::Router::Request& request : out.requests) {
    const auto to = static_cast<Machine>(request.to.value);
    scheduler_.after(kMillisecond, [this, to, request = std::move(request)] {
      StoreNode& there = *nodes_.at(to);
      if (const auto* data = std::get_if<range::DataRequest>(&request.body)) {
        there.request(request.range, *data);
      } else {
        there.read(request.range, std::get<range::ReadRequest>(request.body));
      }
    });
  }
}

}  // namespace skald::sim
