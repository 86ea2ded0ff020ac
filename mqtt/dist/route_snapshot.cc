#include "mqtt/dist/route_snapshot.h"

#include <algorithm>

#include "mqtt/publication.h"

namespace skald::dist {

std::size_t InboxMatches::size_bytes() const {
  return sizeof(InboxMatches) + inboxes.capacity() * sizeof(Inbox) +
         no_local.capacity() * sizeof(NoLocal) + ids_.capacity() * sizeof(std::uint32_t) +
         keep_.capacity() * sizeof(keep_[0]);
}

bool InboxMatches::reaches(codec::QoS qos, const NoLocal* own) const {
  const auto is_0 = [](const Inbox& inbox) { return inbox.qos == codec::QoS::at_most_once; };
  std::size_t all = inboxes.size();
  std::size_t of_qos0 = of_qos0_;
  if (own != nullptr) {
    of_qos0 -= is_0(inboxes[own->inbox]) ? 1 : 0;
    of_qos0 += own->instead && is_0(*own->instead) ? 1 : 0;
    all -= own->instead ? 0 : 1;
  }
  return qos == codec::QoS::at_most_once ? of_qos0 > 0 : all > of_qos0;
}

/// Nothing when all of them are left out.
std::optional<InboxMatches::Inbox> InboxMatches::merge_one(std::span<const Found> found,
                                                           bool without_no_local) {
  Inbox merged{.inbox = found.front().inbox, .first_id = static_cast<std::uint32_t>(ids_.size())};
  bool any = false;
  for (const auto& [name, subscription] : found) {
    if (without_no_local && subscription->no_local) continue;
    any = true;
    merged.incarnation = std::max(merged.incarnation, subscription->incarnation);
    merged.qos = std::max(merged.qos, subscription->qos);
    merged.retain_as_published |= subscription->retain_as_published;
    if (subscription->id == 0) continue;
    ids_.push_back(subscription->id);
    ++merged.ids;
  }
  return any ? std::optional(merged) : std::nullopt;
}

void InboxMatches::merge(std::string_view tenant, std::vector<Found> found, bool overlapping) {
  if (overlapping) {
    std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
      return a.inbox != b.inbox ? a.inbox < b.inbox : a.subscription->id < b.subscription->id;
    });
  }
  inboxes.reserve(found.size());
  for (std::size_t at = 0; at < found.size();) {
    std::size_t end = at + 1;
    while (end < found.size() && found[end].inbox == found[at].inbox) ++end;
    const std::span one = std::span<const Found>(found).subspan(at, end - at);
    const auto position = static_cast<std::uint32_t>(inboxes.size());
    inboxes.push_back(*merge_one(one, false));
    of_qos0_ += inboxes.back().qos == codec::QoS::at_most_once ? 1 : 0;
    const bool no_local_here = std::any_of(
        one.begin(), one.end(), [](const Found& each) { return each.subscription->no_local; });
    if (no_local_here) {
      no_local.push_back({.publisher = mqtt::persistent_life(tenant, one.front().inbox),
                          .inbox = position,
                          .instead = merge_one(one, true)});
    }
    at = end;
  }
}

void Matches::clear() {
  nodes.clear();
  inboxes.reset();
  groups.clear();
  keep_.clear();
}

void RouteSnapshot::match(std::string_view tenant, std::string_view topic, Matches& out) const {
  out.clear();
  std::size_t node_sets = 0;
  std::vector<InboxMatches::Found> found;
  std::vector<topic::Ref<const RouteSet>> inbox_sets;
  tries_.match(tenant, topic, [&](const topic::Ref<RouteSet>& set) {
    out.nodes.insert(out.nodes.end(), set->nodes.begin(), set->nodes.end());
    node_sets += set->nodes.empty() ? 0 : 1;
    if (!set->inboxes.empty()) {
      inbox_sets.push_back(topic::Ref<const RouteSet>::share(set.get()));
      set->inboxes.for_each([&found](const topic::MapEntry<InboxSubscription>& entry) {
        found.push_back({entry.key(), &entry.value});
      });
    }
    if (set->groups.empty()) return;
    out.keep_.push_back(topic::Ref<const RouteSet>::share(set.get()));
    set->groups.for_each([&out](const topic::MapEntry<Group>& entry) {
      out.groups.push_back({entry.key(), &entry.value});
    });
  });
  if (node_sets > 1) {
    std::sort(out.nodes.begin(), out.nodes.end());
    out.nodes.erase(std::unique(out.nodes.begin(), out.nodes.end()), out.nodes.end());
  }
  if (found.empty()) return;
  auto inboxes = std::make_shared<InboxMatches>();
  inboxes->merge(tenant, std::move(found), inbox_sets.size() > 1);
  inboxes->keep_ = std::move(inbox_sets);
  out.inboxes = std::move(inboxes);
}

const RouteSet* RouteSnapshot::find(std::string_view tenant, std::string_view filter) const {
  const topic::FilterTrie<topic::Ref<RouteSet>>* trie = tries_.find(tenant);
  const topic::Ref<RouteSet>* set = trie == nullptr ? nullptr : trie->find(filter);
  return set == nullptr ? nullptr : set->get();
}

}  // namespace skald::dist
