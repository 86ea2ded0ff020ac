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

#include "actors/monitor/figures.h"
#include "config/options.h"
#include "kv/range/reply.h"
#include "kv/range/store_host.h"
#include "kv/route/router.h"
#include "mqtt/auth/directory.h"
#include "mqtt/auth/password.h"
#include "mqtt/dispatch/dispatch.h"
#include "mqtt/dispatch/node_routes.h"
#include "mqtt/dist/types.h"
#include "mqtt/inbox/types.h"
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

/// Post office -> routes actor, in order.
struct RouteWish {
  enum class Kind : std::uint8_t {
    subscribe,    // this loop wants the filter
    unsubscribe,  // it no longer does
    add,          // `receiver`: of a shared group, or an inbox
    remove,
  };
  Kind kind = Kind::subscribe;
  std::string_view tenant;  // interned
  std::string filter;       // without $share/<group>/
  std::uint64_t token = 0;  // of all but unsubscribe: comes back in RouteAnswers; 0: nobody waits
  dist::Receiver receiver;  // of add and remove
  std::uint32_t max_members = 0;  // of add: see dist::RouteChange
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

/// Post office -> itself: feeds have more to give.
struct FeedMore {};

/// The stores of a node; the numbers are those of the data directory, for good.
enum class StoreKind : std::uint8_t { meta = 0, dist = 1, inbox = 2, retain = 3 };
const char* store_name(StoreKind kind);

/// Post office or route keeper -> store: on the sender's lane. Store -> sender: the replies, by the
/// ids of the requests.
struct RangeRequests {
  std::vector<route::Router::Request> requests;
};
struct RangeReplies {
  StoreKind store = StoreKind::dist;
  std::vector<std::pair<std::uint64_t, range::Reply>> replies;
};

/// Disk thread -> store: all that was submitted up to this commit is synced.
struct LogSynced {
  std::uint64_t commit = 0;
};
/// Disk thread -> store: what the log holds of it (LogWriter::read).
struct LogRead {
  std::shared_ptr<Result<range::HostStart>> found;
};
/// Background -> store: a flush of the data has ended.
struct DataFlushed {
  Status status;
};
/// Background -> store: a piece of the data is compacted, or garbage of it collected; `worth`: what
/// should be compacted for it.
struct DataTidied {
  Status status;
  std::optional<store::Garbage> worth;
};
/// Store -> node, once: every range leads and is rebuilt. `ended`: the newest life of this node
/// that the store knows to be over. `stamp_us`: of the newest command in any range.
struct StoreReady {
  StoreKind store = StoreKind::dist;
  LifeNumber ended;
  std::uint64_t stamp_us = 0;
  std::vector<range::Descriptor> ranges;
};
/// Node -> store: the life, and those of the node before it, are over in every range; answered by
/// the same when that is applied.
struct EndLifeEverywhere {
  Life life;
};

/// Node -> store: whom it may write to. What it has for them waits until then.
struct NodeServes {
  std::vector<caf::actor> post_offices;
  caf::actor route_keeper;
};

/// A QoS 0 message for a persistent session that is connected.
struct UnloggedDelivery {
  inbox::Owner owner;
  mqtt::PublicationRef publication;
  bool retain = false;
  std::vector<std::uint32_t> subscription_ids;
};
/// Post office -> inbox store: QoS 0 messages, to be passed on to whoever has the sessions.
struct PassOn {
  struct Item {
    mqtt::PublicationRef publication;
    inbox::Insert::Target target;
  };
  std::vector<Item> items;
};

/// Inbox store -> post office, at the end of a round: for its sessions, in order.
struct LoopParcel {
  std::vector<inbox::Deliver> deliveries;
  std::vector<UnloggedDelivery> unlogged;
  std::vector<inbox::Evict> evictions;
  std::vector<std::pair<RangeId, inbox::PublishWill>> wills;

