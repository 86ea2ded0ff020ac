// What the stores of one subcluster say to each other about their ranges.
//
// Everything for one store and one connection travels in one Packet, so that the heartbeats of
// many ranges cost one message a pair of stores.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "kv/raft/message.h"
#include "kv/range/descriptor.h"
#include "kv/store/data_store.h"

namespace skald::range {

/// `conf_ver` of the sender: replicas of another generation are not listened to.
struct RaftMessage {
  RangeId range;
  std::uint64_t conf_ver = 0;
  raft::Message message;
};

/// Is `replica` still a member? Asked by a replica without a leader, or told that it is removed.
struct MembershipQuery {
  RangeId range;
  ReplicaId replica;
};

/// `confirmed`: by the leader of `term`, of a settled configuration, after a quorum answered it.
/// Otherwise only a hint where to ask on.
struct MembershipAnswer {
  RangeId range;
  ReplicaId replica;
  Descriptor descriptor;
  raft::Term term = 0;
  bool confirmed = false;
};

/// A piece of a snapshot. Number 0 is the head: what it is a snapshot of; then records of the local
/// space, then of the range, in order of keys; `last` ends it.
struct SnapshotChunk {
  RangeId range;
  ReplicaId from;
  ReplicaId to;
  raft::Term term = 0;
  std::uint64_t id = 0;  ///< of the sending store; a new one begins anew
  std::uint64_t number = 0;
  store::DataSnapshot::Part part = store::DataSnapshot::Part::kLocal;
  bool last = false;
  std::string head;
  std::vector<store::KeyValue> items;
  std::uint32_t checksum = 0;
};

struct SnapshotAck {
  enum class Status : std::uint8_t {
    kNext,    ///< send chunk `next`: all before it are staged
    kDone,    ///< staged whole
    kLater,   ///< not now: too many at a time, or a split will bring the data
    kRefuse,  ///< not wanted
  };

  RangeId range;
  ReplicaId from;  ///< the receiver
  ReplicaId to;
  std::uint64_t id = 0;
  std::uint64_t next = 0;
  Status status = Status::kNext;
};

/// A replica tells its leader how far it has published what it applied, and asks for a lease.
struct VisibleReport {
  RangeId range;
  ReplicaId replica;
  raft::Term term = 0;
  std::uint64_t number = 0;  ///< of the report; the asker remembers when it sent it
  raft::Index visible = 0;
};

struct LeaseGrant {
  RangeId range;
  ReplicaId replica;
  raft::Term term = 0;
  std::uint64_t number = 0;
  std::uint64_t duration_us = 0;  ///< from the sending of the report; 0: none
};

using Body = std::variant<RaftMessage, MembershipQuery, MembershipAnswer, SnapshotChunk,
                          SnapshotAck, VisibleReport, LeaseGrant>;

struct Packet {
  StoreId from;
  StoreId to;
  bool control = true;  ///< else for the bulk connection
  std::vector<Body> bodies;
};

}  // namespace skald::range
