// An actor that runs only on its loop.
//
// CAF resumes an actor on the execution unit that its enqueue passes on; passing the loop pins it
// there, as CAF's own brokers are pinned to the multiplexer.
#pragma once

#include <caf/event_based_actor.hpp>
#include <utility>

#include "actors/loop/loop.h"

namespace skald::actors {

class Pinned : public caf::event_based_actor {
 public:
  /// Requires: `config.host` is the loop (spawn_pinned sets it).
  explicit Pinned(caf::actor_config& config)
      : caf::event_based_actor(config), loop_(static_cast<Loop*>(config.host)) {}

  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit*) override {
    caf::event_based_actor::enqueue(std::move(element), loop_);
  }
  void enqueue(caf::strong_actor_ptr sender, caf::message_id id, caf::message content,
               caf::execution_unit*) override {
    caf::event_based_actor::enqueue(std::move(sender), id, std::move(content), loop_);
  }

  Loop& loop() { return *loop_; }

 protected:
  /// Makes sends from an I/O callback go by the loop, as they do from a handler.
  void enter() { context(loop_); }

 private:
  Loop* loop_;
};

/// Spawns a Pinned actor; `Options` as for caf::actor_system::spawn.
template <class Actor, caf::spawn_options Options = caf::no_spawn_options, class... Args>
caf::actor spawn_pinned(Loop& loop, Args&&... args) {
  caf::actor_config config{&loop};
  return loop.system().spawn_class<Actor, Options>(config, std::forward<Args>(args)...);
}

}  // namespace skald::actors
