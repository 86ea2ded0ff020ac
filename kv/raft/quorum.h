// Majority arithmetic, for one set of voters and for two at once (joint consensus, Raft 6).
//
// Pure functions. An empty set agrees to everything, so that a configuration that is not joint
// needs no case of its own; a group without any voter decides nothing, which callers must check.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "config/base/assert.h"
#include "kv/raft/config.h"
#include "kv/raft/guards.h"

namespace skald::raft {

enum class VoteResult : std::uint8_t { kPending, kWon, kLost };

/// The highest number that a majority has reached. `reached(id)` is 0 for those never heard of.
/// Reorders `values`.
std::uint64_t majority_reached(std::span<std::uint64_t> values);

/// Yes/no/unheard of one set of voters.
VoteResult majority_vote(std::size_t voters, std::size_t yes, std::size_t no);

/// The highest number reached by a majority of `voters` and, if joint, of `outgoing` too.
template <class Reached>
std::uint64_t quorum_reached(const Config& config, const Reached& reached) {
  const auto of = [&reached](const std::vector<ReplicaId>& voters) {
    std::array<std::uint64_t, kMembersMax> values;
    SKALD_ASSERT(voters.size() <= values.size());
    std::size_t count = 0;
    for (ReplicaId id : voters) values[count++] = reached(id);
    return majority_reached(std::span(values).first(count));
  };
  const std::uint64_t incoming = of(config.voters);
  if (!SKALD_GUARD(Guard::kJointCommit)) return incoming;
  return std::min(incoming, of(config.outgoing));
}

/// The state of an election. `vote(id)` is an optional bool, empty for those not heard of.
template <class Vote>
VoteResult quorum_vote(const Config& config, const Vote& vote) {
  const auto of = [&vote](const std::vector<ReplicaId>& voters) {
    std::size_t yes = 0;
    std::size_t no = 0;
    for (ReplicaId id : voters) {
      const std::optional<bool> answer = vote(id);
      if (answer.has_value()) (*answer ? yes : no) += 1;
    }
    return majority_vote(voters.size(), yes, no);
  };
  const VoteResult incoming = of(config.voters);
  if (!SKALD_GUARD(Guard::kJointVote)) return incoming;
  const VoteResult outgoing = of(config.outgoing);
  if (incoming == VoteResult::kLost || outgoing == VoteResult::kLost) return VoteResult::kLost;
  return incoming == outgoing ? incoming : VoteResult::kPending;
}

}  // namespace skald::raft
