// What one loop knows about the receivers of a topic, and for how long.
//
// An entry holds for exactly the versions it was made from: the tenant's routes in the cluster, its
// interest on this node, and its subscriptions on this loop. There are no patches: when one of them
// has changed, the entry is made anew at its next use.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mqtt/dispatch/local_table.h"
#include "mqtt/dispatch/node_routes.h"
#include "mqtt/dist/route_snapshot.h"
#include "mqtt/session/delivery.h"

namespace skald::dispatch {

/// One session of this loop, its overlapping subscriptions merged: one copy, the highest QoS, every
/// subscription identifier, RETAIN as published if any of them wants that.
struct LocalReceiver {
  session::Session* session = nullptr;
  codec::QoS qos = codec::QoS::at_most_once;
  bool retain_as_published = false;
  bool no_local = false;  // at least one of them is No Local
  std::uint32_t first_id = 0;
  std::uint32_t ids = 0;
};

struct SharedTarget {
  session::GroupKeyRef key;
  const dist::Group* group = nullptr;  // kept alive by MatchEntry::routes
};

struct MatchVersions {
  std::uint64_t routes = 0;
  std::uint64_t interest = 0;
  std::uint64_t local = 0;

  bool operator==(const MatchVersions&) const = default;
};

struct MatchEntry {
  MatchVersions versions;
  bool filled = false;
  std::vector<LocalReceiver> receivers;
  std::vector<std::uint32_t> ids;  // subscription identifiers of all receivers
  LoopMask other_loops = 0;
  std::vector<SharedTarget> groups;
  std::uint32_t groups_left_out = 0;  // by FanOut::max_groups
  dist::Matches routes;
  std::size_t weight = 0;  // bytes of the lists, as the cache last counted them
};

/// The entries of one loop, limited in number and in bytes: topics may be long, and a filter of
/// many receivers may match them all. Full: everything goes, which is cheap to make again and needs
/// no order.
class MatchCache {
 public:
  using Topics = absl::flat_hash_map<std::string, std::unique_ptr<MatchEntry>>;

  MatchCache(std::size_t entries_max, std::size_t bytes_max)
      : entries_max_(entries_max), bytes_max_(bytes_max) {}

  /// The topics of a tenant. Valid until evictions() changes.
  Topics& tenant(std::string_view tenant) {
    std::unique_ptr<Topics>& topics = tenants_[absl::string_view(tenant.data(), tenant.size())];
    if (!topics) topics = std::make_unique<Topics>();
    return *topics;
  }

  /// The entry of `topic`, possibly not filled. `topics` is tenant()'s. Valid until evictions()
  /// changes; null when everything was evicted to make room: begin again.
  MatchEntry* at(Topics& topics, std::string_view topic) {
    const absl::string_view key(topic.data(), topic.size());
    if (const auto found = topics.find(key); found != topics.end()) return found->second.get();
    if (entries_ >= entries_max_ || full()) {
      clear();
      return nullptr;
    }
    ++entries_;
    bytes_ += sizeof(MatchEntry) + topic.size();
    return topics.emplace(std::string(topic), std::make_unique<MatchEntry>()).first->second.get();
  }

  /// Too many bytes: clear() before the next entry is filled.
  bool full() const { return bytes_ >= bytes_max_; }

  /// The entry has been filled.
  void weigh(MatchEntry& entry) {
    bytes_ -= entry.weight;
    entry.weight = entry.receivers.capacity() * sizeof(LocalReceiver) +
                   entry.ids.capacity() * sizeof(std::uint32_t) +
                   entry.groups.capacity() * (sizeof(SharedTarget) + sizeof(session::GroupKey)) +
                   entry.routes.nodes.capacity() * sizeof(Life) +
                   (entry.routes.inboxes ? entry.routes.inboxes->size_bytes() : 0);
    bytes_ += entry.weight;
  }

  void clear() {
    tenants_.clear();
    entries_ = 0;
    bytes_ = 0;
    ++evictions_;
  }

  std::size_t size() const { return entries_; }
  std::size_t bytes() const { return bytes_; }
  std::uint64_t evictions() const { return evictions_; }

 private:
  absl::flat_hash_map<std::string, std::unique_ptr<Topics>> tenants_;
  std::size_t entries_max_;
  std::size_t bytes_max_;
  std::size_t entries_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t evictions_ = 0;
};

}  // namespace skald::dispatch
