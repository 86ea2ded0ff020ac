// An actor of which there are many: it runs only on its loop, as Pinned ones do, and answers to
// CAF's handles, links, monitors and messages as any other.
//
// What an event_based_actor keeps for behaviours, requests, streams and timeouts, 850 bytes a
// piece, it does not have: it understands exit messages and CAF's questions who it is; of all else
// requests are bounced and the rest is dropped. Unlike other actors it does not end by an exit
// message: it is told, and ends by cleanup() when it is done.
#pragma once

#include <caf/behavior.hpp>
#include <caf/local_actor.hpp>
#include <caf/resumable.hpp>
#include <caf/system_messages.hpp>
#include <cstddef>
#include <memory>
#include <vector>

#include "actors/loop/loop.h"

namespace skald::actors {

class LightActor : public caf::local_actor, public caf::resumable {
 public:
  using behavior_type = caf::behavior;  // what makes caf::actor the type of its handles

  /// What may wait for it; beyond that messages are bounced or dropped.
  static constexpr std::size_t kMessagesMax = 1024;

  /// Requires: `config.host` is the loop (spawn_pinned sets it).
  explicit LightActor(caf::actor_config& config);

  using caf::local_actor::enqueue;
  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit*) override;

  void launch(caf::execution_unit* host, bool lazy, bool hide) override;

  Loop& loop() { return *loop_; }

 protected:
  /// Makes sends from an I/O callback go by the loop, as they do from a handler.
  void enter() { context(loop_); }
  bool ended() const { return getf(is_cleaned_up_flag); }
  /// Somebody wants it to end: send_exit, or an actor linked to it. On the loop.
  virtual void on_exit_message(const caf::exit_msg& exit) = 0;

 private:
  using Mailbox = std::vector<caf::mailbox_element_ptr>;

  void handle(caf::mailbox_element_ptr& element);
  resume_result resume(caf::execution_unit* host, std::size_t max_messages) override;
  subtype_t subtype() const override { return scheduled_actor; }
  void intrusive_ptr_add_ref_impl() override;
  void intrusive_ptr_release_impl() override;

  Loop* loop_;
  std::unique_ptr<Mailbox> mailbox_;  // guarded by mtx_; null: nothing waits, and no job is queued
};

}  // namespace skald::actors
