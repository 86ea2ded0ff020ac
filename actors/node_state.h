// What the actors of one node share: addresses, published snapshots, configuration.
//
// Made and owned by the node (node.h) before any actor runs; constant afterwards but for what is
// atomic or guarded in itself.
#pragma once

#include <absl/container/node_hash_set.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <caf/actor.hpp>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "actors/auth_counters.h"
#include "actors/clock.h"
#include "actors/published.h"
#include "actors/store/log_figures.h"
#include "actors/tenant_usage.h"
#include "config/base/ids.h"
#include "config/options.h"
#include "kv/range/descriptor.h"
#include "mqtt/auth/directory.h"
#include "mqtt/dispatch/node_routes.h"
#include "mqtt/dist/route_snapshot.h"
#include "mqtt/retain/state_machine.h"

namespace skald::actors {

/// Names that are kept for good, so that a view can stand for them everywhere.
class InternedNames {
 public:
  std::string_view intern(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return *names_.insert(name).first;
  }

 private:
  std::mutex mutex_;
  absl::node_hash_set<std::string> names_;
};

struct NodeState {
  config::Options options;
  Clock clock;
  Life life;
  std::uint64_t seed = 0;
  std::uint64_t connections_max = 0;  // by the limit of file descriptors
  /// At the start; a reload sends the next one to each loop.
  auth::DirectoryRef users;
  AuthCounters auth_counters;
  LogFigures log_figures;
  TenantUsage usage;
  InternedNames tenants;
  Published<dist::RouteSnapshot> routes;
  Published<dispatch::InterestSnapshot> interest;
  Published<retain::RetainSnapshot> retained;
  /// Open connections by loop; the acceptor fills the emptiest.
  std::vector<std::atomic<std::uint64_t>> connections;
  /// By loop: when the oldest retained publish came that may be stored and is not dispatched yet.
  std::vector<std::atomic<std::uint64_t>> retained_held;
  std::atomic<std::uint64_t> filters{0};              // of all loops, by the route keeper
  std::atomic<std::uint64_t> connections_refused{0};  // at connections_max
  /// When all loops and stores had last answered the monitor, by CLOCK_BOOTTIME; at first the
  /// start.
  std::atomic<std::uint64_t> answered_us{Clock::monotonic_us()};

  /// The disk refuses writes, or has little room left: nothing is taken that would have to be kept.
  std::atomic<bool> disk_full{false};
  /// The disk refuses writes: nothing that must be committed will be, for now.
  std::atomic<bool> disk_failing{false};
  std::atomic<unsigned> stores_failing{0};  // whose data is not open

  // Addresses, set while wiring.
  std::vector<caf::actor> post_offices;
  caf::actor route_keeper;
  caf::actor gatekeeper;

  std::size_t hash_threads() const {
    if (options.auth.hash_threads != 0) return options.auth.hash_threads;
    return std::max(1U, std::thread::hardware_concurrency() / 2);
  }
  /// False: a loop or a store stands still for so long that only a new start helps.
  bool lives() const {
    constexpr std::uint64_t kPatienceUs = 20'000'000;
    return Clock::monotonic_us() - answered_us.load(std::memory_order_relaxed) < kPatienceUs;
  }
  std::array<caf::actor, 4> stores;  // by StoreKind
  /// The ranges of each store when the node began to serve; lanes learn later ones from replies.
  std::array<std::vector<range::Descriptor>, 4> ranges;
};

}  // namespace skald::actors
