#include <caf/stateful_actor.hpp>

#include "actors/service_actors.h"

namespace skald::actors {

namespace {

using Self = caf::stateful_actor<MemoryRetainState>*;

retain::Reply apply(Self self, NodeState& node, const retain::Command& command) {
  MemoryRetainState& state = self->state;
  const range::ApplyContext context{.index = ++state.index,
                                    .term = 1,
                                    .stamp_us = node.clock.now_ms() * 1000,
                                    .level = 0,
                                    .lane = {.life = node.life, .number = 0},
                                    .seq = state.index};
  retain::StateMachine::Applied applied = state.machine->apply(context, command);
  if (!applied.effects.empty()) {
    node.retained.publish(
        std::make_shared<const retain::RetainSnapshot>(state.machine->snapshot()));
  }
  return std::move(applied.reply);
}

}  // namespace

caf::behavior memory_retain(Self self, NodeState* node) {
  const retain::Limits limits{.max_messages = node->options.mqtt.max_retained_messages,
                              .max_bytes = node->options.mqtt.max_retained_bytes};
  self->state.machine = std::make_unique<retain::StateMachine>(limits, node->seed);
  return {[self, node](const StoreRetained& wanted) {
            return RetainedStored{apply(self, *node, retain::Store{wanted.publications}).results};
          },
          [self, node](Tick) {
            const auto due = self->state.machine->next_expiry_ms();
            if (!due || *due > node->clock.now_ms()) return;
            // The rest behind what waits meanwhile.
            if (apply(self, *node, retain::Expire{}).more) self->send(self, Tick{});
          }};
}

}  // namespace skald::actors
