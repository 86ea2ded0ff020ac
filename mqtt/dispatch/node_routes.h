// Which loops of this node want a filter, and whether the cluster knows that the node does.
//
// One per node, in the node's shell. Loops tell the first and the last of their transient, unshared
// sessions of a (tenant, filter); the dist range gets one route per (filter, life) (design.md
// section 5). Two things come out of it: changes of dist routes to propose, and the interest
// snapshot, immutable, from which a loop learns which loops of its node want a topic.
//
// States of a (tenant, filter):
//   absent    no bit, no route                     subscribe -> adding
//   adding    an add is on its way                 answer -> present, or failed -> removing
//   present   loops' bits are set, route applied   last unsubscribe -> removing
//   removing  no bit; a removal is on its way      answer -> absent, or adding when somebody
//   subscribed
// A removal that is not carried out is proposed again at the next retry(): no route is left behind.
// An add whose fate is not known is followed by a removal for the same reason.
//
// Invariant: only filters in transition have an entry here; present ones live in the interest
// alone. Invariant: at most one change of a filter is proposed and unanswered.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/base/ids.h"
#include "mqtt/dist/types.h"
#include "mqtt/topic/tenant_tries.h"

namespace skald::dispatch {

inline constexpr std::uint32_t kMaxLoops = 64;

/// One bit for each loop of this node.
using LoopMask = std::uint64_t;

/// Which loops want what. Copying is O(1); published by one pointer, read by any loop.
class InterestSnapshot {
 public:
  InterestSnapshot() = default;
  explicit InterestSnapshot(topic::TenantTries<LoopMask> tries) : tries_(std::move(tries)) {}

  /// 0: no loop wants anything of this tenant. A cached match holds as long as this stays the same.
  std::uint64_t version(std::string_view tenant) const { return tries_.version(tenant); }

  /// The loops that want `topic`, a valid topic name.
  LoopMask match(std::string_view tenant, std::string_view topic) const {
    LoopMask loops = 0;
    tries_.match(tenant, topic, [&loops](LoopMask mask) { loops |= mask; });
    return loops;
  }

  /// The loops that want exactly this filter.
  LoopMask find(std::string_view tenant, std::string_view filter) const {
    const topic::FilterTrie<LoopMask>* trie = tries_.find(tenant);
    const LoopMask* mask = trie == nullptr ? nullptr : trie->find(filter);
    return mask == nullptr ? 0 : *mask;
  }

 private:
  topic::TenantTries<LoopMask> tries_;
};

struct NodeRoutesLimits {
  std::size_t max_filters = 10'000'000;     // with interest or in transition; more: full
  std::size_t max_changes_per_batch = 256;  // of one dist command
  // More wait here, at most one change for each filter. Not above range::kLaneWindow.
  std::size_t max_batches_in_flight = 16;
};

/// What a loop is told about its subscribe().
enum class SubscribeOutcome : std::uint8_t {
  done,       // the route is applied and visible, and the interest with the loop's bit is published
  failed,     // the route could not be added; the bit is cleared, subscribe again to retry
  full,       // NodeRoutesLimits::max_filters; nothing was changed
  cancelled,  // the same loop unsubscribed before it was done
};

class NodeRoutes {
 public:
  struct Batch {
    std::uint64_t id = 0;  // from 1, in order
    dist::ChangeRoutes command;
  };
  struct Answer {
    std::uint32_t loop = 0;
    std::uint64_t token = 0;
    SubscribeOutcome outcome = SubscribeOutcome::done;

    bool operator==(const Answer&) const = default;
  };
  /// What the shell must do, in this order.
  struct Ready {
    std::optional<InterestSnapshot> interest;  // publish it
    std::vector<Batch> proposals;  // propose in this order, on one lane; answer each with on_reply
    std::vector<Answer> answers;   // tell the loops
  };
  /// What became of one change of a batch.
  enum class Outcome : std::uint8_t {
    visible,  // applied, and every replica that may answer a match has it
    refused,  // not applied, and never will be
    unknown,  // given up on; it may have been or still be applied before anything later on the lane
  };

  /// Of a change that was answered, once the answer's index is visible everywhere.
  static constexpr Outcome outcome_of(dist::RouteResult result) {
    return dist::is_refused(result) ? Outcome::refused : Outcome::visible;
  }

  /// `hash_seed`: see topic::FilterTrie.
  explicit NodeRoutes(Life self, std::uint64_t hash_seed = 0, NodeRoutesLimits limits = {})
      : self_(self), limits_(limits), interest_(hash_seed) {}

  /// A loop's first session wants the filter: valid, without `$share/`. Answered once, with
  /// `token`. A loop may ask again while its bit is set: each token gets its own answer.
  void subscribe(std::string_view tenant, std::string_view filter, std::uint32_t loop,
                 std::uint64_t token);

  /// The loop's last session has gone. No effect when the loop's bit is not set.
  void unsubscribe(std::string_view tenant, std::string_view filter, std::uint32_t loop);

  /// The answer to a batch, in any order of batches. Requires: known, not yet answered, and one
  /// outcome for each of its changes.
  void on_reply(std::uint64_t batch, std::span<const Outcome> outcomes);

  /// Proposes again the removals that were not carried out. Call it now and then (100 ms to 1 s).
  void retry();

  bool has_ready() const;
  Ready take_ready();

  /// The interest as it is now, published or not.
  InterestSnapshot interest() const { return InterestSnapshot(interest_); }

  std::size_t filters() const { return filters_; }  // with interest, or in transition
  std::size_t transitions() const { return transitions_.size(); }     // 0: converged
  std::size_t removals_to_retry() const { return to_retry_.size(); }  // a metric

  /// Aborts when an invariant of the state is broken. For simulation and tests: slow.
  void check_invariants() const;

 private:
  using Key = std::pair<std::string, std::string>;  // tenant, filter
  struct Waiter {
    std::uint32_t loop;
    std::uint64_t token;
  };
  enum class Phase : std::uint8_t {
    adding,    // an add is queued or in flight
    removing,  // a removal is queued or in flight
    stuck,     // a removal was not carried out; waits for retry()
  };
  struct Transition {
    Phase phase = Phase::adding;
    bool may_exist = false;       // the route, by what was answered before the change under way
    std::vector<Waiter> waiters;  // of the add under way, or of the one that follows the removal
  };
  using Transitions = std::map<Key, Transition>;

  LoopMask mask_of(const Key& key) const;
  void set_mask(const Key& key, LoopMask mask);
  void enqueue(Transitions::iterator at, Phase phase);
  void finish(Transitions::iterator at);
  void answer_all(Transition& transition, SubscribeOutcome outcome);
  void on_added(Transitions::iterator at, Outcome outcome);
  void on_removed(Transitions::iterator at, Outcome outcome);
  Batch next_batch();

  Life self_;
  NodeRoutesLimits limits_;
  topic::TenantTries<LoopMask> interest_;
  bool interest_changed_ = false;
  std::size_t filters_ = 0;
  Transitions transitions_;
  std::deque<Key> to_propose_;                           // each key once, its transition says what
  std::set<Key> to_retry_;                               // the stuck ones
  std::map<std::uint64_t, std::vector<Key>> in_flight_;  // by batch
  std::uint64_t last_batch_ = 0;
  std::vector<Answer> answers_;
};

}  // namespace skald::dispatch
