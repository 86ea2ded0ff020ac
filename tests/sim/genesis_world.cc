#include "tests/sim/genesis_world.h"

#include <string>

#include "kv/range/genesis.h"
#include "tests/range/cluster.h"

namespace skald::sim {
namespace {

using range::Genesis;
using range::StoreId;

/// Stores 1 and 2 began range 1, stores 3 and 4 range 2.
class GenesisWorld {
 public:
  explicit GenesisWorld(std::uint64_t seed) : random_(mix_seed(seed) ^ 0x9e5) {
    const Genesis geneses[] = {{1, random_.between(1, 3), false},
                               {2, random_.between(1, 3), false}};
    for (std::uint64_t store = 1; store <= 4; ++store) {
      const std::uint64_t side = (store + 1) / 2;
      cluster_.node(store).bootstrap(
          range::first_descriptor(RangeId{side}, {2 * side - 1, 2 * side}, geneses[side - 1]));
    }
    cluster_.until([this] { return leads(1) != 0 && leads(2) != 0; });
  }

  Violation run() {
    for (std::uint64_t side = 1; side <= 2; ++side) {
      if (random_.one_in(3)) write(side);
    }
    if (random_.one_in(2)) cluster_.run(random_.below(6));
    const range::HelloVerdict left = meet(1, 3);
    const range::HelloVerdict right = meet(3, 1);
    if (left.refused != right.refused || left.ours_yield != right.theirs_yield ||
        left.theirs_yield != right.ours_yield) {
      return {"two geneses never mix", "the sides judge differently"};
    }
    if (left.refused && (left.why.empty() || right.why.empty())) {
      return {"two geneses never mix", "a side is not told why"};
    }
    const std::uint64_t yields = !left.ours_yield.empty() ? 1 : !right.ours_yield.empty() ? 2 : 0;
    if (yields != 0) {
      if (random_.one_in(2)) write(yields);  // on its way when the other proposes to retire
      retire(yields);
      if (random_.one_in(2)) write(yields);
      if (random_.one_in(3)) cluster_.cut = {2 * yields - random_.below(2)};
      cluster_.run(random_.below(10));
      cluster_.cut = {};
    }
    cluster_.run(200);
    return judge(yields);
  }

 private:
  std::uint64_t leads(std::uint64_t side) { return cluster_.leader(RangeId{side}); }

  range::HelloVerdict meet(std::uint64_t ours, std::uint64_t theirs) {
    return range::judge_hello({{0, known(ours)}}, {{0, known(theirs)}});
  }

  Genesis known(std::uint64_t store) {
    Genesis known;
    for (const auto& [id, range] : cluster_.node(store).host().ranges()) {
      range::learn(known, range->descriptor().genesis);
    }
    return known;
  }

  void write(std::uint64_t side) {
    if (leads(side) == 0) return;
    range::DataRequest request;
    request.id = next_++;
    request.boundary_ver = 1;
    request.bytes = "1 " + std::to_string(request.id) + " k" + std::to_string(request.id);
    cluster_.node(leads(side)).host().request(RangeId{side}, request);
    asked_[request.id] = side;
  }

  void retire(std::uint64_t side) {
    range::ManageRequest request;
    request.id = next_++;
    request.body = range::Retire{side};
    if (leads(side) != 0) cluster_.node(leads(side)).host().manage(RangeId{side}, request);
  }

  Violation judge(std::uint64_t yields) {
    bool any_acked[3] = {};
    for (const auto& [id, side] : asked_) {
      bool acked = false;
      for (std::uint64_t store = 1; store <= 4; ++store) {
        const auto& replies = cluster_.node(store).replies();
        const auto reply = replies.find(id);
        acked = acked || (reply != replies.end() && reply->second.outcome == range::Outcome::kDone);
      }
      if (!acked) continue;
      any_acked[side] = true;
      const std::uint64_t store = leads(side);
      if (store == 0 ||
          !cluster_.node(store).kv(RangeId{side}).values().contains("k" + std::to_string(id))) {
        return {"committed never lost", "the write " + std::to_string(id) + " of a used genesis"};
      }
    }
    for (std::uint64_t side = 1; side <= 2; ++side) {
      const bool there = leads(side) != 0;
      if (!there && side != yields) return {"liveness", "a genesis went that was to stay"};
      if (there || any_acked[side]) continue;
      for (const std::uint64_t store : {2 * side - 1, 2 * side}) {
        if (!cluster_.node(store).host().ranges().empty()) {
          return {"liveness", "store " + std::to_string(store) + " keeps a retired range"};
        }
      }
    }
    return {};
  }

  Random random_;
  range::Cluster cluster_{4};
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, std::uint64_t> asked_;  ///< write -> side
};

}  // namespace

Violation run_geneses(std::uint64_t seed) { return GenesisWorld(seed).run(); }

}  // namespace skald::sim
