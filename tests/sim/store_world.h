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
#include "tests/sim/history.h"
#include "tests/sim/store_checks.h"
#include "tests/sim/store_node.h"

namespace skald::sim {

StoreOptions draw_store_options(std::uint64_t seed);
void reduce(StoreOptions& options, const Reduction& less);
std::string describe(const StoreOptions& options);

class StoreWorld final : private StoreObserver {
 public:
  StoreWorld(const StoreOptions& options, bool loud);
  Outcome run();

 private:
  struct Client {
    std::unique_ptr<route::Router> router;
    std::uint64_t next_op = 1;
    std::uint64_t acked = 0;
    std::uint64_t reads = 0;
    std::uint64_t work_when_calm = 0;  ///< acked and reads, when the faults ended

    std::uint64_t work() const { return acked + reads; }
  };
  struct Read {
    std::uint64_t client = 0;
    RangeId range;
    std::string key;
    Micros asked = 0;
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
  void on_failed(StoreNode& node) override;

  void genesis();
  void schedule_client(std::uint64_t client);
  void work(std::uint64_t client, Client& state);
  void ask_read(std::uint64_t client);
  void told_read(StoreNode& node, const range::RangeReady::Answer& answer);
  void step_client(std::uint64_t client, Client& state);
  void send_requests(std::uint64_t client, route::Router::Out out);
  void schedule_manage();
  void manage_one();
  void schedule_fault();
  void inject(Fault fault, Random strike);
  void crash_some(Random& strike);
  void crash_and_restart(Machine machine, Micros delay);
  void calm();
  bool at_rest(std::string& why);
  StoreNode& any_node(Random& random) {
    return *nodes_.at(static_cast<Machine>(random.between(1, options_.stores)));
  }
  std::string any_key();
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
  std::uint64_t next_read_ = 1;
  std::uint64_t next_strike_ = 0;
  std::map<std::uint64_t, Read> reads_;
  History history_;
  bool calm_ = false;
  Stats stats_;
};

}  // namespace skald::sim
