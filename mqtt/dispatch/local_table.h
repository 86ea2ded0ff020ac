// The subscriptions of one loop: which of its sessions want what.
//
// Owned by the loop's dispatch core. A loop tells its node only of the first and the last session
// of a filter (node_routes.h); everything between is settled here.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "mqtt/codec/packets.h"
#include "mqtt/session/session.h"
#include "mqtt/topic/tenant_tries.h"

namespace skald::dispatch {

struct LocalSubscription {
  session::Session* session = nullptr;
  codec::SubscriptionOptions options;
  std::uint32_t id = 0;  // subscription identifier; 0: none
};
using LocalSubscribers = std::vector<LocalSubscription>;  // in order of subscription

class LocalTable {
 public:
  explicit LocalTable(std::uint64_t hash_seed) : tries_(hash_seed) {}

  /// `replace`: the session has this filter already. Returns true for the first of the filter.
  bool add(std::string_view tenant, std::string_view filter, const LocalSubscription& added,
           bool replace) {
    LocalSubscribers& subscribers = tries_.change(tenant, filter);
    if (replace) {
      const auto found = find(subscribers, added.session);
      if (found != subscribers.end()) {
        *found = added;
        return false;
      }
    }
    subscribers.push_back(added);
    return subscribers.size() == 1;
  }

  /// Returns true when that was the last one. Requires: the session has this filter.
  bool remove(std::string_view tenant, std::string_view filter, const session::Session* session) {
    LocalSubscribers& subscribers = tries_.change(tenant, filter);
    const auto found = find(subscribers, session);
    if (found != subscribers.end()) subscribers.erase(found);
    if (!subscribers.empty()) return false;
    tries_.erase(tenant, filter);
    return true;
  }

  std::uint64_t version(std::string_view tenant) const { return tries_.version(tenant); }

  template <class F>
  void match(std::string_view tenant, std::string_view topic, F&& on_match) const {
    tries_.match(tenant, topic, on_match);
  }

 private:
  static LocalSubscribers::iterator find(LocalSubscribers& in, const session::Session* session) {
    return std::find_if(in.begin(), in.end(), [session](const LocalSubscription& subscription) {
      return subscription.session == session;
    });
  }

  topic::TenantTries<LocalSubscribers> tries_;
};

}  // namespace skald::dispatch
