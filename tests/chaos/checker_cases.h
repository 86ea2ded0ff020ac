// Histories made by hand for the checker's own test. Times in them are in milliseconds.
#pragma once

#include <string>
#include <vector>

#include "tests/chaos/checker/check.h"

namespace skald::checker {

// A persistent subscriber (c=1, client sub) and a persistent publisher (c=2, client pub).
inline constexpr const char* kSetup = R"(
0 connect c=1 id=sub exp=600 rm=3
1 connack c=1
2 sub c=1 s=1 f=a/# q=2
3 suback c=1 s=1 rc=2
4 connect c=2 id=pub exp=600
5 connack c=2
)";

inline constexpr const char* kDrained = R"(
20000 drained c=1 quiet=2000
)";

struct Case {
  const char* name;
  const char* broken;  // invariants, in the order of the table
  std::string text;
  Options options = {};
};

inline std::string setup(const char* text) { return std::string(kSetup) + text + kDrained; }

/// Each must be found, and blamed on the right invariant and on nothing else.
const std::vector<Case>& bad_cases();
/// These look suspicious, and are not.
const std::vector<Case>& good_cases();

}  // namespace skald::checker
