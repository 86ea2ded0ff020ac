#include "mqtt/dist/route_snapshot.h"

#include <algorithm>

namespace skald::dist {
namespace {

/// Overlapping subscriptions of one inbox become one receiver.
void merge_inboxes(std::vector<Matches::Inbox>& inboxes) {
  std::sort(inboxes.begin(), inboxes.end(),
            [](const auto& a, const auto& b) { return a.inbox < b.inbox; });
  std::size_t kept = 0;
  for (std::size_t i = 1; i < inboxes.size(); ++i) {
    Matches::Inbox& last = inboxes[kept];
    if (inboxes[i].inbox != last.inbox) {
      inboxes[++kept] = inboxes[i];
      continue;
    }
    last.qos = std::max(last.qos, inboxes[i].qos);
    last.incarnation = std::max(last.incarnation, inboxes[i].incarnation);
  }
  inboxes.resize(kept + 1);
}

}  // namespace

void Matches::clear() {
  nodes.clear();
  inboxes.clear();
  groups.clear();
  keep_.clear();
}

void RouteSnapshot::match(std::string_view tenant, std::string_view topic, Matches& out) const {
  out.clear();
  std::size_t node_sets = 0;
  std::size_t inbox_sets = 0;
  tries_.match(tenant, topic, [&](const topic::Ref<RouteSet>& set) {
    out.nodes.insert(out.nodes.end(), set->nodes.begin(), set->nodes.end());
    node_sets += set->nodes.empty() ? 0 : 1;
    if (set->inboxes.empty() && set->groups.empty()) return;
    inbox_sets += set->inboxes.empty() ? 0 : 1;
    out.keep_.push_back(topic::Ref<const RouteSet>::share(set.get()));
    set->inboxes.for_each([&out](const topic::MapEntry<InboxSubscription>& entry) {
      out.inboxes.push_back({entry.key(), entry.value.incarnation, entry.value.qos});
    });
    set->groups.for_each([&out](const topic::MapEntry<Group>& entry) {
      out.groups.push_back({entry.key(), &entry.value});
    });
  });
  if (node_sets > 1) {
    std::sort(out.nodes.begin(), out.nodes.end());
    out.nodes.erase(std::unique(out.nodes.begin(), out.nodes.end()), out.nodes.end());
  }
  if (inbox_sets > 1) merge_inboxes(out.inboxes);
}

const RouteSet* RouteSnapshot::find(std::string_view tenant, std::string_view filter) const {
  const topic::FilterTrie<topic::Ref<RouteSet>>* trie = tries_.find(tenant);
  const topic::Ref<RouteSet>* set = trie == nullptr ? nullptr : trie->find(filter);
  return set == nullptr ? nullptr : set->get();
}

}  // namespace skald::dist
