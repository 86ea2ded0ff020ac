#include "tests/sim/life_world.h"

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "kv/meta/end_life_driver.h"
#include "kv/meta/life_holder.h"
#include "kv/meta/life_watch.h"
#include "kv/meta/state_machine.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/trace.h"

namespace skald::sim {
namespace {

constexpr Micros kRun = 60 * kSecond;
constexpr Micros kCalm = 30 * kSecond;
constexpr store::StoreNumber kStores = 2;

struct Clock {
  std::uint64_t offset = 0;
  std::uint64_t rate_per_mille = 1000;

  std::uint64_t at(Micros now) const { return offset + now * rate_per_mille / 1000; }
};

struct Node {
  Clock clock;
  std::unique_ptr<meta::LifeHolder> holder;
  Micros paused_until = 0;
  std::uint64_t process = 0;
};

struct Proposal {
  meta::Command command;
  std::size_t node = 0;
  std::uint64_t process = 0;
  std::uint64_t number = 0;  ///< of the holder's request; 0: the leader's own
};

/// One leadership. From `cut` on it commits nothing, and does not know.
struct Leader {
  Clock clock;
  meta::LifeWatch watch;
  meta::EndLifeDriver driver;
  std::deque<Proposal> flight;
  bool cut = false;
};

class LifeWorld {
 public:
  explicit LifeWorld(std::uint64_t seed) : random_(mix_seed(seed) ^ 0x11fe) {
    slow_ = random_.between(1, 40) * 10 * kMillisecond;
    for (store::StoreNumber store = 0; store < kStores; ++store) {
      range::Descriptor left;
      left.id = RangeId{1};
      left.boundary.end = "m";
      range::Descriptor right;
      right.id = RangeId{2};
      right.boundary.start = "m";
      routes_[store].learn(left);
      routes_[store].learn(right);
      tables_[store] = &routes_[store];
    }
    for (std::uint64_t id = 1; id <= 3; ++id) {
      nodes_.push_back({draw_clock(), std::make_unique<meta::LifeHolder>(NodeId{id}), 0, 0});
      nodes_.back().holder->begin(next_nonce_++, false);
    }
    elect();
  }

  Violation run() {
    while (violation_.none() && now_ < kRun + kCalm) {
      now_ += random_.between(1, 20) * kMillisecond;
      while (violation_.none() && scheduler_.step(now_)) check();
      if (now_ < kRun) disturb();
      step();
      check();
    }
    if (violation_.none()) at_the_end();
    return violation_;
  }

 private:
  Clock draw_clock() { return {random_.below(kSecond), random_.between(990, 1010)}; }

  /// What the last leader had under way may still be committed, before the new one's no-op.
  void elect() {
    if (!leaders_.empty()) {
      std::deque<Proposal> kept = leaders_.back()->flight;
      kept.resize(random_.below(kept.size() + 1));
      for (Proposal& proposal : kept) {
        proposal.number = 0;
        apply(proposal, nullptr);
      }
    }
    leaders_.push_back(std::make_unique<Leader>());
    leaders_.back()->clock = draw_clock();
    deliver(*leaders_.back(), machine_.leader_started(leaders_.size(), 0));
  }

  void disturb() {
    if (!leaders_.back()->cut && random_.one_in(400)) leaders_.back()->cut = true;
    Node& node = nodes_[random_.below(nodes_.size())];
    if (random_.one_in(500)) node.paused_until = now_ + random_.below(6 * kSecond);
    if (random_.one_in(1500)) {  // dies; another process takes its place
      node.clock = draw_clock();
      ++node.process;
      node.holder = std::make_unique<meta::LifeHolder>(
          NodeId{1 + static_cast<std::uint64_t>(&node - nodes_.data())});
      node.holder->begin(next_nonce_++, random_.one_in(2));
    }
  }

  void step() {
    if (leaders_.back()->cut && random_.one_in(20)) elect();
    for (const auto& leader : leaders_) {
      if (leaders_.size() > 3 && leader.get() != leaders_.back().get()) continue;
      lead(*leader);
    }
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      Node& node = nodes_[i];
      if (now_ < node.paused_until) continue;
      if (node.holder->state(node.clock.at(now_)) == meta::LifeHolder::State::kEnded) {
        node.holder->begin(next_nonce_++, false);
      }
      const auto request = node.holder->tick(node.clock.at(now_));
      if (!request || (now_ < kRun && random_.one_in(10))) continue;
      const std::size_t back = random_.below(std::min<std::size_t>(leaders_.size(), 3));
      Leader* to =
          leaders_[leaders_.size() - 1 - (now_ < kRun && random_.one_in(3) ? back : 0)].get();
      scheduler_.at(now_ + random_.below(slow_), [this, to, i, request, process = node.process] {
        to->flight.push_back({request->command, i, process, request->number});
        commit_later(*to);
      });
    }
  }

