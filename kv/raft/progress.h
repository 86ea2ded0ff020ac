// What a leader knows about one follower, and how fast it may send to it.
//
// Owned by the Raft that leads. Invariant: match < next. Three ways to send (flow):
//   probe      one Append at a time, until the follower's log is found to fit
//   replicate  pipelined, within limits of messages and bytes
//   snapshot   nothing: the shell is sending a snapshot
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "kv/raft/options.h"

namespace skald::raft {

/// The Appends that were sent and not acked: their last index and size.
class Inflights {
 public:
  void add(Index last, std::size_t bytes) {
    sent_.push_back({last, bytes});
    bytes_ += bytes;
  }
  /// Acked up to and including `index`.
  void free_to(Index index);
  void clear() {
    sent_.clear();
    bytes_ = 0;
  }
  bool full(const Options& options) const {
    return sent_.size() >= options.inflight_messages_max || bytes_ >= options.inflight_bytes_max;
  }
  bool empty() const { return sent_.empty(); }
  std::size_t messages() const { return sent_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Sent {
    Index last;
    std::size_t bytes;
  };
  std::deque<Sent> sent_;
  std::size_t bytes_ = 0;
};

struct Progress {
  enum class Flow : std::uint8_t { kProbe, kReplicate, kSnapshot };

  Index match = 0;  ///< the last entry known to be equal and durable there
  Index next = 1;   ///< the next entry to send
  Flow flow = Flow::kProbe;
  bool probe_sent = false;        ///< probe: wait for its answer, or that of a later round
  std::uint64_t probe_round = 0;  ///< the heartbeat round before it was sent
  bool poke = false;              ///< replicate: send an empty Append, something may be lost
  bool recently_active = false;   ///< heard from since the last CheckQuorum
  Inflights inflights;
  std::uint32_t snapshot_ticks = 0;  ///< snapshot: since its last sign of life
  std::uint64_t acked_round = 0;     ///< the last heartbeat round it answered
  Index sent_commit = 0;             ///< the last commit index it was sent
  Index match_at_heartbeat = 0;      ///< match when the last heartbeat was answered

  void become_probe(Index next_index);
  void become_replicate();
  void become_snapshot();

  /// True if that is news.
  bool acked(Index index);
  /// A rejected Append: where to probe next. False if the rejection is old news.
  bool rejected(Index rejected_index, Index hint);
  bool may_send(const Options& options) const;
  void sent(Index last, std::size_t bytes);
};

}  // namespace skald::raft
