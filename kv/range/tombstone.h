// What a store keeps of replicas that it does not have any more, or not yet whole: small records in
// the log store.
#pragma once

#include <string>
#include <string_view>

#include "config/base/result.h"
#include "kv/raft/types.h"
#include "kv/range/descriptor.h"

namespace skald::range {

/// Of one range: no replica up to and with `highest` may ever be made again on this store. The
/// descriptor says where the range was when it left, for those who ask.
struct Tombstone {
  ReplicaId highest;
  Descriptor descriptor;
};

std::string tombstone_key(RangeId range);
/// 0 if it is no tombstone's key.
RangeId tombstone_range(std::string_view key);
std::string encode(const Tombstone& tombstone);
Result<Tombstone> decode_tombstone(std::string_view bytes);

/// In the meta of a child's log: which entry of which replica made it. Until the data store has
/// flushed the split, a crash undoes the data and leaves the log; the parent's log, applied again
/// up to this entry, brings the data back.
struct Birth {
  RangeId parent;
  ReplicaId replica;  ///< of the parent, on this store
  raft::Index index = 0;
};

std::string encode(const Birth& birth);
Result<Birth> decode_birth(std::string_view bytes);

}  // namespace skald::range
