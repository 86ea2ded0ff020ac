#include "kv/route/route_table.h"

#include <algorithm>
#include <utility>

namespace skald::route {

bool RouteTable::learn(const range::Descriptor& descriptor) {
  const auto found = ranges_.find(descriptor.id);
  if (descriptor.state == range::Descriptor::State::kRetired) {
    const bool known = found != ranges_.end();
    forget(descriptor.id);
    return known;
  }
  if (found != ranges_.end()) {
    const range::Epoch& known = found->second.epoch;
    const range::Epoch& told = descriptor.epoch;
    const bool newer = told.boundary_ver > known.boundary_ver ||
                       (told.boundary_ver == known.boundary_ver && told.conf_ver > known.conf_ver);
    if (!newer) return false;
    const bool moved =
        !(found->second.boundary == descriptor.boundary) || told.boundary_ver != known.boundary_ver;
    found->second = descriptor;
    if (moved) paint();
    return true;
  }
  if (ranges_.size() >= kRangesMax) return false;
  ranges_[descriptor.id] = descriptor;
  paint();
  return true;
}

void RouteTable::forget(RangeId range) {
  if (ranges_.erase(range) > 0) paint();
}

/// Oldest boundaries first; each newer one covers what it overlaps.
void RouteTable::paint() {
  std::vector<const range::Descriptor*> order;
  for (const auto& [id, descriptor] : ranges_) order.push_back(&descriptor);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return a->epoch.boundary_ver < b->epoch.boundary_ver;
  });
  segments_.clear();
  for (const range::Descriptor* descriptor : order) {
    const range::Boundary& boundary = descriptor->boundary;
    auto at = segments_.upper_bound(boundary.start);
    if (at != segments_.begin()) --at;
    std::vector<std::pair<std::string, Segment>> rests;
    while (at != segments_.end() && (!boundary.end || at->first < *boundary.end)) {
      const bool touches = !at->second.end || *at->second.end > boundary.start;
      if (!touches) {
        ++at;
        continue;
      }
      if (at->first < boundary.start) {
        rests.emplace_back(at->first, Segment{boundary.start, at->second.range});
      }
      if (boundary.end && (!at->second.end || *at->second.end > *boundary.end)) {
        rests.emplace_back(*boundary.end, Segment{at->second.end, at->second.range});
      }
      at = segments_.erase(at);
    }
    for (auto& [start, segment] : rests) segments_[start] = std::move(segment);
    segments_[boundary.start] = {boundary.end, descriptor->id};
  }
}

const range::Descriptor* RouteTable::find(std::string_view key) const {
  auto at = segments_.upper_bound(key);
  if (at == segments_.begin()) return nullptr;
  --at;
  if (at->second.end && key >= *at->second.end) return nullptr;
  return &ranges_.at(at->second.range);
}

const range::Descriptor* RouteTable::range(RangeId id) const {
  const auto found = ranges_.find(id);
  return found == ranges_.end() ? nullptr : &found->second;
}

std::vector<range::Boundary> RouteTable::gaps() const {
  std::vector<range::Boundary> gaps;
  std::optional<std::string> covered = "";  // none: to the end
  for (const auto& [start, segment] : segments_) {
    if (covered && *covered < start) gaps.push_back({*covered, start});
    covered = segment.end;
  }
  if (covered) gaps.push_back({*covered, std::nullopt});
  return gaps;
}

}  // namespace skald::route
