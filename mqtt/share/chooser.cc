#include "mqtt/share/chooser.h"

#include <utility>

#include "mqtt/topic/persistent_map.h"

namespace skald::share {

void Chooser::age() { older_ = std::exchange(recent_, {}); }

std::uint64_t& Chooser::turn_of(std::string_view tenant, std::string_view group,
                                std::string_view filter) {
  std::uint64_t key = topic::hash_text(tenant, hash_seed_);
  key = topic::hash_text(group, key);
  key = topic::hash_text(filter, key);
  if (const auto at = recent_.find(key); at != recent_.end()) return at->second;
  if (recent_.size() >= groups_max_) age();
  const auto known = older_.find(key);
  // Below 2^32, so that taking it modulo any size is fair and adding one never wraps.
  const std::uint64_t turn = known != older_.end() ? known->second : random_.next() >> 32;
  if (known != older_.end()) older_.erase(known);
  return recent_[key] = turn;
}

}  // namespace skald::share
