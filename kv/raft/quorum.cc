#include "kv/raft/quorum.h"

#include <functional>

namespace skald::raft {

std::uint64_t majority_reached(std::span<std::uint64_t> values) {
  if (values.empty()) return std::numeric_limits<std::uint64_t>::max();
  // Of n values sorted downwards, the one at n/2 is reached by n/2 + 1 of them.
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end(), std::greater<>());
  return *middle;
}

VoteResult majority_vote(std::size_t voters, std::size_t yes, std::size_t no) {
  SKALD_ASSERT(yes + no <= voters);
  if (voters == 0) return VoteResult::kWon;
  const std::size_t majority = voters / 2 + 1;
  if (yes >= majority) return VoteResult::kWon;
  return voters - no < majority ? VoteResult::kLost : VoteResult::kPending;
}

}  // namespace skald::raft
