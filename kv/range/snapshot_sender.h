// Snapshots on their way out: read from the data store in chunks, checksummed, a few under way at a
// time, no faster than a rate, resumed where the receiver says.
//
// Used on the store's apply thread: it reads the DataStore. Owned by the store's shell.
//
// Bounds: `concurrent_max` at a time; a request beyond that is answered as failed and Raft asks
// again. A snapshot that gets no further for `give_up_us` is given up, whatever its receiver says:
// one that was staged anew from a late first chunk (the receiver restarted, or was done) asks for
// ever for chunks that are not here any more.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "kv/range/store_host.h"

namespace skald::range {

struct SnapshotOptions {
  std::uint64_t chunk_bytes = 64 << 10;
  std::uint64_t window = 4;                   ///< chunks without an ack
  std::uint64_t bytes_per_second = 64 << 20;  ///< of all snapshots together
  std::uint64_t retry_us = 1'000'000;         ///< without an ack: again from the last one
  std::uint64_t give_up_us = 30'000'000;
  std::size_t concurrent_max = 4;
};

class SnapshotSenders {
 public:
  struct Finished {
    RangeId range;
    ReplicaId to;
    raft::Index index = 0;
    bool ok = false;
  };
  struct Out {
    std::vector<std::pair<StoreId, SnapshotChunk>> chunks;
    std::vector<std::pair<RangeId, ReplicaId>> progress;
    std::vector<Finished> finished;
  };

  SnapshotSenders(store::DataStore& data, const SnapshotOptions& options, std::uint64_t first_id)
      : data_(data), options_(options), next_id_(first_id) {}

  void start(const HostReady::Snapshot& request, std::uint64_t now_us);
  void on_ack(const SnapshotAck& ack, std::uint64_t now_us);
  /// What may be sent now, and what became of the others.
  Out poll(std::uint64_t now_us);
  std::size_t running() const { return running_.size(); }

 private:
  struct Position {
    store::DataSnapshot::Part part = store::DataSnapshot::Part::kLocal;
    std::string from;
    bool end = false;
  };
  struct Running {
    HostReady::Snapshot request;
    std::shared_ptr<store::DataSnapshot> snapshot;
    std::uint64_t id = 0;
    std::uint64_t acked = 0;         ///< the receiver wants this chunk next
    std::uint64_t next = 0;          ///< to be sent
    std::deque<Position> positions;  ///< where chunks acked, acked + 1, ... begin
    std::uint64_t heard_us = 0;      ///< when `acked` grew last
    std::uint64_t sent_us = 0;
    std::uint64_t wait_until_us = 0;  ///< the receiver has no room
  };

  static void rewind(Running& running);
  bool send_one(Running& running, std::uint64_t now_us);
  Result<SnapshotChunk> make(Running& running, const Position& at, Position& after);
  void finish(const Running& running, bool ok);

  store::DataStore& data_;
  const SnapshotOptions options_;
  std::uint64_t next_id_;
  std::map<std::pair<RangeId, ReplicaId>, Running> running_;
  std::uint64_t budget_ = 0;
  std::uint64_t budget_us_ = 0;
  Out out_;
};

/// What a chunk's checksum covers.
std::uint32_t checksum(const SnapshotChunk& chunk);

std::string encode_head(const raft::SnapshotMeta& meta, const Descriptor& descriptor);
Result<std::pair<raft::SnapshotMeta, Descriptor>> decode_head(std::string_view bytes);

}  // namespace skald::range
