// The safety checks of the Raft core that a sabotage build can switch off (config/base/guard.h).
//
// The table is the truth: number, name, what it protects, which checker must notice its absence.
// Numbers are never reused. Raft owns 1 to 99.
#pragma once

#include "config/base/guard.h"

namespace skald::raft {

#define SKALD_RAFT_GUARDS(X)                                                                       \
  X(1, VoteOnce, "one vote a term (Raft 5.2)", "one leader a term")                                \
  X(2, VoteUpToDate, "votes only for logs as good as one's own (5.4.1)", "leader completeness")    \
  X(3, VoteDurable, "a granted vote leaves after its sync", "no promise before its sync")          \
  X(4, OwnVoteDurable, "a candidate asks and counts itself after its sync",                        \
    "no promise before its sync")                                                                  \
  X(5, HigherTermYields, "a higher term ends leadership", "one leader a term")                     \
  X(6, LowerTermRefused, "messages of an earlier term change nothing", "log matching")             \
  X(7, CommitOwnTerm, "counting commits only entries of the own term (5.4.2)",                     \
    "committed never lost")                                                                        \
  X(8, AckDurable, "an append is acked when it is synced", "no promise before its sync")           \
  X(9, HeartbeatAckDurable, "a heartbeat acks only what is synced", "no promise before its sync")  \
  X(10, LeaderCountsSynced, "a leader counts its own entries when synced",                         \
    "no promise before its sync")                                                                  \
  X(11, StaleWrite, "a finished write vouches only for what still stands",                         \
    "no promise before its sync")                                                                  \
  X(12, PreviousMatches, "an append fits the entry before it (5.3)", "log matching")               \
  X(13, ConflictReplaced, "entries that conflict are replaced (5.3)", "log matching")              \
  X(14, AgreeingKept, "an old append does not cut off what agrees (5.3)", "committed never lost")  \
  X(15, HeartbeatCommit, "a heartbeat commits no more than is known to match",                     \
    "state machine safety")                                                                        \
  X(16, AppendCommit, "an append commits no more than it proves to match", "state machine safety") \
  X(17, ReadQuorum, "a read waits until a quorum confirms the leader (6.4)", "linearizable reads") \
  X(18, ReadOwnTerm, "a read waits for a commit of the own term (6.4)", "linearizable reads")      \
  X(19, ReadRoundLater, "a read counts rounds that began after it", "linearizable reads")          \
  X(20, JointCommit, "a joint commit needs both majorities (6)", "committed never lost")           \
  X(21, JointVote, "a joint election needs both majorities (6)", "one leader a term")              \
  X(22, JointAlways, "voters change through a joint configuration", "one leader a term")           \
  X(23, OneChangeAtATime, "a change waits for the one before it", "config chain")                  \
  X(24, ChangeOwnTerm, "a change waits for a commit of the own term", "config chain")              \
  X(25, LeaveCommitted, "a joint configuration is left once committed", "config chain")            \
  X(26, ConfigFollowsLog, "a configuration cut off the log is no longer in force",                 \
    "config follows log")                                                                          \
  X(27, ActiveAtAppend, "a configuration is in force from its append", "config follows log")       \
  X(28, ApplySynced, "only synced entries are applied", "applied is durable")                      \
  X(29, OldSnapshotIgnored, "a snapshot behind the commit index changes nothing",                  \
    "committed never lost")                                                                        \
  X(30, SnapshotAckDurable, "a snapshot is acked when it is installed",                            \
    "no promise before its sync")                                                                  \
  X(31, FinishJoint, "a leader that finds a joint configuration ends it", "liveness")              \
  X(32, PreVote, "an election is tried before a term is spent (9.6)", "stable terms")              \
  X(33, VoteStickiness, "who hears a leader votes for nobody else (4.2.3)", "stable terms")        \
  X(34, CheckQuorum, "a leader without a quorum steps down", "leader has contact")                 \
  X(35, DiskStall, "a leader whose disk hangs steps down", "leader has disk")                      \
  X(36, TransferStops, "proposals wait while leadership moves", "golden script")                   \
  X(37, TransferTimesOut, "a transfer that fails is given up", "liveness")                         \
  X(38, InflightLimit, "unacked bytes to a follower are limited", "limits")                        \
  X(39, UncommittedLimit, "uncommitted bytes are limited", "limits")                               \
  X(40, LostAppend, "an append lost in the pipeline is found missing", "liveness")                 \
  X(41, LostSnapshot, "a snapshot whose report is lost is sent again", "liveness")                 \
  X(42, RemovedCampaigns, "a voter on its way out may still be elected (4.2.2)", "liveness")       \
  X(43, NewTermPersisted, "a new term is written before it is acted on",                           \
    "no promise before its sync")                                                                  \
  X(44, RemovedTold, "a removed replica that asks for votes is told so", "golden script")

enum class Guard : int {
#define SKALD_X(number, name, protects, checker) k##name = number,
  SKALD_RAFT_GUARDS(SKALD_X)
#undef SKALD_X
};

struct GuardInfo {
  int number;
  const char* name;
  const char* protects;
  const char* checker;
};

inline constexpr GuardInfo kGuards[] = {
#define SKALD_X(number, name, protects, checker) {number, #name, protects, checker},
    SKALD_RAFT_GUARDS(SKALD_X)
#undef SKALD_X
};

}  // namespace skald::raft
