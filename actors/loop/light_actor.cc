#include "actors/loop/light_actor.h"

#include <caf/actor_control_block.hpp>
#include <caf/sec.hpp>
#include <mutex>
#include <utility>

namespace skald::actors {

LightActor::LightActor(caf::actor_config& config)
    : caf::local_actor(config), loop_(static_cast<Loop*>(config.host)) {}

void LightActor::launch(caf::execution_unit* host, bool, bool hide) {
  if (!hide) register_at_system();
  context(host);
}

void LightActor::enqueue(caf::mailbox_element_ptr element, caf::execution_unit*) {
  bool taken = false;
  bool first = false;
  {
    const std::lock_guard lock(mtx_);
    first = mailbox_ == nullptr;
    taken = !ended() && (first || mailbox_->size() < kMessagesMax);
    if (taken) {
      if (first) mailbox_ = std::make_unique<Mailbox>();
      mailbox_->push_back(std::move(element));
    }
  }
  if (!taken) {
    bounce(element);
  } else if (first) {
    intrusive_ptr_add_ref_impl();
    loop_->exec_later(this);
  }
}

caf::resumable::resume_result LightActor::resume(caf::execution_unit* host, std::size_t) {
  context(host);
  std::unique_ptr<Mailbox> messages;
  {
    const std::lock_guard lock(mtx_);
    messages = std::move(mailbox_);
  }
  for (caf::mailbox_element_ptr& element : *messages) {
    current_mailbox_element(element.get());
    handle(element);
    current_mailbox_element(nullptr);
  }
  return awaiting_message;
}

void LightActor::handle(caf::mailbox_element_ptr& element) {
  if (ended()) {
    bounce(element);
  } else if (element->content().match_elements<caf::exit_msg>()) {
    on_exit_message(element->content().get_as<caf::exit_msg>(0));
  } else if (!handle_system_message(*element, context(), true) && element->mid.is_request() &&
             element->sender) {
    element->sender->enqueue(caf::strong_actor_ptr{ctrl()}, element->mid.response_id(),
                             caf::make_message(caf::make_error(caf::sec::unexpected_message)),
                             context());
  }
}

void LightActor::intrusive_ptr_add_ref_impl() { caf::intrusive_ptr_add_ref(ctrl()); }
void LightActor::intrusive_ptr_release_impl() { caf::intrusive_ptr_release(ctrl()); }

}  // namespace skald::actors
