#include "mqtt/dist/route_table.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "config/base/assert.h"
#include "mqtt/dist/keys.h"

namespace skald::dist {
namespace {

using Members = std::vector<topic::Ref<const GroupMemberEntry>>;

/// Order of members by identity: sessions by (life, session), then inboxes by name.
bool comes_before(const GroupMember& a, const GroupMember& b) {
  if (a.index() != b.index()) return a.index() < b.index();
  if (const auto* session = std::get_if<SessionMember>(&a)) {
    const auto& other = std::get<SessionMember>(b);
    return std::pair(session->life, session->session) < std::pair(other.life, other.session);
  }
  return std::get<InboxMember>(a).inbox.inbox < std::get<InboxMember>(b).inbox.inbox;
}

Members::const_iterator lower_bound(const Members& members, const GroupMember& member) {
  return std::lower_bound(members.begin(), members.end(), member,
                          [](const auto& entry, const GroupMember& wanted) {
                            return comes_before(entry->member, wanted);
                          });
}

/// The end when there is no member of this identity.
Members::const_iterator find_member(const Members& members, const GroupMember& member) {
  const auto at = lower_bound(members, member);
  return at != members.end() && !comes_before(member, (*at)->member) ? at : members.end();
}

std::optional<Life> life_of(const GroupMember& member) {
  if (const auto* session = std::get_if<SessionMember>(&member)) return session->life;
  const auto& inbox = std::get<InboxMember>(member);
  return inbox.online() ? std::optional(inbox.owner) : std::nullopt;
}

InboxSubscription subscription_of(const InboxReceiver& inbox) {
  return {.incarnation = inbox.incarnation,
          .id = inbox.subscription_id,
          .qos = inbox.qos,
          .retain_as_published = inbox.retain_as_published,
          .no_local = inbox.no_local};
}

InboxReceiver receiver_of(std::string_view name, const InboxSubscription& subscription) {
  return {.inbox = std::string(name),
          .incarnation = subscription.incarnation,
          .qos = subscription.qos,
          .retain_as_published = subscription.retain_as_published,
          .no_local = subscription.no_local,
          .subscription_id = subscription.id};
}

}  // namespace

std::optional<Life> life_of(const Receiver& receiver) {
  if (const auto* node = std::get_if<NodeReceiver>(&receiver)) return node->life;
  const auto* group = std::get_if<GroupReceiver>(&receiver);
  return group == nullptr ? std::nullopt : life_of(group->member);
}

std::optional<Route> RouteTable::find(const Route& route) const {
  const topic::FilterTrie<topic::Ref<RouteSet>>* trie = tries_.find(route.tenant);
  const topic::Ref<RouteSet>* set = trie == nullptr ? nullptr : trie->find(route.filter);
  if (set == nullptr) return std::nullopt;
  if (const auto* node = std::get_if<NodeReceiver>(&route.receiver)) {
    const auto& nodes = (*set)->nodes;
    if (!std::binary_search(nodes.begin(), nodes.end(), node->life)) return std::nullopt;
    return route;
  }
  Route found{route.tenant, route.filter, {}};
  if (const auto* inbox = std::get_if<InboxReceiver>(&route.receiver)) {
    const InboxSubscription* present = (*set)->inboxes.find(hashed(inbox->inbox));
    if (present == nullptr) return std::nullopt;
    found.receiver = receiver_of(inbox->inbox, *present);
    return found;
  }
  const auto& receiver = std::get<GroupReceiver>(route.receiver);
  const Group* group = (*set)->groups.find(hashed(receiver.group));
  if (group == nullptr) return std::nullopt;
  const auto member = find_member(group->members, receiver.member);
  if (member == group->members.end()) return std::nullopt;
  found.receiver = GroupReceiver{receiver.group, (*member)->member};
  return found;
}

std::size_t RouteTable::group_size(std::string_view tenant, std::string_view filter,
                                   std::string_view group) const {
  const topic::FilterTrie<topic::Ref<RouteSet>>* trie = tries_.find(tenant);
  const topic::Ref<RouteSet>* set = trie == nullptr ? nullptr : trie->find(filter);
  const Group* found = set == nullptr ? nullptr : (*set)->groups.find(hashed(group));
  return found == nullptr ? 0 : found->size();
}

/// The set of the route's filter, this table's alone.
RouteSet& RouteTable::own(const Route& route) {
  topic::Ref<RouteSet>& set = tries_.change(route.tenant, route.filter);
  if (!set) {
    set = topic::Ref<RouteSet>::adopt(new RouteSet());
  } else if (!set->unique()) {
    set = topic::Ref<RouteSet>::adopt(new RouteSet(*set));
  }
  return *set;
}

/// What the route's key is found under.
void RouteTable::index(const Route& route, std::optional<Life> before, std::optional<Life> now) {
  if (before == now) return;
  if (now) keys_by_life_[*now].emplace(route_key(route));
  if (!before) return;
  const auto at = keys_by_life_.find(*before);
  SKALD_ASSERT(at != keys_by_life_.end());
  SKALD_ASSERT(at->second.erase(std::string_view(route_key(route))) == 1);
  if (at->second.empty()) keys_by_life_.erase(at);
}

void RouteTable::put(const Route& route) {
  RouteSet& set = own(route);
  bool added = false;
  std::optional<Life> before;
  if (const auto* node = std::get_if<NodeReceiver>(&route.receiver)) {
    const auto at = std::lower_bound(set.nodes.begin(), set.nodes.end(), node->life);
    added = at == set.nodes.end() || *at != node->life;
    if (added) set.nodes.insert(at, node->life);
    if (!added) before = node->life;
  } else if (const auto* inbox = std::get_if<InboxReceiver>(&route.receiver)) {
    added = set.inboxes.find(hashed(inbox->inbox)) == nullptr;
    set.inboxes.at_or_insert(hashed(inbox->inbox), hash_) = subscription_of(*inbox);
  } else {
    const auto& receiver = std::get<GroupReceiver>(route.receiver);
    Group& group = set.groups.at_or_insert(hashed(receiver.group), hash_);
    group.filter = route.filter;
    auto entry = topic::Ref<const GroupMemberEntry>::adopt(new GroupMemberEntry(receiver.member));
    const auto at = find_member(group.members, receiver.member);
    added = at == group.members.end();
    if (added) {
      group.members.insert(lower_bound(group.members, receiver.member), std::move(entry));
    } else {
      before = life_of((*at)->member);
      group.members[static_cast<std::size_t>(at - group.members.begin())] = std::move(entry);
    }
  }
  if (added) ++size_;
  index(route, before, life_of(route.receiver));
}

void RouteTable::remove(const Route& route) {
  RouteSet& set = own(route);
  std::optional<Life> before;
  if (const auto* node = std::get_if<NodeReceiver>(&route.receiver)) {
    SKALD_ASSERT(std::erase(set.nodes, node->life) == 1);
    before = node->life;
  } else if (const auto* inbox = std::get_if<InboxReceiver>(&route.receiver)) {
    SKALD_ASSERT(set.inboxes.erase(hashed(inbox->inbox)));
  } else {
    const auto& receiver = std::get<GroupReceiver>(route.receiver);
    Group* group = set.groups.find_mutable(hashed(receiver.group));
    SKALD_ASSERT(group != nullptr);
    const auto at = find_member(group->members, receiver.member);
    SKALD_ASSERT(at != group->members.end());
    before = life_of((*at)->member);
    group->members.erase(at);
    if (group->members.empty()) set.groups.erase(hashed(receiver.group));
  }
  if (set.empty()) tries_.erase(route.tenant, route.filter);
  --size_;
  index(route, before, std::nullopt);
}

std::vector<std::string> RouteTable::keys_of(Life life, std::size_t limit) const {
  const auto index = keys_by_life_.find(life);
  if (index == keys_by_life_.end()) return {};
  std::vector<std::string> keys;
  for (const PackedString& key : index->second) {
    if (keys.size() == limit) break;
    keys.emplace_back(key.view());
  }
  return keys;
}

std::vector<Route> RouteTable::routes() const {
  std::vector<Route> routes;
  tries_.for_each_tenant([&routes](std::string_view tenant, const auto& trie) {
    trie.for_each([&routes, tenant](const std::string& filter, const topic::Ref<RouteSet>& set) {
      const auto add = [&](Receiver receiver) {
        routes.push_back({std::string(tenant), filter, std::move(receiver)});
      };
      for (const Life& life : set->nodes) add(NodeReceiver{life});
      for (const auto* entry : set->inboxes.sorted_entries()) {
        add(receiver_of(entry->key(), entry->value));
      }
      for (const auto* entry : set->groups.sorted_entries()) {
        for (const auto& member : entry->value.members) {
          add(GroupReceiver{std::string(entry->key()), member->member});
        }
      }
    });
  });
  return routes;
}

void RouteTable::clear() {
  tries_.clear();
  keys_by_life_.clear();
  size_ = 0;
}

}  // namespace skald::dist
