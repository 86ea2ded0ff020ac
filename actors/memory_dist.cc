#include <caf/stateful_actor.hpp>

#include "actors/service_actors.h"

namespace skald::actors {

caf::behavior memory_dist(caf::stateful_actor<MemoryDistState>* self, NodeState* node) {
  self->state.machine = std::make_unique<dist::StateMachine>(node->seed);
  self->state.machine->boundary_changed({});
  return {[self, node](const ProposeRoutes& proposed) {
    MemoryDistState& state = self->state;
    const range::ApplyContext context{.index = ++state.index,
                                      .term = 1,
                                      .stamp_us = node->clock.now_ms() * 1000,
                                      .level = 0,
                                      .lane = {.life = node->life, .number = 0},
                                      .seq = ++state.seq};
    dist::StateMachine::Applied applied = state.machine->apply(context, proposed.command);
    for (const auto& [scope, effect] : applied.effects) {
      if (scope != range::EffectScope::every_replica) continue;
      node->routes.publish(std::make_shared<const dist::RouteSnapshot>(state.machine->snapshot()));
    }
    return RoutesVisible{proposed.batch, std::move(applied.reply.results)};
  }};
}

}  // namespace skald::actors
