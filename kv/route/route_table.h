// Which range has a key, as far as descriptors tell: from announcements of stores and from replies.
//
// A value; learning is idempotent and in any order. Of one range the newest epoch counts; where
// descriptors of different ranges overlap, one of them is old, and the newest boundary_ver wins: a
// split gives both halves a higher one. A key may be in nobody's range for a while.
//
// Bound: kRangesMax descriptors; more are refused.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kv/range/descriptor.h"

namespace skald::route {

inline constexpr std::size_t kRangesMax = 100'000;

class RouteTable {
 public:
  /// True if it was news.
  bool learn(const range::Descriptor& descriptor);
  /// The range is known to be gone, or of another genesis.
  void forget(RangeId range);

  /// Null: nobody known has it.
  const range::Descriptor* find(std::string_view key) const;
  const range::Descriptor* range(RangeId id) const;
  const std::map<RangeId, range::Descriptor>& ranges() const { return ranges_; }
  /// The parts of the key space that no known range has.
  std::vector<range::Boundary> gaps() const;

 private:
  struct Segment {
    std::optional<std::string> end;
    RangeId range;
  };

  void paint();

  std::map<RangeId, range::Descriptor> ranges_;
  std::map<std::string, Segment, std::less<>> segments_;  ///< by start, disjoint
};

}  // namespace skald::route
