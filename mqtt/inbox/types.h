// What an inbox range replicates: sessions, their subscriptions and queues, and the commands on
// them (design.md section 5).
//
// Every session has a record, also one that ends with its connection: **the range is the
// directory**, and the will of a session survives its node. Only sessions with an expiry have
// subscriptions, a queue and unfinished QoS 2 publishes here; those of others are in memory of
// their node.
//
// A session's *incarnation* is given by the machine at each attach and fences what came before: an
// operation that names an older one is refused. Its *birth* is the incarnation that it began with;
// routes with an older incarnation belong to an earlier session of the same name.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/base/ids.h"
#include "mqtt/codec/packets.h"
#include "mqtt/codec/types.h"
#include "mqtt/publication.h"

namespace skald::inbox {

/// Given by the machine, ever growing within a range and its children: stamp_us << 12 | n, n
/// counting within one command. Intents are numbered from the same source.
using Incarnation = std::uint64_t;
inline constexpr unsigned kIncarnationBits = 12;
/// Attach, Detach and Subscribe together in one command: more may run out of numbers, those are
/// answered `invalid` and change nothing.
inline constexpr std::size_t kMaxLifecycleOperations = 1000;
/// Of a message in a queue, from 1, never used twice in a session. Packet ids derive from it.
using Seq = std::uint64_t;

struct Name {
  std::string tenant;
  std::string client_id;

  auto operator<=>(const Name&) const = default;
};

/// The connection that has the session.
struct Owner {
  Life life;
  std::uint64_t session = 0;  // unique in its life; its loop is in the low 8 bits

  auto operator<=>(const Owner&) const = default;
};

struct Will {
  /// Its publisher, sequence and stamp are set when it is due; until then expiry_ms is an interval.
  mqtt::PublicationRef publication;
  std::uint32_t delay_s = 0;
};

/// What happens to a message for which a queue has no room.
enum class Overflow : std::uint8_t { drop_newest, drop_oldest };

struct Quota {
  std::uint32_t max_messages = 1000;  // not counting retained messages of a feed
  std::uint64_t max_bytes = 16U << 20;
  std::uint32_t max_subscriptions = 10'000;
  Overflow overflow = Overflow::drop_newest;

  bool operator==(const Quota&) const = default;
};

// -- operations
// ------------------------------------------------------------------------------------

inline constexpr std::uint32_t kNeverExpires = 0xFFFFFFFF;  // [MQTT-3.1.2.11.2]

/// A connection wants the session. Takes effect at once: whoever had it is fenced from here on and
/// named in the result, so that CONNACK can wait until it is closed. The session is persistent when
/// it was present or `expiry_s` is not 0: one that is resumed with expiry 0 stays so until it ends.
struct Attach {
  Name name;
  Owner owner;
  std::string user;               // who the client is; empty: anonymous
  bool take_from_others = false;  // a session of another user is dropped; otherwise refused
  bool clean_start = false;
  std::uint32_t expiry_s = 0;
  std::optional<Will> will;
  Quota quota;
  bool may_begin = true;  // false: the tenant has no room for one more persistent session
};

/// The connection is over. With expiry 0 the session ends too.
struct Detach {
  enum class Why : std::uint8_t {
    clean,   // DISCONNECT 0x00: no will
    broken,  // the will is published at its delay, or when the session ends if that is sooner
    drain,   // the node stops: as broken, but not before 30 s, and not if the client returns
  };

  Name name;
  Incarnation incarnation = 0;
  Why why = Why::broken;
  std::optional<std::uint32_t> expiry_s;  // changed by DISCONNECT
  Seq sent_up_to = 0;                     // no message above it has been sent: those need no DUP
};

/// Committed before the route is added; its route carries the result's incarnation.
struct Subscribe {
  Name name;
  Incarnation incarnation = 0;
  std::string filter;  // as subscribed, with $share/<group>/
  codec::SubscriptionOptions options;
  std::uint32_t id = 0;
  bool may_add = true;  // false: the tenant has no room for one more
};

/// Committed after the route has gone.
struct Unsubscribe {
  Name name;
  Incarnation incarnation = 0;
  std::string filter;
};

/// A QoS 2 PUBLISH of the session came in: before it is handed to anyone.
struct Accept {
  Name name;
  Incarnation incarnation = 0;
  std::uint16_t packet_id = 0;
  std::uint64_t sequence = 0;  // of the publisher
};

/// All its receivers have it: a client that comes back is answered without another try. Sent along
/// with something else; it only saves transient receivers a second copy.
struct HandedOut {
  Name name;
  Incarnation incarnation = 0;
  std::uint16_t packet_id = 0;
  std::uint64_t sequence = 0;  // Accept's: names the publish also when the session has been taken
};

/// PUBREL came: before PUBCOMP.
struct Release {
  Name name;
  Incarnation incarnation = 0;
  std::uint16_t packet_id = 0;
};

/// One publication into many queues.
struct Insert {
  struct Target {
    Name name;
    /// Of the newest matching subscription, or of the one that is fed; 0: not checked.
    Incarnation route = 0;
    codec::QoS qos = codec::QoS::at_least_once;  // 1 or 2
    bool retain = false;                         // the RETAIN flag to send
    std::vector<std::uint32_t> subscription_ids;
    std::string shared_group;  // not empty: as a member of this group, of shared_filter
    std::string shared_filter;
  };

