// The actors of a node that are not tied to a loop: they run on CAF's workers and step cores.
//
// Each is a State that holds a core, and a function that returns the behaviour; the handlers feed
// the core and carry out what it says.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <caf/actor.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "actors/messages.h"
#include "actors/node_state.h"
#include "mqtt/dispatch/node_routes.h"
#include "mqtt/dist/state_machine.h"
#include "mqtt/retain/state_machine.h"
#include "mqtt/session/directory.h"

namespace skald::actors {

/// Who owns a client id. Takes DirectoryChanges; answers DirectoryVerdicts.
struct DirectoryState {
  static inline const char* name = "directory";
  session::Directory core;
};
caf::behavior directory(caf::stateful_actor<DirectoryState>* self, NodeState* node);

/// What this node tells the dist range about its subscribers, and its loops about each other. Takes
/// RouteWishes, RoutesVisible and Tick; answers RouteAnswers when a route is visible to all.
struct RouteKeeperState {
  static inline const char* name = "route_keeper";
  /// A change of a shared group's member and who waits for it; loop and token 0: nobody.
  struct GroupWaiter {
    std::uint16_t loop = 0;
    std::uint64_t token = 0;
  };

  explicit RouteKeeperState(caf::event_based_actor*) {}

  std::unique_ptr<dispatch::NodeRoutes> core;
  caf::actor dist;
  dist::ChangeRoutes group_changes;  // of the message being handled
  std::vector<GroupWaiter> group_waiters;
  absl::flat_hash_map<std::uint64_t, std::vector<GroupWaiter>> group_batches;
  std::uint64_t last_group_batch = 0;
};
caf::behavior route_keeper(caf::stateful_actor<RouteKeeperState>* self, NodeState* node,
                           caf::actor dist);

/// The dist range of a node that stands alone, in memory: applies what is proposed and publishes
/// the routes before it says that they are visible. Takes ProposeRoutes; answers RoutesVisible.
struct MemoryDistState {
  static inline const char* name = "dist";

  explicit MemoryDistState(caf::event_based_actor*) {}

  std::unique_ptr<dist::StateMachine> machine;
  std::uint64_t index = 0;
  std::uint64_t seq = 0;
};
caf::behavior memory_dist(caf::stateful_actor<MemoryDistState>* self, NodeState* node);

/// The retain range of a node that stands alone, in memory. Takes StoreRetained and, to let
/// messages expire, Tick; answers RetainedStored when the snapshot is published.
struct MemoryRetainState {
  static inline const char* name = "retain";

  explicit MemoryRetainState(caf::event_based_actor*) {}

  std::unique_ptr<retain::StateMachine> machine;
  std::uint64_t index = 0;
};
caf::behavior memory_retain(caf::stateful_actor<MemoryRetainState>* self, NodeState* node);

}  // namespace skald::actors
