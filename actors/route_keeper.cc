#include "actors/route_keeper.h"

#include "config/base/assert.h"
#include "mqtt/dist/codec.h"
#include "mqtt/dist/keys.h"
#include "mqtt/topic/topic.h"

namespace skald::actors {

namespace {

using Self = caf::stateful_actor<RouteKeeperState>*;
using dispatch::NodeRoutes;
using dispatch::SubscribeOutcome;

/// This lane's number; those of loops are their indexes.
constexpr std::uint32_t kLane = 1000;

SubscribeOutcome outcome_of(dist::RouteResult result) {
  if (result == dist::RouteResult::full) return SubscribeOutcome::full;
  return dist::is_refused(result) ? SubscribeOutcome::failed : SubscribeOutcome::done;
}

void send_answers(Self self, const NodeState& node,
                  const std::vector<NodeRoutes::Answer>& answers) {
  std::vector<RouteAnswers> by_loop(node.post_offices.size());
  for (const auto& answer : answers) {
    by_loop[answer.loop].answers.push_back({answer.token, answer.outcome});
  }
  for (std::size_t loop = 0; loop < by_loop.size(); ++loop) {
    if (by_loop[loop].answers.empty()) continue;
    self->send(node.post_offices[loop], std::move(by_loop[loop]));
  }
}

std::uint64_t propose(RouteKeeperState& state, const dist::ChangeRoutes& changes) {
  const std::uint64_t op = ++state.last_op;
  state.router->submit(op, dist::route_key(changes.changes.front().route),
                       dist::encode_command(changes));
  return op;
}

void propose_passed(RouteKeeperState& state) {
  if (state.changes.changes.empty()) return;
  const std::uint64_t op = propose(state, std::exchange(state.changes, {}));
  state.sent.emplace(op, std::exchange(state.passed, {}));
}

void on_core_result(RouteKeeperState& state, std::uint64_t batch,
                    const route::Router::Result& result) {
  std::vector<NodeRoutes::Outcome> outcomes;
  if (result.outcome == range::Outcome::kDone) {
    const auto reply = dist::decode_reply(result.bytes);
    SKALD_ASSERT(reply.ok());
    for (const dist::RouteResult one : reply->results) {
      outcomes.push_back(NodeRoutes::outcome_of(one));
    }
  }
  state.core->on_reply(batch, outcomes);
}

void on_passed_result(Self self, const NodeState& node, const RouteKeeperState::Passed& passed,
                      const route::Router::Result& result) {
  if (passed.intent_range) {
    self->send(node.stores[static_cast<std::size_t>(StoreKind::inbox)],
               IntentsDone{passed.intent_range, {passed.intent}});
    return;
  }
  dist::Reply reply;
  if (result.outcome == range::Outcome::kDone) {
    auto decoded = dist::decode_reply(result.bytes);
    SKALD_ASSERT(decoded.ok());
    reply = std::move(*decoded);
  }
  std::vector<NodeRoutes::Answer> answers;
  for (std::size_t i = 0; i < passed.waiters.size(); ++i) {
    if (passed.waiters[i].token == 0) continue;
    answers.push_back(
        {passed.waiters[i].loop, passed.waiters[i].token,
         i < reply.results.size() ? outcome_of(reply.results[i]) : SubscribeOutcome::failed});
  }
  send_answers(self, node, answers);
}

void on_result(Self self, const NodeState& node, const route::Router::Result& result) {
  RouteKeeperState& state = self->state;
  if (const auto batch = state.batches.find(result.op); batch != state.batches.end()) {
    const std::uint64_t number = batch->second;
    state.batches.erase(batch);
    if (result.outcome == range::Outcome::kDone) on_core_result(state, number, result);
    return;  // otherwise this life has ended: nobody is answered any more
  }
  const auto found = state.sent.find(result.op);
  const RouteKeeperState::Passed passed = std::move(found->second);
  state.sent.erase(found);
  on_passed_result(self, node, passed, result);
}

/// Carries out what the core and the router say until nothing is left.
void drain(Self self, NodeState& node) {
  RouteKeeperState& state = self->state;
  propose_passed(state);
  for (;;) {
    NodeRoutes::Ready ready = state.core->take_ready();
    node.filters.store(state.core->filters(), std::memory_order_relaxed);
    if (ready.interest) {
      node.interest.publish(
          std::make_shared<const dispatch::InterestSnapshot>(std::move(*ready.interest)));
    }
    for (const auto& proposal : ready.proposals) {
      const std::uint64_t op = propose(state, proposal.command);
      state.batches.emplace(op, proposal.id);
    }
    send_answers(self, node, ready.answers);
    route::Router::Out out = state.router->take();
    if (!out.requests.empty()) {
      self->send(node.stores[static_cast<std::size_t>(StoreKind::dist)],
                 RangeRequests{std::move(out.requests)});
    }
    if (out.results.empty()) return;
    for (const route::Router::Result& result : out.results) on_result(self, node, result);
  }
}

void pass_through(RouteKeeperState& state, std::uint16_t loop, const RouteWish& wish) {
  const bool add = wish.kind == RouteWish::Kind::add;
  state.changes.changes.push_back(
      {.kind = add ? dist::RouteChange::Kind::add : dist::RouteChange::Kind::remove,
       .route = {.tenant = std::string(wish.tenant),
                 .filter = wish.filter,
                 .receiver = wish.receiver},
       .max_members = wish.max_members});
  state.passed.waiters.push_back({loop, wish.token});
}

void on_wishes(RouteKeeperState& state, const RouteWishes& wishes) {
  for (const RouteWish& wish : wishes.wishes) {
    switch (wish.kind) {
      case RouteWish::Kind::subscribe:
        state.core->subscribe(wish.tenant, wish.filter, wishes.loop, wish.token);
        break;
      case RouteWish::Kind::unsubscribe:
        state.core->unsubscribe(wish.tenant, wish.filter, wishes.loop);
        break;
      case RouteWish::Kind::add:
      case RouteWish::Kind::remove:
        pass_through(state, wishes.loop, wish);
        break;
    }
  }
}

/// The routes of a session that has ended; what came before it goes first.
void on_ended(Self self, const NodeState& node, const EndedRoutes& ended) {
  RouteKeeperState& state = self->state;
  propose_passed(state);
  if (ended.remove.routes.empty()) {
    self->send(node.stores[static_cast<std::size_t>(StoreKind::inbox)],
               IntentsDone{ended.range, {ended.remove.intent}});
    return;
  }
  for (const inbox::RemoveRoutes::Route& route : ended.remove.routes) {
    const topic::Filter parsed = topic::parse_filter(route.filter, {});
    dist::InboxReceiver inbox;
    inbox.inbox = ended.remove.name.client_id;
    inbox.incarnation = route.incarnation;
    dist::Receiver receiver = inbox;
    if (parsed.shared()) {
      receiver = dist::GroupReceiver{std::string(parsed.group), dist::InboxMember{inbox, {}, 0}};
    }
    state.changes.changes.push_back({.kind = dist::RouteChange::Kind::remove,
                                     .route = {.tenant = ended.remove.name.tenant,
                                               .filter = std::string(parsed.filter),
                                               .receiver = std::move(receiver)}});
  }
  state.passed.intent_range = ended.range;
  state.passed.intent = ended.remove.intent;
  propose_passed(state);
}

}  // namespace

caf::behavior route_keeper(Self self, NodeState* node) {
  RouteKeeperState& state = self->state;
  state.core = std::make_unique<NodeRoutes>(node->life, node->seed);
  state.router =
      std::make_unique<route::Router>(range::LaneId{node->life, kLane}, route::RouterOptions{});
  for (const auto& range : node->ranges[static_cast<std::size_t>(StoreKind::dist)]) {
    state.router->learn(range);
  }
  return {[self, node](const RouteWishes& wishes) {
            on_wishes(self->state, wishes);
            drain(self, *node);
          },
          [self, node](const EndedRoutes& ended) {
            on_ended(self, *node, ended);
            drain(self, *node);
          },
          [self, node](const RangeReplies& replies) {
            for (const auto& [id, reply] : replies.replies) {
              self->state.router->on_reply(id, reply);
            }
            drain(self, *node);
          },
          [self, node](Tick) {
            self->state.router->tick(Clock::monotonic_us());
            self->state.core->retry();
            drain(self, *node);
          }};
}

}  // namespace skald::actors
