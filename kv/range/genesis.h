// Which bootstrap of a key space goes on when two meet (design.md section 6, "Genesis").
//
// Two nodes that meet tell each other the genesis of every key space that they have a range of, as
// their ranges' descriptors carry it. Used beats unused; among unused the oldest wins (then the
// smaller id); two used ones never mix: the hello is refused, both nodes are told why and log it,
// an operator decides. A pure judgement: both sides come to the mirror image of it.
//
// Who yields asks its ranges to retire (Retire, requests.h): a retirement is a log entry that is
// void if a user command was committed before it, so no genesis goes away under one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kv/range/descriptor.h"
#include "kv/store/log_types.h"

namespace skald::range {

enum class Meeting : std::uint8_t { kSame, kOursYields, kTheirsYields, kRefused };

/// A genesis with id 0 is none: it meets everything as kSame.
Meeting meet(const Genesis& ours, const Genesis& theirs);

/// Of the same genesis, what one knows of it: used as soon as anybody saw that.
void learn(Genesis& known, const Genesis& told);

/// By key space, which is a store's number.
using GenesisHello = std::map<store::StoreNumber, Genesis>;

struct HelloVerdict {
  bool refused = false;
  /// Why, for our log and, refused or not, for the peer to be told.
  std::string why;
  std::vector<store::StoreNumber> ours_yield;
  std::vector<store::StoreNumber> theirs_yield;
};

HelloVerdict judge_hello(const GenesisHello& ours, const GenesisHello& theirs);

}  // namespace skald::range
