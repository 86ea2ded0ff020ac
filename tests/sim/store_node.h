// One simulated store: the shell of a StoreHost over the memory twins of the two engines.
//
// It carries out each HostReady in its order; the log is synced by the simulated disk, the data is
// written at once and forgotten by a crash as far as it was not flushed.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <set>

#include "kv/range/snapshot_receiver.h"
#include "kv/range/snapshot_sender.h"
#include "kv/route/router.h"
#include "kv/store/memory_engine.h"
#include "kv/store/memory_log_store.h"
#include "tests/sim/disk.h"
#include "tests/sim/faults.h"
#include "tests/sim/kv_machine.h"
#include "tests/sim/network.h"
#include "tests/sim/trace.h"

namespace skald::sim {

struct StoreOptions {
  std::uint64_t seed = 0;
  std::uint32_t stores = 3;
  std::uint32_t voters = 3;
  Micros tick = 50 * kMillisecond;
  range::RangeOptions range;
  range::SnapshotOptions snapshot;
  route::RouterOptions router;
  NetworkOptions network;
  DiskOptions disk;
  Micros apply_delay_max = 5 * kMillisecond;
  Micros publish_delay_max = 5 * kMillisecond;
  std::uint32_t flush_one_in = 20;     ///< ticks
  std::uint32_t damage_per_mille = 0;  ///< snapshot chunks that arrive damaged
  Micros safety = 20 * kSecond;
  Micros liveness = 600 * kSecond;
  Micros fault_interval = 800 * kMillisecond;
  Micros manage_interval = 1500 * kMillisecond;
  std::uint32_t clients = 3;
  std::uint64_t loss_one_in = 200;  ///< requests and replies between clients and stores
  Micros op_interval = 20 * kMillisecond;
  FaultSet faults{};
  Reduction less;

  bool has(Fault fault) const { return faults[static_cast<std::size_t>(fault)]; }
};

class StoreNode;

class StoreObserver {
 public:
  virtual ~StoreObserver() = default;
  virtual void on_ready(StoreNode& node, const range::HostReady& ready) = 0;
  /// The disk has it.
  virtual void on_durable(StoreNode& node, const store::WriteSet& set) = 0;
  virtual void on_applied(StoreNode& node, RangeId range) = 0;
  virtual void on_served(StoreNode& node) = 0;  ///< published, or may serve until later
  virtual void on_reply(StoreNode& node, const range::RangeReady::Answer& answer) = 0;
  virtual void on_packet(const range::Packet& packet) = 0;
  /// What must never be refused was.
  virtual void on_broken(StoreNode& node, const std::string& why) = 0;
  /// The data engine has failed: this process ends.
  virtual void on_failed(StoreNode& node) = 0;
};

class StoreNode {
 public:
  /// What the matches of this store see of a range.
  struct Published {
    range::Boundary boundary;
    std::map<std::string, std::string> values;
  };
  struct Counters {
    std::uint64_t restarts = 0;
    std::uint64_t snapshots = 0;
    std::uint64_t flushes = 0;
    std::uint64_t damaged = 0;
  };

  StoreNode(range::StoreId id, Scheduler& scheduler, Network& network, Trace& trace,
            StoreObserver& observer, const StoreOptions& options, Random random);

  void start();
  void bootstrap(const range::Descriptor& descriptor);
  void crash();
  void pause(Micros duration);
  void disconnected(Machine peer);
  void receive(const range::Packet& packet);
  void request(RangeId range, const range::DataRequest& request);
  void read(RangeId range, const range::ReadRequest& request);
  void manage(RangeId range, const range::ManageRequest& request);
  void drain();
  void flush();
  void tell_flushed();
  void calm();
  /// Nothing is applied until it is let go again.
  void hold_apply(bool hold);
  /// Nothing is flushed unasked.
  void hold_flush(bool hold) { flush_held_ = hold; }
  /// The next write or flush of the data engine fails.
  void fail_data() { engine_->fail_next(Error{"injected"}); }

  Machine machine() const { return static_cast<Machine>(id_.value); }
  range::StoreId id() const { return id_; }
  bool up() const { return host_ != nullptr; }
  bool paused() const { return scheduler_.now() < paused_until_; }
  range::StoreHost& host() { return *host_; }
  store::DataStore& data() { return *data_; }
  store::MemoryLogStore& log() { return log_; }
  Disk& disk() { return disk_; }
  const std::map<RangeId, Published>& published() const { return published_; }
  const std::map<RangeId, std::uint64_t>& serve_until() const { return serve_until_; }
  Micros clock() const;
  /// Whether leases are asked for at all.
  bool serves() const { return options_.range.serve_lease_us != 0; }
  const Counters& counters() const { return counters_; }
  KvMachine& kv(range::Range& range) { return static_cast<KvMachine&>(range.machine()); }

 private:
  std::function<void()> mine(std::function<void()> action);
  void wake();
  void schedule_tick();
  void carry_out(range::HostReady ready);
  void send(range::Packet packet);
  void on_chunk(const range::SnapshotChunk& chunk, range::StoreId from);
  void poll_snapshots();
  void schedule_work();
  void work(RangeId range);
  void rebuild(range::Range& range);
  void publish_later(RangeId range);
  void publish(RangeId range);
  /// False if this process is over.
  bool ok(const Status& status);
  Micros wall() const;

  const range::StoreId id_;
  Scheduler& scheduler_;
  Network& network_;
  Trace& trace_;
  StoreObserver& observer_;
  const StoreOptions& options_;
  Random random_;
  Disk disk_;
  std::uint64_t rate_per_mille_ = 1000;
  Micros wall_offset_ = 0;

  store::MemoryLogStore log_;
  store::MemoryEngine* engine_ = nullptr;
  std::unique_ptr<store::DataStore> data_;

  std::unique_ptr<range::StoreHost> host_;
  std::unique_ptr<range::SnapshotSenders> senders_;
  std::unique_ptr<range::SnapshotReceivers> receivers_;
  std::map<RangeId, Published> published_;
  std::map<RangeId, std::uint64_t> serve_until_;
  std::set<RangeId> publishing_;  ///< an event for it is scheduled
  std::set<RangeId> working_;     ///< an event for it is scheduled
  Micros apply_free_at_ = 0;
  std::uint64_t incarnation_ = 0;
  Micros paused_until_ = 0;
  std::deque<std::function<void()>> deferred_;
  bool draining_ = false;
  bool calm_ = false;  ///< the faults have ended
  bool apply_held_ = false;
  bool flush_held_ = false;
  Counters counters_;
};

}  // namespace skald::sim
