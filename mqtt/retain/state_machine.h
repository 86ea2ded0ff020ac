// The retain state machine: the last retained message of each topic, written to the contract of
// kv/range/state_machine.h.
//
// Owned by the replica of one retain range (or by the in-memory driver), used by one thread at a
// time. Every message is one stored record (record.h); the same messages are in memory as a
// persistent trie by topic, so that a filter finds its topics by a walk and never by a scan, and
// snapshot() gives immutable copies in O(1).
//
// Limits: messages and bytes of a tenant, as the command says. There is none on how many messages a
// filter may match.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "kv/range/state_machine.h"
#include "mqtt/publication.h"
#include "mqtt/retain/types.h"
#include "mqtt/topic/tenant_tries.h"

namespace skald::retain {

/// Immutable; copying is O(1). Read by any loop as a plain call.
class RetainSnapshot {
 public:
  RetainSnapshot() = default;
  explicit RetainSnapshot(topic::TenantTries<mqtt::PublicationRef> tries)
      : tries_(std::move(tries)) {}

  /// Every stored message that `filter` matches, in no useful order; some may have expired. All at
  /// once: RetainWalk does it in pieces.
  std::vector<mqtt::PublicationRef> match(std::string_view tenant, std::string_view filter) const;
  /// Null when there is none.
  const mqtt::PublicationRef* find(std::string_view tenant, std::string_view topic) const;

 private:
  friend class RetainWalk;

  topic::TenantTries<mqtt::PublicationRef> tries_;
};

/// The messages of a snapshot that a filter matches, in pieces: whatever the filter and however
/// many there are, a piece takes as long as its steps (about 100 ns each, out of cache). Keeps the
/// snapshot.
class RetainWalk {
 public:
  /// Requires: `in` is not null, the filter is valid and without `$share/`.
  RetainWalk(std::shared_ptr<const RetainSnapshot> in, std::string_view tenant,
             std::string_view filter);

  /// The next one; valid as long as this object. Null: there is none any more (done()), or `steps`
  /// have run out.
  const mqtt::PublicationRef* next(std::size_t& steps) {
    return walk_ ? walk_->next(steps) : nullptr;
  }
  bool done() const { return !walk_ || walk_->done(); }

 private:
  std::shared_ptr<const RetainSnapshot> in_;
  std::optional<topic::FilterTrie<mqtt::PublicationRef>::NameWalk> walk_;  // absent: no such tenant
};

class StateMachine {
 public:
  using Command = retain::Command;
  using Reply = retain::Reply;
  using Effect = PublishSnapshot;
  using Applied = range::Applied<Reply, Effect>;
  using Effects = std::vector<std::pair<range::EffectScope, Effect>>;

  /// `hash_seed`: local to this replica, see topic::FilterTrie.
  explicit StateMachine(std::uint64_t hash_seed = 0) : tries_(hash_seed) {}

  /// Requires: not between rebuild_start and rebuild_finish.
  Applied apply(const range::ApplyContext& context, const Command& command);
  RetainSnapshot snapshot() const { return RetainSnapshot(tries_); }
  /// When the next message expires, ms; absent when none ever does. Then Expire is due.
  std::optional<mqtt::TimeMs> next_expiry_ms() const;

  void boundary_changed(const range::Boundary& boundary);
  Effects leader_started(std::uint64_t term, std::uint64_t stamp_us);
  void leader_stopped() {}
  /// Anywhere: topics stand alone.
  std::optional<std::string> split_key(std::string_view hint) const;
  void rebuild_start();
  Status rebuild_chunk(std::span<const range::Record> records);
  void rebuild_finish() { rebuilding_ = false; }

  struct Usage {
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;

    bool operator==(const Usage&) const = default;
  };
  Usage usage(std::string_view tenant) const;
  /// By tenant.
  const std::map<std::string, Usage, std::less<>>& usages() const { return usage_; }

 private:
  using Name = std::pair<std::string, std::string>;  // tenant, topic

  StoreResult store(const mqtt::PublicationRef& publication, const Store& command);
  void put(const mqtt::PublicationRef& publication);
  bool remove(std::string_view tenant, std::string_view topic);
  Applied apply_store(const Store& command);
  Applied apply_expire(std::uint64_t now_ms, const Expire& command);

  topic::TenantTries<mqtt::PublicationRef> tries_;
  std::map<std::string, Usage, std::less<>> usage_;
  std::set<std::tuple<mqtt::TimeMs, std::string, std::string>> expiries_;  // when, tenant, topic
  range::Boundary boundary_;
  bool rebuilding_ = false;
};

static_assert(range::StateMachine<StateMachine>);

}  // namespace skald::retain
