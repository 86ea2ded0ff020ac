// The settings of one Raft group and what it knows when it starts. Time is in ticks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kv/raft/types.h"

namespace skald::raft {

struct Options {
  ReplicaId id;

  std::uint32_t heartbeat_ticks = 2;
  /// A follower waits a random time in [election_ticks, 2 * election_ticks). Also: how long a
  /// follower stays true to a leader it heard, and how long a leader lasts without a quorum.
  std::uint32_t election_ticks = 10;
  /// After the connection to the leader broke, a follower waits at most so long before it asks
  /// for pre-votes; random, so that not all ask at once.
  std::uint32_t disconnect_ticks_max = 3;
  /// A leader with a write unfinished for longer stops leading.
  std::uint32_t disk_stall_ticks = 20;
  /// A snapshot without progress for longer is given up and, if still needed, sent again.
  std::uint32_t snapshot_ticks = 200;

  std::size_t append_bytes_max = 1u << 20;        ///< in one Append (one entry always fits)
  std::size_t inflight_messages_max = 256;        ///< unacked Appends to one follower
  std::size_t inflight_bytes_max = 8u << 20;      ///< unacked entries to one follower
  std::size_t entry_bytes_max = 8u << 20;         ///< a larger proposal is refused
  std::size_t uncommitted_bytes_max = 32u << 20;  ///< past it proposals are refused, retryable
  std::size_t apply_bytes_max = 4u << 20;         ///< handed out and not yet applied
  std::size_t reads_max = 4096;                   ///< unanswered; past it reads are refused

  bool pre_vote = true;  ///< off only for groups that mix with replicas without it
};

/// What the shell found on its disks. Requires: log view's first - 1 <= applied <= its last.
///
/// A group begins with equal replicas that hold a snapshot at some index >= 1 and no entries: so a
/// replica that is added later, and knows nothing, always begins with a snapshot, and with that
/// learns the configuration. Such a newcomer starts with an empty Restart and an empty log.
struct Restart {
  HardState hard_state;
  Index applied = 0;
  Config config;  ///< in force at `applied`
};

}  // namespace skald::raft
