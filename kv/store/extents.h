// Where a replica's keys lie: intervals of logical keys, each in a space of its store.
//
// A physical key is `space` + logical key. Spaces are local to a store, never replicated, never
// reused. A split shares out the extents of the parent, so no data moves; a snapshot is installed
// into a fresh space and the extents are switched in one batch (design.md section 6).
//
// Invariant of a list of extents: in order, disjoint, none empty; neighbours may differ in space.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace skald::store {

/// 0 is the store's own records; the first that is given out is kFirstSpace.
using Space = std::uint32_t;
constexpr Space kFirstSpace = 16;

/// Half-open: begin <= key < end; no `end`: to the last key.
struct Interval {
  std::string begin;
  std::optional<std::string> end;

  bool contains(std::string_view key) const {
    return key >= begin && (!end.has_value() || key < *end);
  }
  bool empty() const { return end.has_value() && *end <= begin; }
  bool operator==(const Interval&) const = default;
};

Interval intersection(const Interval& a, const Interval& b);

struct Extent {
  Interval interval;
  Space space = 0;

  bool operator==(const Extent&) const = default;
};

using Extents = std::vector<Extent>;

/// The space that holds `key`, if the extents cover it.
std::optional<Space> find_space(const Extents& extents, std::string_view key);

/// What lies below `key`, and from `key` on: the two children of a split.
std::pair<Extents, Extents> split_extents(const Extents& extents, std::string_view key);

/// The part of the extents inside `interval`.
Extents clip_extents(const Extents& extents, const Interval& interval);

/// Asserts the invariant.
void check_extents(const Extents& extents);

}  // namespace skald::store
