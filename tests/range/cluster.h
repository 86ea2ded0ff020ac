// A few StoreHosts over the memory twins of the engines, driven by hand: every sync is instant,
// every message arrives in order, time moves only when a test says so.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "kv/range/snapshot_receiver.h"
#include "kv/range/snapshot_sender.h"
#include "kv/store/memory_engine.h"
#include "kv/store/memory_log_store.h"
#include "tests/sim/kv_machine.h"

namespace skald::range {

inline constexpr std::uint64_t kTickUs = 50'000;

class Node {
 public:
  Node(StoreId id, const RangeOptions& options);

  void start();
  /// Power is lost: what the data store has not flushed is gone.
  void crash();
  bool up() const { return host_ != nullptr; }
  void bootstrap(const Descriptor& descriptor);
  void tick(std::uint64_t now_us);
  void receive(const Packet& packet, std::uint64_t now_us);
  /// Carries out all that is ready; what is to be sent goes to `wire`.
  void drain(std::vector<Packet>& wire, std::uint64_t now_us);
  void flush();

  StoreHost& host() { return *host_; }
  store::DataStore& data() { return *data_; }
  store::MemoryLogStore& log() { return log_; }
  sim::KvMachine& kv(RangeId range) {
    return static_cast<sim::KvMachine&>(host_->find(range)->machine());
  }
  std::map<std::uint64_t, Reply>& replies() { return replies_; }
  std::map<RangeId, std::uint64_t>& serve_until() { return serve_until_; }
  std::set<StoreId> peers;
  std::vector<Packet> inbox;  ///< answers to chunks, to be sent
  bool publishes = true;
  bool applies = true;
  Status started;

 private:
  void carry_out(HostReady ready, std::vector<Packet>& wire, std::uint64_t now_us);
  void work(RangeId range);

  const StoreId id_;
  RangeOptions options_;
  store::MemoryLogStore log_;
  store::MemoryEngine* engine_ = nullptr;
  std::unique_ptr<store::DataStore> data_;
  std::unique_ptr<StoreHost> host_;
  std::unique_ptr<SnapshotSenders> senders_;
  std::unique_ptr<SnapshotReceivers> receivers_;
  std::map<std::uint64_t, Reply> replies_;
  std::map<RangeId, std::uint64_t> serve_until_;
  std::uint64_t starts_ = 0;
};

class Cluster {
 public:
  explicit Cluster(std::uint64_t stores, RangeOptions options = {});

  Node& node(std::uint64_t store) { return *nodes_.at(store); }
  /// Delivers until nothing is under way.
  void settle();
  void run(std::uint64_t ticks);
  /// Ticks until it is so, or asserts.
  void until(const std::function<bool()>& so);
  /// Ranges 1: the whole key space, on the first `voters` stores. Waits for a leader.
  void genesis(std::uint64_t voters);
  /// The store whose replica leads, with its own term begun; 0: none.
  std::uint64_t leader(RangeId range);
  /// Messages of these stores are lost.
  std::set<std::uint64_t> cut;
  std::function<void(const Packet&)> on_packet;  ///< sees what is delivered

  /// A register's command, sent to the leader; the reply.
  Reply write(RangeId range, const std::string& key, std::uint64_t op, LaneId lane = {},
              std::uint64_t seq = 0);
  Reply manage(RangeId range, decltype(ManageRequest::body) body);
  std::uint64_t now_us() const { return now_us_; }

 private:
  std::map<std::uint64_t, std::unique_ptr<Node>> nodes_;
  std::vector<Packet> wire_;
  std::uint64_t now_us_ = 1'000'000;
  std::uint64_t next_id_ = 1;
};

/// Of range `id`, on these stores as replicas 1, 2, ...
Descriptor first_descriptor(RangeId id, const std::vector<std::uint64_t>& stores,
                            const Genesis& genesis = {77, 1, false});

}  // namespace skald::range
