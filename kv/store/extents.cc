#include "kv/store/extents.h"

#include <algorithm>

#include "config/base/assert.h"

namespace skald::store {

Interval intersection(const Interval& a, const Interval& b) {
  Interval both{std::max(a.begin, b.begin), a.end};
  if (b.end.has_value() && (!both.end.has_value() || *b.end < *both.end)) both.end = b.end;
  return both;
}

std::optional<Space> find_space(const Extents& extents, std::string_view key) {
  const auto behind =
      std::upper_bound(extents.begin(), extents.end(), key,
                       [](std::string_view k, const Extent& e) { return k < e.interval.begin; });
  if (behind == extents.begin()) return std::nullopt;
  const Extent& extent = *std::prev(behind);
  return extent.interval.contains(key) ? std::optional(extent.space) : std::nullopt;
}

std::pair<Extents, Extents> split_extents(const Extents& extents, std::string_view key) {
  const std::string at(key);
  return {clip_extents(extents, {"", at}), clip_extents(extents, {at, std::nullopt})};
}

Extents clip_extents(const Extents& extents, const Interval& interval) {
  Extents inside;
  for (const Extent& extent : extents) {
    Interval both = intersection(extent.interval, interval);
    if (!both.empty()) inside.push_back({std::move(both), extent.space});
  }
  return inside;
}

void check_extents(const Extents& extents) {
  for (std::size_t i = 0; i < extents.size(); ++i) {
    SKALD_ASSERT(!extents[i].interval.empty());
    SKALD_ASSERT(extents[i].space >= kFirstSpace);
    if (i == 0) continue;
    const std::optional<std::string>& end = extents[i - 1].interval.end;
    SKALD_ASSERT(end.has_value());
    SKALD_ASSERT(*end <= extents[i].interval.begin);
  }
}

}  // namespace skald::store