  bool empty() const {
    return deliveries.empty() && unlogged.empty() && evictions.empty() && wills.empty();
  }
};
/// Inbox store -> route keeper: routes of an ended session. Answered to the store by IntentsDone.
struct EndedRoutes {
  RangeId range;
  inbox::RemoveRoutes remove;
};
/// Post office or route keeper -> inbox store: intents that have been carried out.
struct IntentsDone {
  RangeId range;
  std::vector<std::uint64_t> intents;
};
/// Post office -> post office: the session that had to go for `owner` is closed.
struct Evicted {
  inbox::Owner owner;
};

/// Post office -> inbox store: what the session has here. Answered by SessionStateFound; absent:
/// not here, not led here, or not of this incarnation.
struct SessionStateWanted {
  inbox::Name name;
  std::uint64_t session = 0;
  inbox::Incarnation incarnation = 0;
};
struct SessionStateFound {
  std::uint64_t session = 0;
  std::optional<inbox::SessionState> state;
};
/// Post office -> inbox store: messages of the session's queue from `from` on. Answered by
/// MessagesFetched.
struct FetchMessages {
  inbox::Name name;
  std::uint64_t session = 0;
  inbox::Seq from = 0;
  std::uint32_t max_messages = 0;
  std::size_t max_bytes = 0;
};
struct MessagesFetched {
  std::uint64_t session = 0;
  std::vector<inbox::Message> messages;
  inbox::Seq next = 0;   // where to go on
  bool at_tail = false;  // what is queued from now on is delivered
  bool failed = false;   // not here now: ask again
};

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
/// Monitor -> post offices: values of $SYS that have changed. For connections of their tenants,
/// past routes and log.
struct SysUpdate {
  using Values = std::vector<mqtt::PublicationRef>;
  std::shared_ptr<const Values> values;
};
/// Anyone -> routes actor and others that retry on a timer.
struct Tick {};
}  // namespace skald::actors

CAF_BEGIN_TYPE_ID_BLOCK(skald, caf::first_custom_type_id)
CAF_ADD_TYPE_ID(skald, (skald::actors::AcceptedSockets))
CAF_ADD_TYPE_ID(skald, (skald::actors::RouteWishes))
CAF_ADD_TYPE_ID(skald, (skald::actors::RouteAnswers))
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
CAF_ADD_TYPE_ID(skald, (skald::actors::RangeRequests))
CAF_ADD_TYPE_ID(skald, (skald::actors::RangeReplies))
CAF_ADD_TYPE_ID(skald, (skald::actors::LogSynced))
CAF_ADD_TYPE_ID(skald, (skald::actors::LogRead))
CAF_ADD_TYPE_ID(skald, (skald::actors::DataFlushed))
CAF_ADD_TYPE_ID(skald, (skald::actors::DataTidied))
CAF_ADD_TYPE_ID(skald, (skald::actors::StoreReady))
CAF_ADD_TYPE_ID(skald, (skald::actors::EndLifeEverywhere))
CAF_ADD_TYPE_ID(skald, (skald::actors::LoopParcel))
CAF_ADD_TYPE_ID(skald, (skald::actors::EndedRoutes))
CAF_ADD_TYPE_ID(skald, (skald::actors::IntentsDone))
CAF_ADD_TYPE_ID(skald, (skald::actors::Evicted))
CAF_ADD_TYPE_ID(skald, (skald::actors::SessionStateWanted))
CAF_ADD_TYPE_ID(skald, (skald::actors::SessionStateFound))
CAF_ADD_TYPE_ID(skald, (skald::actors::FetchMessages))
CAF_ADD_TYPE_ID(skald, (skald::actors::MessagesFetched))
CAF_ADD_TYPE_ID(skald, (skald::actors::NodeServes))
CAF_ADD_TYPE_ID(skald, (skald::actors::PassOn))
CAF_ADD_TYPE_ID(skald, (skald::actors::ReportWanted))
CAF_ADD_TYPE_ID(skald, (skald::actors::LoopReport))
CAF_ADD_TYPE_ID(skald, (skald::actors::StoreReport))
CAF_ADD_TYPE_ID(skald, (skald::actors::SysUpdate))
CAF_END_TYPE_ID_BLOCK(skald)

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::AcceptedSockets)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::RouteWishes)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::RouteAnswers)
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
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::RangeRequests)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::RangeReplies)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::LogSynced)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::LogRead)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::DataFlushed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::DataTidied)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::StoreReady)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::EndLifeEverywhere)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::LoopParcel)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::EndedRoutes)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::IntentsDone)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::Evicted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::SessionStateWanted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::SessionStateFound)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::FetchMessages)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::MessagesFetched)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::NodeServes)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::PassOn)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::ReportWanted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::LoopReport)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::StoreReport)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skald::actors::SysUpdate)
