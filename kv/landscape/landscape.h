// What is known of one subcluster of stores: its ranges, where their replicas are, what the stores
// carry. Routers and balancers read it.
//
// A pure value that merges what stores announce. Merging is idempotent and in any order: of a range
// the newest epoch counts (route::RouteTable), of a store the announcement with the highest
// version. Ranges of a genesis that yields to another's are not taken in. Whether a store lives is
// told by membership, not by announcements.
//
// Bounds: kStoresMax stores, route::kRangesMax ranges; more are not taken in.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "kv/range/genesis.h"
#include "kv/range/load.h"
#include "kv/route/route_table.h"

namespace skald::landscape {

inline constexpr std::size_t kStoresMax = 10'000;

/// What a store says of itself. `version` grows with each announcement, over restarts too.
struct StoreAnnouncement {
  range::StoreId store;
  NodeId node;
  std::uint64_t version = 0;
  std::uint64_t bytes_used = 0;
  std::uint64_t bytes_free = 0;
  std::uint32_t cpu_per_mille = 0;
  struct Replica {
    range::Descriptor descriptor;
    bool leads = false;
    range::LoadReport load;  ///< if it leads
  };
  std::vector<Replica> replicas;
};

struct StoreView {
  StoreAnnouncement last;  ///< its replicas moved into the landscape's ranges
  bool alive = true;
};

struct RangeView {
  range::StoreId leader;  ///< 0: nobody says so
  std::uint64_t leader_version = 0;
  range::LoadReport load;
};

class Landscape {
 public:
  /// True if it was news.
  bool announce(const StoreAnnouncement& announcement);
  /// A descriptor from elsewhere: a stale-epoch reply.
  bool learn(const range::Descriptor& descriptor);
  void set_alive(range::StoreId store, bool alive);
  /// It left for good.
  void forget(range::StoreId store);

  /// Who serves this key. Null: nobody known.
  const range::Descriptor* find(std::string_view key) const { return routes_.find(key); }
  const route::RouteTable& routes() const { return routes_; }
  const RangeView* view(RangeId range) const;
  const StoreView* store(range::StoreId store) const;
  const std::map<range::StoreId, StoreView>& stores() const { return stores_; }
  /// The ranges whose newest descriptor has a replica on `store`.
  std::vector<RangeId> ranges_on(range::StoreId store) const;
  /// The stores of a range that live.
  std::vector<range::StoreId> alive_of(const range::Descriptor& descriptor) const;
  const range::Genesis& genesis() const { return genesis_; }
  /// Both used: what was refused last, for the operator.
  const std::optional<range::Genesis>& clash() const { return clash_; }

 private:
  bool fits(const range::Genesis& genesis);

  route::RouteTable routes_;
  std::map<RangeId, RangeView> views_;
  std::map<range::StoreId, StoreView> stores_;
  range::Genesis genesis_;
  std::optional<range::Genesis> clash_;
};

}  // namespace skald::landscape
