#include "kv/range/genesis.h"

#include <utility>

namespace skald::range {

Meeting meet(const Genesis& ours, const Genesis& theirs) {
  if (ours.id == theirs.id || ours.id == 0 || theirs.id == 0) return Meeting::kSame;
  if (ours.used && theirs.used) return Meeting::kRefused;
  if (ours.used != theirs.used) return ours.used ? Meeting::kTheirsYields : Meeting::kOursYields;
  const bool ours_older = std::pair(ours.stamp_us, ours.id) < std::pair(theirs.stamp_us, theirs.id);
  return ours_older ? Meeting::kTheirsYields : Meeting::kOursYields;
}

void learn(Genesis& known, const Genesis& told) {
  if (known.id == 0) known = told;
  if (known.id == told.id) known.used = known.used || told.used;
}

HelloVerdict judge_hello(const GenesisHello& ours, const GenesisHello& theirs) {
  HelloVerdict verdict;
  for (const auto& [store, own] : ours) {
    const auto other = theirs.find(store);
    if (other == theirs.end()) continue;
    switch (meet(own, other->second)) {
      case Meeting::kSame:
        break;
      case Meeting::kOursYields:
        verdict.ours_yield.push_back(store);
        break;
      case Meeting::kTheirsYields:
        verdict.theirs_yield.push_back(store);
        break;
      case Meeting::kRefused:
        verdict.refused = true;
        verdict.why += (verdict.why.empty() ? "" : "; ") + std::string("store ") +
                       std::to_string(store) + " was begun twice and both are in use: genesis " +
                       std::to_string(own.id) + " here, " + std::to_string(other->second.id) +
                       " there";
        break;
    }
  }
  if (verdict.refused) {
    verdict.ours_yield.clear();
    verdict.theirs_yield.clear();
    verdict.why += ". They never mix: empty the data directories of one side, then restart it";
  }
  return verdict;
}

}  // namespace skald::range
