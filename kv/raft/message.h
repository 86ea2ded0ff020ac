// What the replicas of one Raft group say to each other.
//
// A Message is a value: sender, receiver, the sender's term, and one body. Votes, heartbeats and
// reads are small and belong on the control connection, where heartbeats of many groups are
// batched per pair of stores; Append and InstallSnapshot belong on the bulk connection. Order
// between the two does not matter, and neither do loss, duplication or reordering on one.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "kv/raft/types.h"

namespace skald::raft {

/// Asks for a vote (Raft 5.2), or with `pre` whether one would be given (9.6): then the message
/// carries the term that the sender would enter. `forced` votes ignore stickiness: leadership is
/// being handed over.
struct VoteRequest {
  bool pre = false;
  bool forced = false;
  Index last_index = 0;
  Term last_term = 0;
};

/// A granted pre-vote carries the term that was asked for, any other answer the voter's term.
struct VoteResponse {
  bool pre = false;
  bool granted = false;
};

struct Append {
  Index prev_index = 0;
  Term prev_term = 0;
  Index commit = 0;
  std::vector<Entry> entries;
};

/// `index` is the last entry known to match the leader's log *and synced*. A rejected append names
/// the `prev_index` that did not fit and a hint: the last entry of the follower that could match
/// (its index and term), so that one round trip skips a whole term.
struct AppendResponse {
  bool rejected = false;
  Index index = 0;
  Index rejected_index = 0;
  Index hint_index = 0;
  Term hint_term = 0;
};

/// `round` 0 wants no answer: it only brings the commit index.
struct Heartbeat {
  std::uint64_t round = 0;
  Index commit = 0;
};

/// `index` as in AppendResponse.
struct HeartbeatResponse {
  std::uint64_t round = 0;
  Index index = 0;
};

/// Given to the receiver by its own shell when the whole snapshot has arrived (Ready::snapshots).
struct InstallSnapshot {
  SnapshotMeta meta;
};

/// A follower asks its leader for a read index (6.4).
struct ReadRequest {
  std::uint64_t id = 0;
};

struct ReadResponse {
  std::uint64_t id = 0;
  Index index = 0;
};

/// Campaign now: leadership is yours to take (3.10).
struct TimeoutNow {};

/// The sender leads, and the receiver is in no configuration that is committed or in force; the
/// last committed one is at `config_index`. A hint, no proof: nothing may be destroyed for it.
struct Removed {
  Index config_index = 0;
};

using Body =
    std::variant<VoteRequest, VoteResponse, Append, AppendResponse, Heartbeat, HeartbeatResponse,
                 InstallSnapshot, ReadRequest, ReadResponse, TimeoutNow, Removed>;

struct Message {
  ReplicaId from;
  ReplicaId to;
  Term term = 0;
  Body body;
};

/// Votes, heartbeats and their like; false for what belongs on the bulk connection.
inline bool is_control(const Message& message) {
  return !std::holds_alternative<Append>(message.body) &&
         !std::holds_alternative<InstallSnapshot>(message.body);
}

}  // namespace skald::raft
