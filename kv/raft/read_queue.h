// Reads waiting for proof that their leader leads (ReadIndex, Raft 6.4). Owned by one Raft.
//
// On a leader a read notes the commit index when it arrives, then waits for a heartbeat round that
// began later to be answered by a quorum. On a follower it waits for the leader's answer. Bounded
// by Options::reads_max: past it reads are refused.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "kv/raft/ready.h"

namespace skald::raft {

/// On a leader. `from` is nobody for a read of this replica; then `id` is the caller's context.
struct WaitingRead {
  ReplicaId from;
  std::uint64_t id = 0;
  Index index = 0;
  std::uint64_t round = 0;  ///< 0: no round has begun since it arrived
};

/// On a follower: asked of its leader.
struct ForwardedRead {
  std::uint64_t id = 0;  ///< unique over restarts, so that no late answer fits another read
  std::uint64_t context = 0;
  std::uint32_t ticks = 0;
};

struct ReadQueue {
  std::deque<WaitingRead> early;    ///< the leader has not yet committed in its own term
  std::deque<WaitingRead> waiting;  ///< rounds never fall; those without one are last
  std::deque<ForwardedRead> forwarded;

  std::size_t size() const { return early.size() + waiting.size() + forwarded.size(); }
  bool wants_round() const { return !waiting.empty() && waiting.back().round == 0; }
  void assign_round(std::uint64_t round) {
    for (auto read = waiting.rbegin(); read != waiting.rend() && read->round == 0; ++read) {
      read->round = round;
    }
  }
};

}  // namespace skald::raft
