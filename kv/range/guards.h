// The safety checks of ranges, stores and leases that a sabotage build can switch off; see
// kv/raft/guards.h. Ranges own 101 to 199.
#pragma once

#include "kv/raft/guards.h"

namespace skald::range {

#define SKALD_RANGE_GUARDS(X)                                                                      \
  X(101, LaneOnce, "a command that was applied is answered, not applied again",                    \
    "lanes once and in order")                                                                     \
  X(102, LaneGap, "a command after a gap is refused", "lanes once and in order")                   \
  X(103, EpochAtApply, "a command routed by an old boundary is refused when applied",              \
    "keys in their range")                                                                         \
  X(105, TombstoneHeld, "a replica id that was destroyed is not created again",                    \
    "destroyed stays destroyed")                                                                   \
  X(107, ChildKeepsLog, "a split replayed after a crash keeps the child's log",                    \
    "committed never lost")                                                                        \
  X(108, TruncateFlushed, "the log is truncated behind flushed data only", "replayable")           \
  X(109, InstallFlushed, "an installed snapshot is flushed before the log restarts", "replayable") \
  X(110, DestroyProof, "a replica goes only on the word of a settled, confirmed configuration",    \
    "committed never lost")                                                                        \
  X(111, SnapshotChecked, "a damaged snapshot chunk is refused", "equal state at equal index")     \
  X(112, GrantVisible, "a replica that is behind gets no serve lease", "no stale match")           \
  X(113, ReplyWaitsVisible, "a route reply waits for all that may serve", "no stale match")        \
  X(114, NewLeaderWaits, "a new leader takes all replicas for granted", "no stale match")          \
  X(115, GrantAnchored, "a grant counts from a heartbeat that a quorum acked", "no stale match")   \
  X(116, SplitEndsGrants, "who is behind a split gets no serve lease", "no stale match")           \
  X(117, RetryWaitsVisible, "a repeated reply waits like the first", "no stale match")             \
  X(118, RetireUnused, "a genesis that is used does not retire", "committed never lost")           \
  X(119, FreshReplicaId, "a replica id is given out once", "one replica an id")                    \
  X(121, HolderCountsSent, "a life counts from the sending of its renewal", "one live holder")     \
  X(122, EndLifeLate, "a life is ended after its holder has stopped", "one live holder")           \
  X(123, RenewalOvertakes, "a renewal makes the end of a life void", "one live holder")            \
  X(131, ChildKeepsVote, "a vote given before the split binds the child", "one leader a term")     \
  X(132, ReplayFirst, "nothing replaces a parent's data before its children stand again",          \
    "replayable")                                                                                  \
  X(133, BuryFlushed, "what a parent's children stand on is flushed before its log goes",          \
    "liveness")                                                                                    \
  X(134, ReadApplied, "a read is answered when its index is applied", "linearizable")              \
  X(135, SnapshotMoves, "only a snapshot that gets further is kept alive", "liveness")

enum class Guard : int {
#define SKALD_X(number, name, protects, checker) k##name = number,
  SKALD_RANGE_GUARDS(SKALD_X)
#undef SKALD_X
};

inline constexpr raft::GuardInfo kGuards[] = {
#define SKALD_X(number, name, protects, checker) {number, #name, protects, checker},
    SKALD_RANGE_GUARDS(SKALD_X)
#undef SKALD_X
};

}  // namespace skald::range
