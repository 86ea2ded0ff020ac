// The immutable routes of one range: what loops match a publish against, as a plain call.
//
// Copying is O(1). The state machine gives one after a batch of applies, the shell publishes it by
// one atomic pointer, and any number of loops read it; nothing in it ever changes. A cached match
// of a tenant is valid as long as version(tenant) of the current snapshot is that of the match.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/base/ids.h"
#include "mqtt/dist/types.h"
#include "mqtt/topic/counted.h"
#include "mqtt/topic/persistent_map.h"
#include "mqtt/topic/tenant_tries.h"

namespace skald::dist {

/// A member in the shared form: a group is copied when it changes, its members are not.
struct GroupMemberEntry : topic::Counted {
  explicit GroupMemberEntry(GroupMember initial) : member(std::move(initial)) {}

  const GroupMember member;
};

/// The members of one (tenant, filter, group): never empty, sorted by identity.
struct Group {
  std::string filter;  // without `$share/<group>/`
  std::vector<topic::Ref<const GroupMemberEntry>> members;

  std::size_t size() const { return members.size(); }
  const GroupMember& operator[](std::size_t i) const { return members[i]->member; }
};

/// What is kept of an inbox's subscription; the inbox's name is the key.
struct InboxSubscription {
  std::uint64_t incarnation = 0;
  std::uint32_t id = 0;  // subscription identifier; 0: none
  codec::QoS qos = codec::QoS::at_most_once;
  bool retain_as_published = false;
  bool no_local = false;
};

/// All receivers of one (tenant, filter).
struct RouteSet : topic::Counted {
  std::vector<Life> nodes;                          // sorted
  topic::PersistentMap<InboxSubscription> inboxes;  // by client id
  topic::PersistentMap<Group> groups;               // by group name

  bool empty() const { return nodes.empty() && inboxes.empty() && groups.empty(); }
};

/// The inboxes of one topic, the overlapping subscriptions of each merged: one copy, the highest
/// QoS, every subscription identifier, RETAIN as published if any of them wants that. Views live as
/// long as this object, which may be shared by all publications that it is matched for.
class InboxMatches {
 public:
  struct Inbox {
    std::string_view inbox;
    std::uint64_t incarnation = 0;  // the newest of the matching subscriptions
    codec::QoS qos = codec::QoS::at_most_once;
    bool retain_as_published = false;
    std::uint32_t first_id = 0;
    std::uint32_t ids = 0;
  };
  /// An inbox with No Local among its subscriptions, and what it gets of its own publications.
  struct NoLocal {
    Life publisher;           // mqtt::persistent_life of the inbox: it is never the life of a node
    std::uint32_t inbox = 0;  // position
    std::optional<Inbox> instead;
  };

  std::vector<Inbox> inboxes;  // each once, in no useful order; never empty
  std::vector<NoLocal> no_local;

  /// By number: clients may give one identifier to many filters.
  std::span<const std::uint32_t> ids_of(const Inbox& inbox) const {
    return std::span(ids_).subspan(inbox.first_id, inbox.ids);
  }
  /// True when somebody is granted QoS 0, or else QoS 1 or 2. `own`: null, or one of no_local whose
  /// own publication it is.
  bool reaches(codec::QoS qos, const NoLocal* own) const;
  /// What it weighs, for the limits of caches.
  std::size_t size_bytes() const;

 private:
  friend class RouteSnapshot;
  struct Found {
    std::string_view inbox;
    const InboxSubscription* subscription;
  };

  void merge(std::string_view tenant, std::vector<Found> found, bool overlapping);
  std::optional<Inbox> merge_one(std::span<const Found> found, bool without_no_local);

  std::vector<std::uint32_t> ids_;
  std::vector<topic::Ref<const RouteSet>> keep_;
  std::size_t of_qos0_ = 0;  // how many are granted QoS 0
};

/// The receivers of one topic. Views and pointers live as long as this object: it keeps what they
/// point into, also when newer snapshots have replaced the one that was matched.
class Matches {
 public:
  struct SharedGroup {
    std::string_view name;
    const Group* group = nullptr;
  };

  std::vector<Life> nodes;                      // sorted, each once
  std::shared_ptr<const InboxMatches> inboxes;  // null: none
  std::vector<SharedGroup> groups;              // one for each (filter, group), in no useful order

  bool empty() const { return nodes.empty() && !inboxes && groups.empty(); }
  void clear();

 private:
  friend class RouteSnapshot;

  std::vector<topic::Ref<const RouteSet>> keep_;  // of groups
};

using RouteTries = topic::TenantTries<topic::Ref<RouteSet>>;

class RouteSnapshot {
 public:
  RouteSnapshot() = default;
  explicit RouteSnapshot(RouteTries tries) : tries_(std::move(tries)) {}

  /// 0: the tenant has no routes here.
  std::uint64_t version(std::string_view tenant) const { return tries_.version(tenant); }

  /// Replaces `out` by the receivers of `topic`, a valid topic name.
  void match(std::string_view tenant, std::string_view topic, Matches& out) const;

  /// The exact (tenant, filter); null when absent.
  const RouteSet* find(std::string_view tenant, std::string_view filter) const;

 private:
  RouteTries tries_;
};

}  // namespace skald::dist
