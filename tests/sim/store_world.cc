#include "tests/sim/store_world.h"

#include <algorithm>
#include <sstream>

#include "tests/sim/store_rest.h"

namespace skald::sim {
namespace {

constexpr std::uint64_t kRequestShift = 40;  ///< client in the upper bits of a request id
constexpr std::uint64_t kReadBit = std::uint64_t{1} << 39;
constexpr std::size_t kReadsMax = 50;
constexpr std::size_t kRangesWanted = 10;
constexpr std::uint64_t kCalmWork = 10;  ///< of each client, when the faults have ended

}  // namespace

StoreWorld::StoreWorld(const StoreOptions& options, bool loud)
    : options_(options),
      trace_(scheduler_, loud),
      random_(mix_seed(options.seed) ^ 0x570e),
      faults_(random_.fork()),
      network_(scheduler_, random_.fork(), options.network,
               [this](Machine machine, Machine peer) { nodes_.at(machine)->disconnected(peer); }),
      checks_(nodes_) {
  StoreObserver& self = *this;
  for (Machine machine = 1; machine <= options_.stores; ++machine) {
    nodes_[machine] = std::make_unique<StoreNode>(range::StoreId{machine}, scheduler_, network_,
                                                  trace_, self, options_, random_.fork());
  }
}

void StoreWorld::genesis() {
  range::Descriptor first;
  first.id = RangeId{1};
  first.epoch = {1, 1};
  first.genesis = {77, 1, false};
  for (std::uint64_t voter = 1; voter <= options_.voters; ++voter) {
    first.replicas.push_back({range::StoreId{voter}, ReplicaId{voter}, {}});
  }
  for (auto& [machine, node] : nodes_) {
    node->start();
    if (machine <= options_.voters) node->bootstrap(first);
  }
  for (std::uint64_t client = 1; client <= options_.clients; ++client) {
    const range::LaneId lane{{NodeId{100 + client}, LifeNumber{1}}, 1};
    clients_[client].router = std::make_unique<route::Router>(lane, options_.router);
    clients_[client].router->learn(first);
    schedule_client(client);
  }
}

Outcome StoreWorld::run() {
  genesis();
  schedule_manage();
  schedule_fault();
  while (checks_.violation().none() && scheduler_.step(options_.safety)) {
  }
  std::string why;
  if (checks_.violation().none()) {
    calm();
    const Micros end = scheduler_.now() + options_.liveness;
    bool rest = false;
    for (Micros look = scheduler_.now(); checks_.violation().none() && !rest && look < end;) {
      look += kSecond;
      while (checks_.violation().none() && scheduler_.step(look)) {
      }
      rest = at_rest(why);
    }
    if (rest) {
      checks_.at_the_end();
      const Violation history = history_.check();
      if (!history.none()) checks_.report(history.checker, history.what);
    } else {
      checks_.report("liveness", why);
    }
  }
  collect();
  return {checks_.violation(), stats_, trace_.hash()};
}

void StoreWorld::collect() {
  stats_[Count::kSeeds] = 1;
  stats_[Count::kEvents] = scheduler_.executed();
  stats_[Count::kMicros] = scheduler_.now();
  stats_[Count::kElections] = checks_.elections();
  stats_[Count::kServed] = checks_.serves();
  stats_[Count::kConfigs] = checks_.config_changes();
  stats_[Count::kSplits] = checks_.latest().size() - (checks_.latest().empty() ? 0 : 1);
  stats_[Fault::kSplit] = stats_[Count::kSplits];
  stats_[Count::kTransfers] = stats_[Fault::kTransfer];
  stats_[Count::kMessages] = network_.counters().sent;
  stats_[Count::kLost] = network_.counters().lost;
  for (const auto& [id, client] : clients_) {
    stats_[Count::kAcked] += client.acked;
    stats_[Count::kReads] += client.reads;
  }
  for (const auto& [machine, node] : nodes_) {
    stats_[Count::kSnapshots] += node->counters().snapshots;
    stats_[Count::kStarts] += node->counters().restarts;
    stats_[Count::kSyncs] += node->disk().counters().syncs;
    stats_[Fault::kDamage] += node->counters().damaged;
    if (!node->up()) continue;
    stats_[Count::kMade] += node->host().counters().created;
    stats_[Count::kDestroyed] += node->host().counters().destroyed;
  }
  for (const Fault always : {Fault::kNetwork, Fault::kDiskSlow, Fault::kDrift, Fault::kSnapshot}) {
    if (options_.has(always)) stats_[always] = 1;
  }
}

void StoreWorld::on_ready(StoreNode& node, const range::HostReady& ready) {
  checks_.on_ready(node, ready);
  if (!trace_.loud()) return;
  for (const auto& event : ready.events) {
    static constexpr const char* kNames[] = {"leads", "pre-campaigns", "campaigns", "follows",
                                             "steps down"};
    const auto kind = static_cast<std::size_t>(event.event.kind);
    if (kind < 5) {
      trace_.say(node.id().value, "r" + std::to_string(event.range.value) + "/" +
                                      std::to_string(event.replica.value) + " " + kNames[kind] +
                                      " t" + std::to_string(event.event.term));
    }
  }
}

void StoreWorld::on_packet(const range::Packet& packet) {
  checks_.on_packet(packet);
  nodes_.at(static_cast<Machine>(packet.to.value))->receive(packet);
}

void StoreWorld::on_broken(StoreNode& node, const std::string& why) {
  checks_.report("replayable", "store " + std::to_string(node.id().value) + ": " + why);
}

void StoreWorld::on_failed(StoreNode& node) {
  crash_and_restart(node.machine(), random_.between(20, 3000) * kMillisecond);
}

void StoreWorld::on_reply(StoreNode& node, const range::RangeReady::Answer& answer) {
  const std::uint64_t client = answer.id >> kRequestShift;
  trace_.fold(77, answer.id, static_cast<std::uint64_t>(answer.reply.outcome));
  if ((answer.id & kReadBit) != 0 && client == 0) return told_read(node, answer);
  if (client == 0 || (!calm_ && random_.one_in(options_.loss_one_in))) return;  // lost
  scheduler_.after(random_.below(3000), [this, client, answer] {
    Client& state = clients_.at(client);
    state.router->on_reply(answer.id & ((std::uint64_t{1} << kRequestShift) - 1), answer.reply);
    step_client(client, state);
  });
}

void StoreWorld::schedule_client(std::uint64_t client) {
  scheduler_.after(random_.below(2 * options_.op_interval + 1), [this, client] {
    Client& state = clients_.at(client);
    work(client, state);
    if (random_.one_in(20)) {  // what some store announces, new or old
      StoreNode& node = any_node(random_);
      if (node.up()) {
        for (const auto& [id, range] : node.host().ranges()) {
          if (range->initialised()) state.router->learn(range->descriptor());
        }
      }
    }
    state.router->tick(scheduler_.now());
    step_client(client, state);
    schedule_client(client);
  });
}

/// When the faults have ended, each client does a little more and comes to rest.
void StoreWorld::work(std::uint64_t client, Client& state) {
  if (calm_ && state.work() >= state.work_when_calm + kCalmWork) return;
  if (random_.one_in(6)) ask_read(client);
  if (state.router->waiting() >= (calm_ ? 3 : 40)) return;
  const std::string key = any_key();
  const std::uint64_t op = state.next_op++;
  history_.write_asked(client, op, key, scheduler_.now());
  state.router->submit(op, key, std::to_string(client) + " " + std::to_string(op) + " " + key);
}

/// A few keys are asked for again and again.
std::string StoreWorld::any_key() {
  return "k" +
         std::to_string(random_.one_in(2) ? 15 * random_.between(1, 6) : random_.between(10, 99));
}

/// Of any replica that may have the key: what it knows when it answers is what is read.
void StoreWorld::ask_read(std::uint64_t client) {
  const std::string key = any_key();
  StoreNode& node = any_node(random_);
  if (!node.up()) return;
  for (const auto& [id, range] : node.host().ranges()) {
    if (!range->initialised() || !range->descriptor().boundary.contains(key)) continue;
    const std::uint64_t number = kReadBit | next_read_++;
    if (reads_.size() >= kReadsMax) reads_.erase(reads_.begin());  // never answered, most likely
    reads_[number] = {client, id, key, scheduler_.now()};
    node.read(id, {number, random_.one_in(2) ? range->epoch().boundary_ver : 0, {}});
    return;
  }
}

void StoreWorld::told_read(StoreNode& node, const range::RangeReady::Answer& answer) {
  const auto found = reads_.find(answer.id);
  if (found == reads_.end()) return;
  const Read read = std::move(found->second);
  reads_.erase(found);
  if (answer.reply.outcome != range::Outcome::kDone) return;
  range::Range* range = node.host().find(read.range);
  if (range == nullptr || range->needs_rebuild()) return;
  if (!range->descriptor().boundary.contains(read.key)) return;
  const auto& values = node.kv(*range).values();
  const auto value = values.find(read.key);
  history_.read(read.key, value == values.end() ? "" : value->second, read.asked, scheduler_.now());
  ++clients_.at(read.client).reads;
}

void StoreWorld::step_client(std::uint64_t client, Client& state) {
  route::Router::Out out = state.router->take();
  for (const route::Router::Result& result : out.results) {
    if (result.outcome == range::Outcome::kDone) {
      ++state.acked;
      checks_.on_acked(client, result.op);
      history_.write_told(client, result.op, result.bytes, scheduler_.now());
    } else {
      checks_.report("commands are answered", range::describe(result.outcome));
    }
  }
  send_requests(client, std::move(out));
}

void StoreWorld::send_requests(std::uint64_t client, route::Router::Out out) {
  for (route::Router::Request& request : out.requests) {
    if (!calm_ && random_.one_in(options_.loss_one_in)) continue;
    const auto to = static_cast<Machine>(request.to.value);
    const std::uint64_t bits = client << kRequestShift;
    scheduler_.after(random_.below(3000), [this, to, bits, request = std::move(request)] {
      StoreNode& node = *nodes_.at(to);
      if (const auto* data = std::get_if<range::DataRequest>(&request.body)) {
        range::DataRequest copy = *data;
        copy.id |= bits;
        node.request(request.range, copy);
      } else {
        range::ReadRequest copy = std::get<range::ReadRequest>(request.body);
        copy.id |= bits;
        node.read(request.range, copy);
      }
    });
  }
}

void StoreWorld::schedule_manage() {
  scheduler_.after(random_.below(2 * options_.manage_interval + 1), [this] {
    if (calm_) return;
    manage_one();
    schedule_manage();
  });
}

void StoreWorld::manage_one() {
  const auto& ranges = checks_.latest();
  if (ranges.empty()) return;
  auto at = ranges.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(random_.below(ranges.size())));
  StoreNode* node = leader_of(nodes_, at->first);
  if (node == nullptr) return;
  const range::Range& range = *node->host().find(at->first);
  range::ManageRequest request;
  request.epoch = range.epoch();
  const std::uint64_t what = random_.below(8);
  if (what < 2) {
    if (ranges.size() >= kRangesWanted || !options_.has(Fault::kSplit)) return;
    request.body = range::SplitAt{any_key(), RangeId{next_range_++}};
  } else if (what < 6) {
    if (!options_.has(Fault::kMembership)) return;
    range::ChangeReplicas change;
    const std::uint64_t voters = random_.between(1, std::min<std::uint64_t>(5, options_.stores));
    while (change.voters.size() < voters) change.voters.insert(any_node(random_).id());
    if (random_.one_in(3)) change.learners.insert(any_node(random_).id());
    request.body = std::move(change);
    ++stats_[Fault::kMembership];
  } else {
    if (!options_.has(Fault::kTransfer)) return;
    request.body = range::TransferTo{any_node(random_).id()};
    ++stats_[Fault::kTransfer];
  }
  if (trace_.loud()) trace_.say(0, "manages " + range::describe(range.descriptor()));
  request.id = next_manage_++;
  node->manage(at->first, request);
}

void StoreWorld::calm() {
  calm_ = true;
  network_.calm();
  network_.heal_all();
  if (trace_.loud()) trace_.say(0, "calm");
  for (auto& [id, client] : clients_) client.work_when_calm = client.work();
  for (auto& [machine, node] : nodes_) {
    node->calm();
    if (!node->up()) node->start();
  }
}

bool StoreWorld::at_rest(std::string& why) {
  for (const auto& [id, client] : clients_) {
    if (client.work() < client.work_when_calm + kCalmWork) {
      why = "client " + std::to_string(id) + " gets nothing done";
      return false;
    }
    if (client.router->waiting() == 0) continue;
    why = "client " + std::to_string(id) + " waits for " +
          std::to_string(client.router->waiting()) + " answers";
    return false;
  }
  return ranges_at_rest(nodes_, checks_.latest(), why);
}

}  // namespace skald::sim
