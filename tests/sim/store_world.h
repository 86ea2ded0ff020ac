// A simulated subcluster of stores: ranges that split, move and change leaders under faults, with
// clients that write through routers.
//
// First a phase with faults, in which only safety is asked for; then all faults end and everything
// must come to rest: commands answered, one leader a range, members equal, nobody left over.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kv/route/router.h"
#include "tests/sim/store_checks.h"
#include "tests/sim/store_node.h"

namespace skald::sim {

struct StoreStats {
  std::uint64_t seeds = 0;
  std::uint64_t events = 0;
  Micros virtual_time = 0;
  std::uint64_t acked = 0;
  std::uint64_t elections = 0;
  std::uint64_t splits = 0;
  std::uint64_t changes = 0;
  std::uint64_t transfers = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t created = 0;
  std::uint64_t destroyed = 0;
  std::uint64_t restarts = 0;
  std::uint64_t crashes = 0;
  std::uint64_t pauses = 0;
  std::uint64_t partitions = 0;
  std::uint64_t disk_faults = 0;
  std::uint64_t served = 0;
};

StoreOptions draw_store_options(std::uint64_t seed);
std::string describe(const StoreOptions& options);

struct StoreOutcome {
  Violation violation;
  StoreStats stats;
  std::uint64_t trace_hash = 0;
};

class StoreWorld final : private StoreObserver {
 public:
  StoreWorld(const StoreOptions& options, bool loud);
  StoreOutcome run();

 private:
  struct Client {
    std::unique_ptr<route::Router> router;
    std::uint64_t next_op = 1;
    std::uint64_t acked = 0;
  };

  void on_ready(StoreNode& node, const range::HostReady& ready) override;
  void on_durable(StoreNode& node, const store::WriteSet& set) override {
    checks_.on_durable(node, set);
  }
  void on_applied(StoreNode& node, RangeId range) override { checks_.on_applied(node, range); }
  void on_served(StoreNode& node) override { checks_.on_served(node); }
  void on_reply(StoreNode& node, const range::RangeReady::Answer& answer) override;
  void on_packet(const range::Packet& packet) override;
  void on_broken(StoreNode& node, const std::string& why) override;

  void genesis();
  void schedule_client(std::uint64_t client);
  void step_client(std::uint64_t client, Client& state);
  void send_requests(std::uint64_t client, route::Router::Out out);
  void schedule_manage();
  void manage_one();
  void schedule_fault();
  void inject();
  void crash_some();
  void restart_later(Machine machine);
  void partition();
  void calm();
  bool at_rest(std::string& why);
  bool range_at_rest(const range::Descriptor& descriptor, std::string& why);
  StoreNode* leader_of(RangeId range);
  StoreNode& any_node() {
    return *nodes_.at(static_cast<Machine>(random_.between(1, options_.stores)));
  }
  std::string any_key() { return "k" + std::to_string(random_.between(10, 99)); }
  void collect();

  const StoreOptions options_;
  Scheduler scheduler_;
  Trace trace_;
  Random random_;
  Random faults_;
  Network network_;
  StoreChecks::Nodes nodes_;
  StoreChecks checks_;
  std::map<std::uint64_t, Client> clients_;
  std::uint64_t next_range_ = 2;
  std::uint64_t next_manage_ = 1;
  bool calm_ = false;
  StoreStats stats_;
};

}  // namespace skald::sim
