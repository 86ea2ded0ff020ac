// The routes of one range in memory: tries for matching, and what each life holds.
//
// Decides nothing: the state machine checks a change, then makes it here and in the store. The
// tries are persistent (topic/), so that a snapshot costs nothing; the index by life is what lets
// the end of a life find its routes without a scan.
#pragma once

#include <absl/container/btree_set.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/base/ids.h"
#include "config/base/packed_string.h"
#include "mqtt/dist/route_snapshot.h"
#include "mqtt/dist/types.h"

namespace skald::dist {

/// The life that a route ends with, or that has the persistent member online; absent for others.
std::optional<Life> life_of(const Receiver& receiver);

class RouteTable {
 public:
  RouteTable(std::uint64_t hash_seed, std::uint64_t last_version)
      : hash_{hash_seed}, tries_(hash_seed, last_version) {}

  RouteSnapshot snapshot() const { return RouteSnapshot(tries_); }

  /// The route with the identity of `route`, as it is stored; absent when there is none.
  std::optional<Route> find(const Route& route) const;

  /// The members of a group; 0: no such group.
  std::size_t group_size(std::string_view tenant, std::string_view filter,
                         std::string_view group) const;

  /// Adds the route, or replaces the one of the same identity.
  void put(const Route& route);

  /// Requires: a route of this identity is there.
  void remove(const Route& route);

  /// Up to `limit` keys (keys.h) of the routes of a life, the lowest first.
  std::vector<std::string> keys_of(Life life, std::size_t limit) const;
  bool has_routes(Life life) const { return keys_by_life_.contains(life); }

  /// All routes, sorted by tenant and filter level by level. Slow: for boundaries and tests.
  std::vector<Route> routes() const;

  std::size_t size() const { return size_; }
  std::uint64_t last_version() const { return tries_.last_version(); }

  /// Drops all routes; versions go on.
  void clear();

 private:
  topic::HashedKey hashed(std::string_view text) const { return {text, hash_(text)}; }
  RouteSet& own(const Route& route);
  void index(const Route& route, std::optional<Life> before, std::optional<Life> now);

  topic::SeededHash hash_;
  RouteTries tries_;
  std::map<Life, absl::btree_set<PackedString, PackedString::Less>> keys_by_life_;
  std::size_t size_ = 0;
};

}  // namespace skald::dist
