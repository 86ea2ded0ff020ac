// What a range is asked. Each request has an id of the asker's, under which the reply comes back.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <variant>

#include "kv/range/descriptor.h"

namespace skald::range {

/// A command for the state machine.
struct DataRequest {
  std::uint64_t id = 0;
  std::uint64_t boundary_ver = 0;
  LaneId lane;
  std::uint64_t seq = 0;
  std::string bytes;
  std::uint32_t level = 1;
};

/// Answered with kDone once what is applied here is as new as any reply given before the request
/// was made: then the machine may be queried. With a lane: next_seq says how it goes on.
struct ReadRequest {
  std::uint64_t id = 0;
  std::uint64_t boundary_ver = 0;  ///< 0: not routed by a key
  LaneId lane;
};

/// Voters and learners are to be on these stores. Stores that have none yet get a learner first;
/// it votes once it has caught up. Answered when the last configuration is applied.
struct ChangeReplicas {
  std::set<StoreId> voters;
  std::set<StoreId> learners;
};

/// Where the machine allows it, near `hint`.
struct SplitAt {
  std::string hint;
  RangeId child;  ///< never used before: drawn at random by the asker
};

/// Answered at once; the target leads soon, or not.
struct TransferTo {
  StoreId store;
};

struct SetLevel {
  std::uint32_t level = 0;
};

/// Needs no epoch. `bytes`: the machine's command for the end of a life, if it has one.
struct EndLife {
  Life life;
  std::string bytes;
};

/// The range goes away with its genesis (genesis.h), unless a user command was committed. Needs no
/// epoch.
struct Retire {
  std::uint64_t genesis = 0;
};

struct ManageRequest {
  std::uint64_t id = 0;
  Epoch epoch;
  std::variant<ChangeReplicas, SplitAt, TransferTo, SetLevel, EndLife, Retire> body;
};

}  // namespace skald::range
