#include "tests/sim/store_world.h"

#include <algorithm>
#include <sstream>

namespace skald::sim {
namespace {

constexpr std::uint64_t kRequestShift = 40;  ///< client in the upper bits of a request id
constexpr std::size_t kRangesWanted = 10;

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
    clients_[client].router = std::make_unique<route::Router>(lane, route::RouterOptions{});
    clients_[client].router->learn(first);
    schedule_client(client);
  }
}

StoreOutcome StoreWorld::run() {
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
    } else {
      checks_.report("liveness", why);
    }
  }
  collect();
  return {checks_.violation(), stats_, trace_.hash()};
}

void StoreWorld::collect() {
  stats_.seeds = 1;
  stats_.events = scheduler_.executed();
  stats_.virtual_time = scheduler_.now();
  stats_.elections = checks_.elections();
  stats_.served = checks_.serves();
  stats_.splits = checks_.latest().size() - (checks_.latest().empty() ? 0 : 1);
  for (const auto& [id, client] : clients_) stats_.acked += client.acked;
  for (const auto& [machine, node] : nodes_) {
    stats_.snapshots += node->counters().snapshots;
    stats_.restarts += node->counters().restarts;
    if (!node->up()) continue;
    stats_.created += node->host().counters().created;
    stats_.destroyed += node->host().counters().destroyed;
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

void StoreWorld::on_reply(StoreNode&, const range::RangeReady::Answer& answer) {
  const std::uint64_t client = answer.id >> kRequestShift;
  trace_.fold(77, answer.id, static_cast<std::uint64_t>(answer.reply.outcome));
  if (client == 0 || (!calm_ && random_.one_in(50))) return;  // lost
  scheduler_.after(random_.below(3000), [this, client, answer] {
    Client& state = clients_.at(client);
    state.router->on_reply(answer.id & ((std::uint64_t{1} << kRequestShift) - 1), answer.reply);
    step_client(client, state);
  });
}

void StoreWorld::schedule_client(std::uint64_t client) {
  scheduler_.after(random_.below(2 * options_.op_interval + 1), [this, client] {
    Client& state = clients_.at(client);
    if (!calm_ && state.router->waiting() < 40) {
      const std::string key = any_key();
      const std::uint64_t op = state.next_op++;
      state.router->submit(op, key, std::to_string(client) + " " + std::to_string(op) + " " + key);
    }
    if (random_.one_in(20)) {  // what some store announces, new or old
      StoreNode& node = any_node();
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

void StoreWorld::step_client(std::uint64_t client, Client& state) {
  route::Router::Out out = state.router->take();
  for (const route::Router::Result& result : out.results) {
    if (result.outcome == range::Outcome::kDone) {
      ++state.acked;
      checks_.on_acked(client, result.op);
    } else {
      checks_.report("commands are answered", range::describe(result.outcome));
    }
  }
  send_requests(client, std::move(out));
}

void StoreWorld::send_requests(std::uint64_t client, route::Router::Out out) {
  for (route::Router::Request& request : out.requests) {
    if (!calm_ && random_.one_in(50)) continue;
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

StoreNode* StoreWorld::leader_of(RangeId id) {
  for (const auto& [machine, node] : nodes_) {
    if (!node->up() || node->paused()) continue;
    range::Range* range = node->host().find(id);
    if (range != nullptr && range->leads()) return node.get();
  }
  return nullptr;
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
  StoreNode* node = leader_of(at->first);
  if (node == nullptr) return;
  const range::Range& range = *node->host().find(at->first);
  range::ManageRequest request;
  request.epoch = range.epoch();
  const std::uint64_t what = random_.below(8);
  if (what < 2 && ranges.size() < kRangesWanted) {
    request.body = range::SplitAt{any_key(), RangeId{next_range_++}};
  } else if (what < 6) {
    range::ChangeReplicas change;
    const std::uint64_t voters = random_.between(1, std::min<std::uint64_t>(5, options_.stores));
    while (change.voters.size() < voters) change.voters.insert(any_node().id());
    if (random_.one_in(3)) change.learners.insert(any_node().id());
    request.body = std::move(change);
    ++stats_.changes;
  } else {
    request.body = range::TransferTo{any_node().id()};
    ++stats_.transfers;
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
  for (auto& [machine, node] : nodes_) {
    node->calm();
    if (!node->up()) node->start();
  }
}

bool StoreWorld::at_rest(std::string& why) {
  for (const auto& [id, client] : clients_) {
    if (client.router->waiting() == 0) continue;
    why = "client " + std::to_string(id) + " waits for " +
          std::to_string(client.router->waiting()) + " answers";
    return false;
  }
  for (const auto& [id, descriptor] : checks_.latest()) {
    StoreNode* leads = leader_of(id);
    if (leads == nullptr) {
      why = "range " + std::to_string(id.value) + " has no leader";
      return false;
    }
    if (!range_at_rest(leads->host().find(id)->descriptor(), why)) return false;
  }
  for (const auto& [machine, node] : nodes_) {
    for (const auto& [id, range] : node->host().ranges()) {
      StoreNode* leads = leader_of(id);
      if (leads != nullptr && leads->host().find(id)->descriptor().find(range->id())) continue;
      why = "replica " + std::to_string(range->id().value) + " of range " +
            std::to_string(id.value) + " is left over on store " + std::to_string(machine);
      return false;
    }
  }
  return true;
}

bool StoreWorld::range_at_rest(const range::Descriptor& descriptor, std::string& why) {
  why = "not at rest: " + range::describe(descriptor);
  for (const auto& [machine, node] : nodes_) {
    const range::Range* range = node->host().find(descriptor.id);
    if (range == nullptr) continue;
    why += "; " + std::to_string(machine) + ": " + std::to_string(range->id().value) + " term " +
           std::to_string(range->raft().term()) + " stable " +
           std::to_string(range->raft().stable()) + " applied " +
           std::to_string(range->raft().applied()) + (range->needs_rebuild() ? " rebuilds" : "") +
           (range->is_installing() ? " installs" : "");
  }
  range::Range& leads = *leader_of(descriptor.id)->host().find(descriptor.id);
  if (!leads.leads_up_to_date() || !leads.settled()) return false;
  for (const range::Replica& replica : descriptor.replicas) {
    StoreNode& node = *nodes_.at(static_cast<Machine>(replica.store.value));
    range::Range* range = node.host().find(descriptor.id);
    if (range == nullptr || range->id() != replica.id || !range->initialised()) return false;
    if (range->applier().applied().index != leads.applier().applied().index) return false;
    if (options_.range.serve_lease_us == 0) continue;
    why += "; store " + std::to_string(node.id().value) + " may not serve";
    if (!node.host().may_serve(descriptor.id, node.clock())) return false;
  }
  return true;
}

}  // namespace skald::sim
