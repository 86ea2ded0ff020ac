// Replicas of one Raft group under a script's hand: nothing moves unless it is told to.
//
// Each replica has a disk (what is synced) and a queue of writes on their way to it; a crash drops
// the queue. Messages lie in one list until they are delivered or dropped. After every operation
// the invariants of the replica are checked.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kv/raft/memory_log.h"
#include "kv/raft/raft.h"

namespace skald::raft::script {

struct Replica {
  Options options;
  MemoryLog disk;
  HardState hard_state;
  std::deque<Write> queue;
  std::deque<Entry> to_apply;
  // The applied state is durable with its index and configuration, as kv/range keeps it.
  Index applied = 0;
  Term applied_term = 0;
  Config config;
  std::vector<std::string> state;
  std::vector<std::string> staged;  ///< of a snapshot that waits for its write
  std::unique_ptr<Raft> raft;       ///< null while crashed
};

class World {
 public:
  void add(ReplicaId id, const Options& options, const Config& config);
  bool has(ReplicaId id) const { return replicas_.contains(id); }
  Replica& at(ReplicaId id) { return replicas_.at(id); }
  std::vector<ReplicaId> ids() const;

  /// Takes a Ready, queues what it asks for; returns it in words.
  std::string ready(ReplicaId id);
  /// The first `count` queued writes reach the disk and are reported together.
  void sync(ReplicaId id, std::size_t count);
  void apply(ReplicaId id);
  void crash(ReplicaId id);
  void restart(ReplicaId id);
  /// A snapshot of what `from` has applied arrives at `to`.
  void snapshot(ReplicaId from, ReplicaId to, bool reported);

  /// Delivers or drops up to `count` messages for `to` (from `from`, if not nobody).
  std::string deliver(ReplicaId to, ReplicaId from, std::size_t count, bool drop, bool keep);
  void block(ReplicaId from, ReplicaId to) { blocked_.insert({from, to}); }
  void unblock() { blocked_.clear(); }
  /// Runs everything among `ids` until nothing moves.
  std::string stabilize(const std::vector<ReplicaId>& ids);
  void drop_all() { network_.clear(); }
  const std::deque<Message>& network() const { return network_; }

  void check() const;

 private:
  void start(Replica& replica);
  void install(Replica& replica, const SnapshotMeta& meta);
  bool stabilize_one(ReplicaId id, const std::vector<ReplicaId>& ids, std::string& out);

  std::map<ReplicaId, Replica> replicas_;
  std::deque<Message> network_;
  std::set<std::pair<ReplicaId, ReplicaId>> blocked_;
};

}  // namespace skald::raft::script
