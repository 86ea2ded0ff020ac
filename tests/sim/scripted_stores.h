// A few healthy stores under virtual time that a test moves step by step: who is cut off, held
// back, crashed, and when. The checkers of the store world run after every event.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "kv/route/router.h"
#include "tests/sim/history.h"
#include "tests/sim/store_checks.h"
#include "tests/sim/store_node.h"

namespace skald::sim {

inline constexpr RangeId kFirstRange{1};

class ScriptedStores final : private StoreObserver {
 public:
  /// The first range is on stores 1 to `voters` of `stores`, at rest. Snapshots are needed soon:
  /// no log is kept behind what is flushed.
  explicit ScriptedStores(std::uint32_t stores, std::uint32_t voters, bool serve_leases = false);

  // Time. Each ends at the first violation.

  /// One event; false if something was violated.
  bool step();
  void run(Micros duration);
  /// False if it did not come true in time.
  bool run_until(const std::function<bool()>& done, Micros limit = 60 * kSecond);

  // Deeds.

  /// Written through the router; read by tests through acked().
  std::uint64_t write(const std::string& key);
  bool acked(std::uint64_t op) const { return acked_.contains(op); }
  /// Writes and waits; reports "liveness" if it is never acked.
  void must_write(const std::string& key);
  /// Asks the leader again and again until it says that it is done.
  void must_manage(RangeId range, decltype(range::ManageRequest::body) body);
  void ask_manage(RangeId range, decltype(range::ManageRequest::body) body);
  /// Answered by nobody, as by a store that is cut off.
  void isolate(Machine machine);
  void heal();
  /// What is about `range` does not reach `machine`; until let_through().
  void block(Machine machine, RangeId range) { blocked_.insert({machine, range}); }
  void block_snapshots(Machine machine, RangeId range) { no_snapshots_.insert({machine, range}); }
  void let_through(Machine machine, RangeId range);
  void crash(Machine machine);
  void restart(Machine machine);
  /// Sees what arrives; deliver() makes something arrive once more.
  std::function<void(const range::Packet&)> on_delivery;
  void deliver(const range::Packet& packet) { on_packet(packet); }
  /// Reads `key` at the replica of `range` there; the history judges what it says.
  void read_at(Machine machine, RangeId range, const std::string& key);
  /// Everything is let go and must come to rest.
  Violation finish();

  StoreNode& node(Machine machine) { return *nodes_.at(machine); }
  range::Range* replica(Machine machine, RangeId range);
  /// By the store's own clock, now.
  bool may_serve(Machine machine, RangeId range);
  StoreNode* leader(RangeId range);
  Machine leads(RangeId range);
  const StoreChecks::Nodes& nodes() const { return nodes_; }
  StoreChecks& checks() { return checks_; }
  Micros now() const { return scheduler_.now(); }
  bool clean() const { return checks_.violation().none(); }

 private:
  void on_ready(StoreNode& node, const range::HostReady& ready) override {
    checks_.on_ready(node, ready);
  }
  void on_durable(StoreNode& node, const store::WriteSet& set) override {
    checks_.on_durable(node, set);
  }
  void on_applied(StoreNode& node, RangeId range) override { checks_.on_applied(node, range); }
  void on_served(StoreNode& node) override { checks_.on_served(node); }
  void on_reply(StoreNode& node, const range::RangeReady::Answer& answer) override;
  void on_packet(const range::Packet& packet) override;
  void on_broken(StoreNode& node, const std::string& why) override;
  void on_failed(StoreNode& node) override { on_broken(node, "the data engine failed"); }

  void schedule_client();
  void pump();

  struct Read {
    RangeId range;
    std::string key;
    Micros asked = 0;
  };

  StoreOptions options_;
  Scheduler scheduler_;
  Trace trace_;
  Random random_;
  Network network_;
  StoreChecks::Nodes nodes_;
  StoreChecks checks_;
  route::Router router_;
  History history_;
  std::uint64_t next_op_ = 1;
  std::uint64_t next_id_ = 1;
  std::set<std::uint64_t> acked_;
  std::map<std::uint64_t, Read> reads_;
  std::map<std::uint64_t, range::Outcome> managed_;
  std::set<std::pair<Machine, RangeId>> blocked_;
  std::set<std::pair<Machine, RangeId>> no_snapshots_;
};

}  // namespace skald::sim
