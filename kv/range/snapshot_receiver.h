// Snapshots on their way in: each is written, chunk by chunk, into two fresh spaces of the data
// store, and handed to the host when it is whole.
//
// Used on the store's apply thread. Owned by the store's shell. A crash forgets what was staged:
// the data store turns the spaces into garbage by itself.
//
// Bounds: `staged_max` at a time; others are told to come later. One that gets nothing for
// `idle_us` is dropped.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "kv/range/store_host.h"

namespace skald::range {

class SnapshotReceivers {
 public:
  SnapshotReceivers(store::DataStore& data, std::size_t staged_max, std::uint64_t idle_us)
      : data_(data), staged_max_(staged_max), idle_us_(idle_us) {}

  /// Takes one chunk; gives the answer for its sender. A whole snapshot goes to `host`. An Error
  /// is the data store's: the store stops.
  Result<SnapshotAck> on_chunk(const SnapshotChunk& chunk, StoreHost& host, std::uint64_t now_us);
  Status drop_idle(std::uint64_t now_us);

  std::uint64_t damaged() const { return damaged_; }

 private:
  struct Staging {
    ReplicaId to;
    ReplicaId from;
    std::uint64_t id = 0;
    std::uint64_t next = 1;
    raft::SnapshotMeta meta;
    Descriptor descriptor;
    store::Space space = 0;
    store::Space local_space = 0;
    std::uint64_t heard_us = 0;
  };

  Result<SnapshotAck> begin(const SnapshotChunk& chunk, const StoreHost& host,
                            std::uint64_t now_us);
  Status abandon(const Staging& staging);
  static bool is_of(const Staging& staging, const SnapshotChunk& chunk);

  store::DataStore& data_;
  const std::size_t staged_max_;
  const std::uint64_t idle_us_;
  std::map<RangeId, Staging> staging_;
  std::uint64_t damaged_ = 0;
};

}  // namespace skald::range
