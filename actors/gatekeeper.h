// Passwords: who has to wait, which comparison runs when, and what came of it.
//
// The gatekeeper runs on CAF's workers and only decides: it keeps the count of failures, a bounded
// queue of logins and the list of idle hashers. A hasher has a thread of its own, since a
// comparison takes tens of milliseconds and would hold up routes and sessions on a worker. Loops
// never wait: they are answered by CredentialVerdict.
#pragma once

#include <caf/actor.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <cstdint>
#include <deque>
#include <vector>

#include "actors/auth_counters.h"
#include "actors/messages.h"
#include "actors/node_state.h"
#include "mqtt/auth/failure_limiter.h"

namespace skald::actors {

/// Takes Credentials, HashDone and NewRules.
struct GatekeeperState {
  static inline const char* name = "gatekeeper";

  explicit GatekeeperState(caf::event_based_actor*) {}

  std::unique_ptr<auth::FailureLimiter> limiter;
  std::size_t queue_max = 0;
  std::deque<Credentials> queue;
  std::vector<caf::actor> idle;
};
caf::behavior gatekeeper(caf::stateful_actor<GatekeeperState>* self, NodeState* node);

/// Takes Credentials; answers HashDone. (CAF 0.17 dereferences a null pointer to start a function
/// actor without arguments, which UBSan reports.)
caf::behavior hasher(caf::event_based_actor* self, AuthCounters* counters);

}  // namespace skald::actors
