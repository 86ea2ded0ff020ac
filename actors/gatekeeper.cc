#include "actors/gatekeeper.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <caf/send.hpp>
#include <utility>

#include "actors/connection_log.h"

namespace skald::actors {

namespace {

using Gatekeeper = caf::stateful_actor<GatekeeperState>;

void answer(Gatekeeper* self, const NodeState& node, const Credentials& login, LoginResult result) {
  self->send(node.post_offices[login.loop], CredentialVerdict{login.token, result});
}

void judge(Gatekeeper* self, NodeState& node, const HashDone& done) {
  const Credentials& login = done.login;
  auth::FailureLimiter& limiter = *self->state.limiter;
  if (done.match == auth::PasswordHash::Match::failed) {
    spdlog::error("cannot compare a password: no memory?");
    answer(self, node, login, LoginResult::unavailable);
    return;
  }
  if (login.known && done.match == auth::PasswordHash::Match::yes) {
    limiter.succeeded(login.name);
    answer(self, node, login, LoginResult::yes);
    return;
  }
  limiter.failed(login.name, login.address, node.clock.now_ms());
  node.auth_counters.failures.fetch_add(1, std::memory_order_relaxed);
  answer(self, node, login, LoginResult::no);
}

void start_some(Gatekeeper* self, NodeState& node) {
  GatekeeperState& state = self->state;
  while (!state.queue.empty() && !state.idle.empty()) {
    self->send(state.idle.back(), std::move(state.queue.front()));
    state.idle.pop_back();
    state.queue.pop_front();
  }
  node.auth_counters.waiting.store(state.queue.size(), std::memory_order_relaxed);
}

void take(Gatekeeper* self, NodeState& node, const Credentials& login) {
  GatekeeperState& state = self->state;
  // Looked at again when its turn has come, or a flood that waits would pass unheeded.
  if (state.limiter->blocked(login.name, login.address, node.clock.now_ms())) {
    node.auth_counters.limited.fetch_add(1, std::memory_order_relaxed);
    answer(self, node, login, LoginResult::limited);
    return;
  }
  if (state.queue.size() >= state.queue_max) {
    node.auth_counters.refused_busy.fetch_add(1, std::memory_order_relaxed);
    answer(self, node, login, LoginResult::busy);
    return;
  }
  state.queue.push_back(login);
  start_some(self, node);
}

/// Those whose name or address has been blocked while they waited are answered unheard.
void drop_blocked(Gatekeeper* self, NodeState& node) {
  GatekeeperState& state = self->state;
  const auto blocked = [&](const Credentials& login) {
    if (!state.limiter->blocked(login.name, login.address, node.clock.now_ms())) return false;
    node.auth_counters.limited.fetch_add(1, std::memory_order_relaxed);
    answer(self, node, login, LoginResult::limited);
    return true;
  };
  while (!state.queue.empty() && blocked(state.queue.front())) state.queue.pop_front();
}

void take_options(GatekeeperState& state, const config::AuthOptions& options) {
  state.queue_max = options.hash_queue;
  state.limiter->set_limits(options.max_failures_user, options.max_failures_address);
}

}  // namespace

caf::behavior hasher(caf::event_based_actor*, AuthCounters* counters) {
  return {[counters](const Credentials& login) {
    ++counters->running;
    HashDone done{login, login.hash.matches(login.password)};
    --counters->running;
    done.login.password.clear();
    return done;
  }};
}

caf::behavior gatekeeper(Gatekeeper* self, NodeState* node) {
  const config::AuthOptions& options = node->options.auth;
  self->state.limiter = std::make_unique<auth::FailureLimiter>(
      auth::FailureLimiter::Options{.by_user = options.max_failures_user,
                                    .by_address = options.max_failures_address,
                                    .seed = node->seed});
  take_options(self->state, options);
  const std::size_t hashers = node->hash_threads();
  for (std::size_t i = 0; i < hashers; ++i) {
    self->state.idle.push_back(
        self->spawn<caf::detached + caf::linked>(hasher, &node->auth_counters));
  }
  return {[self, node](const Credentials& login) { take(self, *node, login); },
          [self, node](const HashDone& done) {
            self->state.idle.push_back(caf::actor_cast<caf::actor>(self->current_sender()));
            judge(self, *node, done);
            drop_blocked(self, *node);
            start_some(self, *node);
          },
          [self](const NewRules& rules) { take_options(self->state, rules.options->auth); }};
}

}  // namespace skald::actors
