#include <caf/stateful_actor.hpp>

#include "actors/service_actors.h"

namespace skald::actors {

namespace {

using Self = caf::stateful_actor<RouteKeeperState>*;

/// Set in the numbers of batches that change members of shared groups; the others are the core's.
constexpr std::uint64_t kGroupBatch = std::uint64_t{1} << 63;

void change_group(RouteKeeperState& state, std::uint16_t loop, const RouteWish& wish) {
  const bool join = wish.kind == RouteWish::Kind::join_group;
  state.group_changes.changes.push_back(
      {.kind = join ? dist::RouteChange::Kind::add : dist::RouteChange::Kind::remove,
       .route = {.tenant = std::string(wish.tenant),
                 .filter = wish.filter,
                 .receiver = dist::GroupReceiver{wish.group, wish.member}}});
  state.group_waiters.push_back({loop, wish.token});
}

void send_answers(Self self, const NodeState& node,
                  const std::vector<dispatch::NodeRoutes::Answer>& answers) {
  std::vector<RouteAnswers> by_loop(node.post_offices.size());
  for (const auto& answer : answers) {
    by_loop[answer.loop].answers.push_back({answer.token, answer.outcome});
  }
  for (std::size_t loop = 0; loop < by_loop.size(); ++loop) {
    if (by_loop[loop].answers.empty()) continue;
    self->send(node.post_offices[loop], std::move(by_loop[loop]));
  }
}

void drain(Self self, NodeState& node) {
  RouteKeeperState& state = self->state;
  dispatch::NodeRoutes::Ready ready = state.core->take_ready();
  if (ready.interest) {
    node.interest.publish(
        std::make_shared<const dispatch::InterestSnapshot>(std::move(*ready.interest)));
  }
  for (auto& proposal : ready.proposals) {
    self->send(state.dist, ProposeRoutes{proposal.id, std::move(proposal.command)});
  }
  if (!state.group_changes.changes.empty()) {
    const std::uint64_t batch = kGroupBatch | ++state.last_group_batch;
    state.group_batches.emplace(batch, std::exchange(state.group_waiters, {}));
    self->send(state.dist, ProposeRoutes{batch, std::exchange(state.group_changes, {})});
  }
  send_answers(self, node, ready.answers);
}

void on_group_visible(Self self, const NodeState& node, const RoutesVisible& visible) {
  const auto found = self->state.group_batches.find(visible.batch);
  const std::vector<RouteKeeperState::GroupWaiter> waiters = std::move(found->second);
  self->state.group_batches.erase(found);
  std::vector<dispatch::NodeRoutes::Answer> answers;
  for (std::size_t i = 0; i < waiters.size(); ++i) {
    if (waiters[i].token == 0) continue;
    const dist::RouteResult result = visible.results[i];
    answers.push_back({waiters[i].loop, waiters[i].token,
                       result == dist::RouteResult::full ? dispatch::SubscribeOutcome::full
                       : dist::is_refused(result)        ? dispatch::SubscribeOutcome::failed
                                                         : dispatch::SubscribeOutcome::done});
  }
  send_answers(self, node, answers);
}

}  // namespace

caf::behavior route_keeper(Self self, NodeState* node, caf::actor dist) {
  self->state.core = std::make_unique<dispatch::NodeRoutes>(node->life, node->seed);
  self->state.dist = std::move(dist);
  return {[self, node](const RouteWishes& wishes) {
            RouteKeeperState& state = self->state;
            for (const RouteWish& wish : wishes.wishes) {
              switch (wish.kind) {
                case RouteWish::Kind::subscribe:
                  state.core->subscribe(wish.tenant, wish.filter, wishes.loop, wish.token);
                  break;
                case RouteWish::Kind::unsubscribe:
                  state.core->unsubscribe(wish.tenant, wish.filter, wishes.loop);
                  break;
                case RouteWish::Kind::join_group:
                case RouteWish::Kind::leave_group:
                  change_group(state, wishes.loop, wish);
                  break;
              }
            }
            drain(self, *node);
          },
          [self, node](const RoutesVisible& visible) {
            if ((visible.batch & kGroupBatch) != 0) {
              on_group_visible(self, *node, visible);
              return;
            }
            std::vector<dispatch::NodeRoutes::Outcome> outcomes;
            for (const dist::RouteResult result : visible.results) {
              outcomes.push_back(dispatch::NodeRoutes::outcome_of(result));
            }
            self->state.core->on_reply(visible.batch, outcomes);
            drain(self, *node);
          },
          [self, node](Tick) {
            self->state.core->retry();
            drain(self, *node);
          }};
}

}  // namespace skald::actors
