#include "kv/landscape/landscape.h"

namespace skald::landscape {

/// The genesis that wins replaces all that was known of the other.
bool Landscape::fits(const range::Genesis& genesis) {
  switch (range::meet(genesis_, genesis)) {
    case range::Meeting::kSame:
      range::learn(genesis_, genesis);
      return true;
    case range::Meeting::kOursYields:
      genesis_ = genesis;
      routes_ = {};
      views_.clear();
      return true;
    case range::Meeting::kTheirsYields:
      return false;
    case range::Meeting::kRefused:
      clash_ = genesis;
      return false;
  }
  return false;
}

bool Landscape::learn(const range::Descriptor& descriptor) {
  return fits(descriptor.genesis) && routes_.learn(descriptor);
}

bool Landscape::announce(const StoreAnnouncement& announcement) {
  const auto known = stores_.find(announcement.store);
  if (known == stores_.end() && stores_.size() >= kStoresMax) return false;
  if (known != stores_.end() && announcement.version <= known->second.last.version) return false;
  StoreView& store = stores_[announcement.store];
  store.last = announcement;
  store.last.replicas.clear();
  for (auto& [range, view] : views_) {
    if (view.leader == announcement.store) view.leader = {};
  }
  for (const StoreAnnouncement::Replica& replica : announcement.replicas) {
    learn(replica.descriptor);
    const range::Descriptor* newest = routes_.range(replica.descriptor.id);
    if (!replica.leads || newest == nullptr) continue;
    // Of two that say so, the one with the newer descriptor leads.
    RangeView& view = views_[replica.descriptor.id];
    if (view.leader && replica.descriptor.epoch != newest->epoch) continue;
    view = {announcement.store, announcement.version, replica.load};
  }
  return true;
}

void Landscape::set_alive(range::StoreId store, bool alive) {
  const auto found = stores_.find(store);
  if (found != stores_.end()) found->second.alive = alive;
}

void Landscape::forget(range::StoreId store) {
  stores_.erase(store);
  for (auto& [range, view] : views_) {
    if (view.leader == store) view.leader = {};
  }
}

const RangeView* Landscape::view(RangeId range) const {
  const auto found = views_.find(range);
  return found == views_.end() ? nullptr : &found->second;
}

const StoreView* Landscape::store(range::StoreId store) const {
  const auto found = stores_.find(store);
  return found == stores_.end() ? nullptr : &found->second;
}

std::vector<RangeId> Landscape::ranges_on(range::StoreId store) const {
  std::vector<RangeId> all;
  for (const auto& [id, descriptor] : routes_.ranges()) {
    if (descriptor.on(store) != nullptr) all.push_back(id);
  }
  return all;
}

std::vector<range::StoreId> Landscape::alive_of(const range::Descriptor& descriptor) const {
  std::vector<range::StoreId> alive;
  for (const range::Replica& replica : descriptor.replicas) {
    const StoreView* view = store(replica.store);
    if (view != nullptr && view->alive) alive.push_back(replica.store);
  }
  return alive;
}

}  // namespace skald::landscape
