// What actors of one node tell each other. None of these leaves the process: nodes talk Cap'n
// Proto.
//
// Messages go in batches: a loop gathers what a round produced and sends one message a receiver.
#pragma once

#include <sys/socket.h>

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/type_id.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "actors/auth_counters.h"
#include "config/options.h"
#include "mqtt/auth/directory.h"
#include "mqtt/auth/password.h"
#include "mqtt/dispatch/dispatch.h"
#include "mqtt/dispatch/node_routes.h"
#include "mqtt/dist/types.h"
#include "mqtt/publication.h"
#include "mqtt/retain/types.h"

namespace skald::actors {

/// An accepted socket and where it comes from.
struct Accepted {
  int fd = -1;
  std::string address;  // numeric
  std::uint16_t port = 0;
  std::uint16_t local_port = 0;
  bool loopback = false;
};

/// Acceptor -> post office: sockets that are the loop's from now on.
struct AcceptedSockets {
  std::vector<Accepted> sockets;
};

/// Post office -> directory, in order.
struct DirectoryChange {
  enum class Kind : std::uint8_t { attach, detach };
  Kind kind = Kind::attach;
  std::string_view tenant;  // interned: outlives the message
  std::string client_id;
  std::uint64_t session = 0;
};
struct DirectoryChanges {
  std::uint16_t loop = 0;
  std::vector<DirectoryChange> changes;
};
/// Directory -> post office: what became of its sessions (session::Directory::Ready).
struct DirectoryVerdicts {
  std::vector<std::uint64_t> granted;
  std::vector<std::uint64_t> overtaken;
  std::vector<std::uint64_t> evicted;
};

/// Post office -> routes actor, in order.
struct RouteWish {
  enum class Kind : std::uint8_t { subscribe, unsubscribe, join_group, leave_group };
  Kind kind = Kind::subscribe;
  std::string_view tenant;  // interned
  std::string filter;       // without $share/<group>/
  std::uint64_t token = 0;  // of subscribe, join_group, leave_group: comes back in RouteAnswers
  std::string group;
  dist::SessionMember member;
};
struct RouteWishes {
  std::uint16_t loop = 0;
  std::vector<RouteWish> wishes;
};
/// Routes actor -> post office: visible (or refused) from now on, whichever loop publishes.
struct RouteAnswer {
  std::uint64_t token = 0;
  dispatch::SubscribeOutcome outcome = dispatch::SubscribeOutcome::done;
};
struct RouteAnswers {
  std::vector<RouteAnswer> answers;
};

/// Routes actor -> dist actor: propose. Dist actor -> routes actor: applied and visible.
struct ProposeRoutes {
  std::uint64_t batch = 0;
  dist::ChangeRoutes command;
};
struct RoutesVisible {
  std::uint64_t batch = 0;
  std::vector<dist::RouteResult> results;
};

/// Post office -> retain actor: publishes with RETAIN, in order. Retain actor -> post office:
/// stored (or refused) and visible, in the same order.
struct StoreRetained {
  std::vector<mqtt::PublicationRef> publications;
};
struct RetainedStored {
  std::vector<retain::StoreResult> results;
};
/// Post office -> itself: feeds have more to give.
struct FeedMore {};

/// Post office -> post office: what one read burst has for the other loop.
struct Handover {
  std::shared_ptr<const dispatch::LoopBatch> batch;
};
/// Post office -> post office: credit of handed over batches comes back.
struct CreditReturn {
  std::vector<dispatch::Credit> credits;
};

/// Post office -> gatekeeper: compare a password. Gatekeeper -> hasher: the same.
struct Credentials {
  std::uint64_t token = 0;  // of the loop's authority
  std::uint16_t loop = 0;
  bool known = false;  // false: `hash` is another's; the answer is no, and takes as long
  std::string name;    // as in CONNECT
  std::string password;
  std::string address;
  auth::PasswordHash hash;
  AuthCounters* counters = nullptr;
};
struct HashDone {
  Credentials login;  // without its password
  auth::PasswordHash::Match match = auth::PasswordHash::Match::failed;
};
/// Gatekeeper -> post office.
enum class LoginResult : std::uint8_t { yes, no, limited, busy, unavailable };
struct CredentialVerdict {
  std::uint64_t token = 0;
  LoginResult result = LoginResult::no;
};
/// Node -> post offices and gatekeeper: what a reload has brought. Post office -> node: it holds.
struct NewRules {
  auth::DirectoryRef users;
  std::shared_ptr<const config::Options> options;
};
struct RulesTaken {};

/// Node -> post office: close every session (0x8B); answered by Stopped when the last is gone.
/// Node -> acceptor: stop listening; answered by Stopped.
struct Stop {};
struct Stopped {
  std::string who;
};
/// Anyone -> routes actor and others that retry on a timer.
struct Tick {};
}  // namespace skald::actors

CAF_BEGIN_TYPE_ID_BLOCK(skald, caf::first_custom_type_id)
CAF_ADD_TYPE_ID(skald, (skald::actors::AcceptedSockets))
CAF_ADD_TYPE_ID(skald, (skald::actors::DirectoryChanges))
CAF_ADD_TYPE_ID(skald, (skald::actors::DirectoryVerdicts))
CAF_ADD_TYPE_ID(skald, (skald::actors::RouteWishes))
CAF_ADD_TYPE_ID(skald, (skald::actors::RouteAnswers))
CAF_ADD_TYPE_ID(skald, (skald::actors::ProposeRoutes))
CAF_ADD_TYPE_ID(skald, (skald::actors::RoutesVisible))
CAF_ADD_TYPE_ID(skald, (skald::actors::StoreRetained))
CAF_ADD_TYPE_ID(skald, (skald::actors::RetainedStored))
CAF_ADD_TYPE_ID(skald, (skald::actors::FeedMore))
CAF_ADD_TYPE_ID(skald, (skald::actors::Handover))
CAF_ADD_TYPE_ID(skald, (skald::actors::CreditReturn))
CAF_ADD_TYPE_ID(skald, (skald::actors::Credentials))
CAF_ADD_TYPE_ID(skald, (skald::actors::HashDone))
CAF_ADD_TYPE_ID(skald, (skald::actors::CredentialVerdict))
CAF_ADD_TYPE_ID(skald, (skald::actors::NewRules))
CAF_ADD_TYPE_ID(skald, (skald::actors::RulesTaken))
CAF_ADD_TYPE_ID(skald, (skald::actors::Stop))
CAF_ADD_TYPE_ID(skald, (skald::actors::Stopped))
CAF_ADD_TYPE_ID(skald, (skald::actors::Tick))
CAF_END_TYPE_ID_BLOCK(skald)

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::AcceptedSockets)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::DirectoryChanges)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::DirectoryVerdicts)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::RouteWishes)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::RouteAnswers)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::ProposeRoutes)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::RoutesVisible)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::StoreRetained)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::RetainedStored)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::FeedMore)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::Handover)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::CreditReturn)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::Credentials)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::HashDone)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::CredentialVerdict)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::NewRules)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::RulesTaken)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::Stop)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::Stopped)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::Tick)
