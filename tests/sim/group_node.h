// One machine that hosts a replica of the simulated Raft group: the shell of the core.
//
// It carries out each Ready as the contract says (kv/raft/ready.h): messages into the network,
// writes to the disk, committed entries to a state machine that applies them later. What survives a
// crash is in Durable; everything else dies. The state machine is a hash chain over the commands;
// like the data engine of kv/store it loses what was not flushed, and applies it again.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "kv/raft/memory_log.h"
#include "kv/raft/raft.h"
#include "tests/sim/disk.h"
#include "tests/sim/group_options.h"
#include "tests/sim/network.h"
#include "tests/sim/trace.h"

namespace skald::sim {

/// The replicated state and the place in the log where it stands.
struct GroupState {
  raft::Index index = 0;
  raft::Term term = 0;
  std::uint64_t hash = 0;
  raft::Config config;
};

struct Durable {
  raft::MemoryLog log;
  raft::HardState hard_state;
  GroupState flushed;
};

/// The durable log behind a cache, as the log engine shows it: what is long written must be
/// fetched.
class CachedLog final : public raft::LogView {
 public:
  explicit CachedLog(const raft::MemoryLog& log) : log_(log) {}

  raft::Index first_index() const override { return log_.first_index(); }
  raft::Index last_index() const override { return log_.last_index(); }
  std::optional<raft::Term> term(raft::Index index) const override { return log_.term(index); }
  raft::Fetch entries(raft::Index low, raft::Index high, std::size_t bytes_max) const override;

  /// From now on only the last `entries` are at hand.
  void limit(std::uint64_t entries) { hot_ = entries; }
  /// What was asked for in vain; 0 if nothing.
  raft::Index wanted() const { return wanted_; }
  void fetched(raft::Index low) {
    warm_ = low;
    wanted_ = 0;
  }

 private:
  const raft::MemoryLog& log_;
  std::uint64_t hot_ = ~0ULL;
  raft::Index warm_ = 0;  ///< where the last fetched run of entries begins
  mutable raft::Index wanted_ = 0;
};

class GroupNode;

/// Who watches the machines: checkers and workload. Called at the moment of the deed.
class GroupObserver {
 public:
  virtual ~GroupObserver() = default;
  virtual void on_ready(GroupNode& node, const raft::Ready& ready) = 0;
  virtual void on_applied(GroupNode& node, const raft::Entry& entry) = 0;
  virtual void on_read(GroupNode& node, const raft::ReadResult& read) = 0;
  virtual void on_delivered(GroupNode& node, const raft::Message& message) = 0;
  virtual void on_tick(GroupNode& node) = 0;
  /// A message for a replica that this machine does not host (any more, or yet).
  virtual void on_stranger(GroupNode& node, const raft::Message& message) = 0;
  /// A message has crossed the network; the machine's receive() is next.
  virtual void on_arrival(Machine to, const raft::Message& message, const GroupState& snapshot) = 0;
};

class GroupNode {
 public:
  struct Counters {
    std::uint64_t ticks = 0;
    std::uint64_t applied = 0;
    std::uint64_t snapshots = 0;
    std::uint64_t restarts = 0;
  };

  GroupNode(Machine machine, Scheduler& scheduler, Network& network, Trace& trace,
            GroupObserver& observer, const GroupOptions& options, Random random);

  /// Starts a new replica, with `config` if it is there from the beginning.
  void create(ReplicaId id, const raft::Config& config);
  void restart();
  void crash();
  /// Crashes and forgets everything: the replica was removed.
  void destroy();
  void pause(Micros duration);
  void wake();
  void disconnected(Machine peer);
  /// Carries out what the core wants, after an input from outside.
  void drain();
  void receive(const raft::Message& message, const GroupState& snapshot);
  void calm();

  static Machine machine_of(ReplicaId id) { return static_cast<Machine>(id.value % 100); }

  Machine machine() const { return machine_; }
  ReplicaId id() const { return id_; }
  bool exists() const { return static_cast<bool>(id_); }
  bool up() const { return raft_ != nullptr; }
  bool paused() const { return scheduler_.now() < paused_until_; }
  raft::Raft& raft() { return *raft_; }
  const Durable& durable() const { return durable_; }
  const GroupState& state() const { return state_; }
  std::uint64_t ticks() const { return counters_.ticks; }
  const Counters& counters() const { return counters_; }
  Disk& disk() { return disk_; }

 private:
  /// `action` as something this process does once awake, unless it has died by then.
  std::function<void()> mine(std::function<void()> action);
  void schedule_tick();
  void send(const raft::Message& message, const GroupState& snapshot, Micros extra);
  void write(raft::Write write);
  void persist(const raft::Write& write, const GroupState& staged);
  void apply_later(std::vector<raft::Entry> entries);
  void apply(const raft::Entry& entry);
  void send_snapshot(const raft::SnapshotRequest& request);
  void maybe_flush();
  void maybe_fetch();
  raft::Options raft_options() const;

  const Machine machine_;
  Scheduler& scheduler_;
  Network& network_;
  Trace& trace_;
  GroupObserver& observer_;
  const GroupOptions& options_;
  Random random_;
  Disk disk_;
  Durable durable_;

  ReplicaId id_;
  std::unique_ptr<CachedLog> view_;
  std::unique_ptr<raft::Raft> raft_;
  std::uint64_t incarnation_ = 0;
  Micros tick_length_;
  Micros paused_until_ = 0;
  std::deque<std::function<void()>> deferred_;  ///< what came while it was paused
  GroupState state_;
  GroupState staged_;         ///< of the snapshot that waits for its write
  Micros apply_free_at_ = 0;  ///< the apply thread is busy until then
  bool draining_ = false;
  bool fetching_ = false;
  Counters counters_;
};

}  // namespace skald::sim