  std::uint32_t publication = 0;  // in Command::publications
  /// The publisher may repeat it after a crash: receivers drop what they have by (publisher,
  /// sequence). No sequence below `done_below` is ever repeated.
  bool once = false;
  std::uint64_t done_below = 0;
  bool retained_feed = false;  // does not count against the quota
  bool has_room = true;        // false: the tenant's queues are full, whoever's they are
  std::vector<Target> targets;
};

/// The client has finished these: PUBACK, PUBCOMP, or a negative PUBREC. Nobody waits for it. Also
/// taken from a connection that has lost the session since.
struct Finish {
  Name name;
  Incarnation incarnation = 0;
  std::vector<Seq> seqs;
};

/// PUBREC came: before PUBREL. From then on only the id is kept.
struct Received {
  Name name;
  Incarnation incarnation = 0;
  Seq seq = 0;
};

/// The range's own: sessions and wills that are due by the command's stamp, and the sessions of
/// ended lives, until about `limit` records are written, at least one session. To be repeated while
/// next_due_us() is not later.
struct Tick {
  std::uint32_t limit = 1000;
};

/// The life has ended, and so have all earlier ones of its node: their sessions are detached
/// (Why::broken, all that was queued may have been sent) as of the command's stamp, by Ticks.
struct EndLife {
  Life life;
};

/// Intents that have been carried out.
struct OutboxDone {
  std::vector<std::uint64_t> intents;
};

/// The subscription has had all its retained messages, or they are in the queue. Nobody waits for
/// it: a feed that was cut before it begins again when the client comes back.
struct Fed {
  Name name;
  Incarnation incarnation = 0;
  std::string filter;
  Incarnation route = 0;  // the subscription's: a later one of the filter is owed its own
};

using Operation = std::variant<Attach, Detach, Subscribe, Unsubscribe, Accept, HandedOut, Release,
                               Insert, Finish, Received, Tick, EndLife, OutboxDone, Fed>;

/// Operations in order, each on its own: one that is refused does not stop the others.
struct Command {
  std::vector<mqtt::PublicationRef> publications;  // each payload once
  std::vector<Operation> operations;
};

// -- replies
// ---------------------------------------------------------------------------------------

enum class Result : std::uint8_t {
  done,         // never listed, but for Attach and Subscribe; Insert: also a repetition
  full,         // Insert: no room, this message was dropped; Subscribe: max_subscriptions
  no_inbox,     // Insert: no such session, or the route is of an earlier one: remove it
  fenced,       // the incarnation has been taken over, or the session has ended
  foreign,      // Attach: the session belongs to another user
  absent,       // Unsubscribe: there was no such subscription
  wrong_range,  // outside this range's boundary; ask the range that has it
  invalid,      // makes no sense: counted, never applied
  over_total,   // Attach, Subscribe: new, and the command said that there is no room
};

/// Only what is not plainly done is listed, so that the reply to a batch of inserts is small.
struct OperationResult {
  std::uint32_t operation = 0;
  std::uint32_t target = 0;  // of Insert
  Result result = Result::done;
  bool session_present = false;   // Attach
  bool replaced = false;          // Subscribe: the subscription existed
  Incarnation incarnation = 0;    // Attach: the session's; Subscribe: the route's
  Incarnation birth = 0;          // Attach
  std::optional<Owner> previous;  // Attach: a live owner that must be told 0x8E and waited for

  bool operator==(const OperationResult&) const = default;
};

struct Reply {
  std::vector<OperationResult> results;

  bool operator==(const Reply&) const = default;
};

// -- effects
// ---------------------------------------------------------------------------------------

/// Leader only: a message was queued for a session that is online. Lost ones are fetched.
struct Deliver {
  Owner owner;
  Incarnation incarnation = 0;
  Seq seq = 0;
  mqtt::PublicationRef publication;
  codec::QoS qos = codec::QoS::at_least_once;
  bool retain = false;
  std::vector<std::uint32_t> subscription_ids;
};

/// Leader only: this connection has lost its session to a newer one (0x8E). Answered to `to`, the
/// new owner, when it is closed.
struct Evict {
  Owner owner;
  Owner to;
};

/// Outbox: repeated by leaders until OutboxDone is applied. Receivers drop ids already seen.
struct PublishWill {
  std::uint64_t intent = 0;
  Name name;         // whose will it is
  std::string user;  // judged again when it is published
  mqtt::PublicationRef publication;
};

/// Outbox: the session has ended, so have its routes.
struct RemoveRoutes {
  struct Route {
    std::string filter;  // as subscribed
    Incarnation incarnation = 0;
  };
  std::uint64_t intent = 0;
  Name name;
  std::vector<Route> routes;
};

using Effect = std::variant<Deliver, Evict, PublishWill, RemoveRoutes>;

// -- what a session is told when it comes back
// -------------------------------------------------------

struct Subscription {
  codec::SubscriptionOptions options;
  std::uint32_t id = 0;
  Incarnation incarnation = 0;  // of its route
  bool feed_owed = false;       // retained messages, until Fed

  bool operator==(const Subscription&) const = default;
};

/// A QoS 2 PUBLISH of the client that it has not released.
struct Accepted {
  std::uint16_t packet_id = 0;
  std::uint64_t sequence = 0;
  bool handed_out = false;
};

struct SessionState {
  Incarnation incarnation = 0;
  Incarnation birth = 0;
  std::vector<std::pair<std::string, Subscription>> subscriptions;  // by filter
  std::vector<Accepted> accepted;
  std::vector<Seq> received;  // PUBREC came, PUBCOMP has not; in order
  Seq head = 0;               // the oldest message that is not finished; last + 1: none
  Seq last = 0;               // the newest message; 0: never had one
  Seq sent_up_to = 0;         // messages up to here may have been sent: DUP
};

/// One queued message, as it is stored.
struct Message {
  Seq seq = 0;
  mqtt::PublicationRef publication;
  codec::QoS qos = codec::QoS::at_least_once;
  bool retain = false;
  std::vector<std::uint32_t> subscription_ids;
  std::string shared_group;
  std::string shared_filter;
};

}  // namespace skald::inbox
