// Beside the leader of the meta range: carries the end of each life to all ranges of all stores,
// again and again until every key of every store is in a range that has applied it.
//
// A pure core. A range that answers covers the keys that it had when it applied: what is split off
// later inherits the end with the lanes. A leader that knows nothing begins anew; ranges take the
// second EndLife for nothing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/base/ids.h"
#include "kv/range/state_machine.h"
#include "kv/route/route_table.h"
#include "kv/store/log_types.h"

namespace skald::meta {

/// A set of keys, as disjoint intervals.
class KeyCover {
 public:
  void add(const range::Boundary& boundary);
  bool has(const range::Boundary& boundary) const;
  bool whole() const { return has({}); }

 private:
  std::map<std::string, std::optional<std::string>> parts_;  ///< start -> end
};

class EndLifeDriver {
 public:
  struct Send {
    Life life;
    store::StoreNumber store = 0;
    RangeId range;
  };
  using Tables = std::map<store::StoreNumber, const route::RouteTable*>;

  explicit EndLifeDriver(std::uint64_t retry_us = 500'000) : retry_us_(retry_us) {}

  void open(Life life) { open_.try_emplace(life); }
  void close(Life life) { open_.erase(life); }
  void leader_stopped() { open_.clear(); }
  /// `tables`: of every store that there is. What to ask of the leaders of these ranges now.
  std::vector<Send> tick(std::uint64_t now_us, const Tables& tables);
  /// The range applied the end of the life, and had nothing of it left; `boundary` was its own.
  void on_done(Life life, store::StoreNumber store, const range::Boundary& boundary);
  /// IntentDone is to be proposed for these; they stay until close().
  std::vector<Life> complete(const Tables& tables) const;

 private:
  struct Open {
    std::map<store::StoreNumber, KeyCover> covers;
    std::map<std::pair<store::StoreNumber, RangeId>, std::uint64_t> sent_us;
  };

  const std::uint64_t retry_us_;
  std::map<Life, Open> open_;
};

}  // namespace skald::meta
