// The one way of this node to the dist range: what its loops, sessions and groups want routed.
//
// Transient subscribers are gathered to one route a (filter, life) by dispatch::NodeRoutes; routes
// of group members and of inboxes pass through. Everything goes on one lane, in order. Runs on
// CAF's workers.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "actors/messages.h"
#include "actors/node_state.h"
#include "kv/route/router.h"
#include "mqtt/dispatch/node_routes.h"

namespace skald::actors {

/// Takes RouteWishes, EndedRoutes, RangeReplies and Tick; answers RouteAnswers when a route is
/// visible to all, and IntentsDone.
struct RouteKeeperState {
  static inline const char* name = "route_keeper";

  /// A post office that waits for a passed through change; token 0: nobody.
  struct Waiter {
    std::uint16_t loop = 0;
    std::uint64_t token = 0;
  };
  /// A command of passed through changes: for loops, one waiter a change, or an intent.
  struct Passed {
    std::vector<Waiter> waiters;
    RangeId intent_range;  // 0: no intent
    std::uint64_t intent = 0;
  };

  explicit RouteKeeperState(caf::event_based_actor*) {}

  std::unique_ptr<dispatch::NodeRoutes> core;
  std::unique_ptr<route::Router> router;
  dist::ChangeRoutes changes;                                 // of the message being handled
  Passed passed;                                              // who waits for them
  absl::flat_hash_map<std::uint64_t, Passed> sent;            // by the router's op
  absl::flat_hash_map<std::uint64_t, std::uint64_t> batches;  // op -> batch of the core
  std::uint64_t last_op = 0;
};
caf::behavior route_keeper(caf::stateful_actor<RouteKeeperState>* self, NodeState* node);

}  // namespace skald::actors