  void lead(Leader& leader) {
    const std::uint64_t now = leader.clock.at(now_);
    for (const meta::EndLife& end : leader.watch.tick(now)) propose(leader, end);
    for (const auto& send : leader.driver.tick(now, tables_)) {
      if (random_.one_in(3)) continue;
      scheduler_.at(now_ + random_.below(slow_), [this, &leader, send] {
        leader.driver.on_done(send.life, send.store,
                              routes_[send.store].range(send.range)->boundary);
      });
    }
    for (const Life life : leader.driver.complete(tables_)) propose(leader, meta::IntentDone{life});
  }

  void propose(Leader& leader, meta::Command command) {
    leader.flight.push_back({std::move(command), 0, 0, 0});
    commit_later(leader);
  }

  void commit_later(Leader& leader) {
    scheduler_.after(random_.below(50 * kMillisecond), [this, &leader] {
      if (leader.cut || &leader != leaders_.back().get() || leader.flight.empty()) return;
      const Proposal proposal = std::move(leader.flight.front());
      leader.flight.pop_front();
      apply(proposal, &leader);
    });
  }

  void apply(const Proposal& proposal, Leader* leader) {
    range::ApplyContext context;
    context.index = ++index_;
    context.stamp_us = 1000 + index_;
    const auto applied = machine_.apply(context, proposal.command);
    if (std::holds_alternative<meta::RenewLife>(proposal.command)) ++renewals_;
    if (leader == nullptr) return;
    // The leader's apply lags behind the commit.
    scheduler_.after(random_.below(slow_), [this, leader, applied, proposal] {
      deliver(*leader, applied.effects);
      if (const auto* end = std::get_if<meta::EndLife>(&proposal.command)) {
        if (applied.reply.outcome != meta::Outcome::kRenewed) leader->watch.on_ended(end->life);
      }
      if (const auto* done = std::get_if<meta::IntentDone>(&proposal.command)) {
        leader->driver.close(done->life);
      }
      if (proposal.number == 0) return;
      const Micros arrives = scheduler_.now() + random_.below(slow_);
      scheduler_.at(arrives, [this, proposal, applied] {
        Node& node = nodes_[proposal.node];
        if (node.process != proposal.process) return;
        node.holder->on_reply(proposal.number, applied.reply);
      });
    });
  }

  void deliver(Leader& leader, const meta::StateMachine::Effects& effects) {
    for (const auto& [scope, effect] : effects) {
      if (const auto* seen = std::get_if<meta::LifeSeen>(&effect)) {
        leader.watch.on_seen(*seen, leader.clock.at(std::max(now_, scheduler_.now())));
      } else if (const auto* intent = std::get_if<meta::EndIntent>(&effect)) {
        leader.watch.on_ended(intent->life);
        leader.driver.open(intent->life);
        ++ended_;
      }
    }
  }

  void check() {
    const Micros now = std::max(now_, scheduler_.now());
    for (const Node& node : nodes_) {
      if (node.holder->state(node.clock.at(now)) != meta::LifeHolder::State::kAlive) continue;
      if (machine_.is_alive(node.holder->life())) continue;
      violation_ = {"one live holder",
                    "life " + std::to_string(node.holder->life().number.value) + " of node " +
                        std::to_string(node.holder->life().node.value) + " was ended"};
    }
  }

  void at_the_end() {
    for (const Node& node : nodes_) {
      if (node.holder->state(node.clock.at(now_)) != meta::LifeHolder::State::kAlive) {
        violation_ = {"liveness", "a node has no life"};
      }
    }
    if (machine_.lives().size() != nodes_.size()) violation_ = {"liveness", "a life too many"};
    if (!machine_.intents().empty()) {
      violation_ = {"liveness", "an end was not carried out"};
    }
    if (renewals_ < 100) violation_ = {"liveness", "too few renewals"};
  }

  Random random_;
  Scheduler scheduler_;
  Micros now_ = 0;
  Micros slow_ = 0;
  meta::StateMachine machine_;
  std::uint64_t index_ = 0;
  std::uint64_t next_nonce_ = 1;
  std::vector<Node> nodes_;
  std::vector<std::unique_ptr<Leader>> leaders_;
  std::map<store::StoreNumber, route::RouteTable> routes_;
  meta::EndLifeDriver::Tables tables_;
  std::uint64_t renewals_ = 0;
  std::uint64_t ended_ = 0;
  Violation violation_;
};

}  // namespace

Violation run_lives(std::uint64_t seed) { return LifeWorld(seed).run(); }

}  // namespace skald::sim
