// The dist state machine: replicated routes, written to the contract of kv/range/state_machine.h.
//
// Owned by the replica of one dist range (or by the in-memory driver), used by one thread at a
// time. Every route is one stored record (keys.h); the same routes are in memory as persistent
// tries, of which snapshot() gives immutable copies in O(1).
//
// Retries of a lane and commands of lives that have ended are stopped before apply (lanes.h), so
// that no late add brings an ended life's route back; here a life may only add and remove its own
// node routes and sessions. Limits are constants: replicas must agree on them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kv/range/state_machine.h"
#include "mqtt/dist/route_snapshot.h"
#include "mqtt/dist/route_table.h"
#include "mqtt/dist/types.h"

namespace skald::dist {

inline constexpr std::size_t kMaxTenantBytes = 255;
inline constexpr std::size_t kMaxNameBytes = 65535;      // a group or a client id
inline constexpr std::size_t kMaxGroupMembers = 10'000;  // more: RouteResult::full
inline constexpr std::uint32_t kMaxSweep = 100'000;      // routes one EndLife takes away at most

class StateMachine {
 public:
  using Command = dist::Command;
  using Reply = dist::Reply;
  using Effect = PublishSnapshot;
  using Applied = range::Applied<Reply, Effect>;
  using Effects = std::vector<std::pair<range::EffectScope, Effect>>;

  /// `hash_seed`: local to this replica, see topic::FilterTrie; nothing replicated depends on it.
  /// `last_version`: versions of tenants begin above it; give what an earlier machine of this
  /// process ended with, so that no cached match of that one is taken for a match of this one.
  explicit StateMachine(std::uint64_t hash_seed = 0, std::uint64_t last_version = 0)
      : table_(hash_seed, last_version) {}

  /// Requires: not between rebuild_start and rebuild_finish.
  Applied apply(const range::ApplyContext& context, const Command& command);

  /// The routes as they are now, in O(1). Take it once for a batch of applies: each snapshot makes
  /// the next changes copy the paths that they touch.
  RouteSnapshot snapshot() const { return table_.snapshot(); }

  void boundary_changed(const range::Boundary& boundary);
  Effects leader_started(std::uint64_t term, std::uint64_t stamp_us);
  void leader_stopped();

  /// Anywhere but inside a group: its members are chosen from in one place.
  std::optional<std::string> split_key(std::string_view hint) const;

  void rebuild_start();
  Status rebuild_chunk(std::span<const range::Record> records);
  void rebuild_finish();

  const RouteTable& table() const { return table_; }

 private:
  Applied change_routes(const range::ApplyContext& context, const ChangeRoutes& command);
  RouteResult change_route(const range::ApplyContext& context, const RouteChange& change,
                           std::vector<range::Write>& writes);
  Applied end_life(const EndLife& command);

  RouteTable table_;
  range::Boundary boundary_;
  bool rebuilding_ = false;
};

static_assert(range::StateMachine<StateMachine>);

}  // namespace skald::dist
