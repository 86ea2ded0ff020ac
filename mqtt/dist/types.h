// What the dist range replicates: routes from (tenant, filter) to receivers, and the commands on
// them.
//
// Kinds of receivers (design.md section 5):
//   NodeReceiver   a node with transient, unshared subscribers; which loops and sessions want the
//                  filter is that node's own business (mqtt/dispatch/node_routes.h)
//   InboxReceiver  a persistent session, wherever it is, if it is
//   GroupReceiver  one member of `$share/<group>/<filter>`: a session on a node, or an inbox
// A route of the last two kinds carries the incarnation of its subscription: an add never replaces
// a newer one, a removal never takes a newer one away, so that late retries do no harm.
//
// Inbox routes say what the merged delivery needs (dist::InboxMatches), so that a publisher's node
// asks nobody else.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "config/base/ids.h"
#include "mqtt/codec/types.h"

namespace skald::dist {

struct NodeReceiver {
  Life life;

  auto operator<=>(const NodeReceiver&) const = default;
};

struct InboxReceiver {
  std::string inbox;  // the client id, within the tenant
  std::uint64_t incarnation = 0;
  codec::QoS qos = codec::QoS::at_most_once;  // granted
  bool retain_as_published = false;
  bool no_local = false;              // never of a group's member [MQTT-3.8.3-4]
  std::uint32_t subscription_id = 0;  // 0: none

  auto operator<=>(const InboxReceiver&) const = default;
};

/// A connected, transient session. Identity: (life, session).
struct SessionMember {
  Life life;
  std::uint64_t session = 0;  // unique within the life
  std::uint64_t incarnation = 0;
  std::uint16_t loop = 0;
  codec::QoS qos = codec::QoS::at_most_once;

  auto operator<=>(const SessionMember&) const = default;
};

/// A persistent session as a member of a group, and who has its connection: members that are online
/// come first. Its owner's node says so at attach and detach, the end of the owner's life makes it
/// offline. Identity: the inbox.
struct InboxMember {
  InboxReceiver inbox;
  Life owner;                  // all zero: offline. A life may only name itself
  std::uint64_t attached = 0;  // of the attach that says so: with an equal incarnation, newer wins

  bool online() const { return static_cast<bool>(owner.node); }

  auto operator<=>(const InboxMember&) const = default;
};

using GroupMember = std::variant<SessionMember, InboxMember>;

struct GroupReceiver {
  std::string group;
  GroupMember member;

  auto operator<=>(const GroupReceiver&) const = default;
};

using Receiver = std::variant<NodeReceiver, InboxReceiver, GroupReceiver>;

/// `filter` is without `$share/<group>/`.
struct Route {
  std::string tenant;
  std::string filter;
  Receiver receiver;

  bool operator==(const Route&) const = default;
};

struct RouteChange {
  enum class Kind : std::uint8_t { add, remove };

  Kind kind = Kind::add;
  Route route;
  /// Of an add to a group: refused when it would have more members by it. Comes with the command,
  /// so that replicas agree, whatever their configuration. 0: dist::kMaxGroupMembers, which holds
  /// in any case.
  std::uint32_t max_members = 0;

  bool operator==(const RouteChange&) const = default;
};

/// Applied in order, each on its own: one that is refused does not stop the others.
struct ChangeRoutes {
  std::vector<RouteChange> changes;

  bool operator==(const ChangeRoutes&) const = default;
};

/// The life has ended: its routes and group members go, and persistent members that it had online
/// are offline, at most `limit` of them by one command. The proposer repeats the command until the
/// reply says that none is left; a range that was split meanwhile has children to be asked, too.
struct EndLife {
  Life life;
  std::uint32_t limit = 10'000;

  bool operator==(const EndLife&) const = default;
};

using Command = std::variant<ChangeRoutes, EndLife>;

/// What became of one RouteChange. Done: the state is now as asked, or newer.
enum class RouteResult : std::uint8_t {
  done,           // added or replaced, or removed
  unchanged,      // an add of what was there, a removal of what was not
  newer_present,  // a route of a newer incarnation stays as it is
  wrong_range,    // refused: outside this range's boundary; ask the range that has it
  invalid,        // refused: no valid tenant, filter, group or receiver
  foreign_life,   // refused: a life may only add itself
  full,           // refused: a limit (see dist::Limits)
};

/// True when a route command has not been carried out and never will be.
constexpr bool is_refused(RouteResult result) { return result >= RouteResult::wrong_range; }

/// For logs; never null.
const char* to_string(RouteResult result);

struct Reply {
  std::vector<RouteResult> results;  // one for each RouteChange
  bool more = false;                 // of EndLife: repeat it

  bool operator==(const Reply&) const = default;
};

/// The one effect of dist commands, for every replica: publish a new snapshot before the index
/// counts as visible.
struct PublishSnapshot {
  bool operator==(const PublishSnapshot&) const = default;
};

}  // namespace skald::dist
