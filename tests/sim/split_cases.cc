// Cases about splits: followers that are late, children that are elsewhere already, snapshots that
// overtake the split.
#include <algorithm>

#include "tests/sim/cases.h"
#include "tests/sim/scripted_stores.h"

namespace skald::sim {
namespace {

constexpr RangeId kChild{2};

range::ChangeReplicas voters(std::initializer_list<std::uint64_t> stores) {
  range::ChangeReplicas change;
  for (const std::uint64_t store : stores) change.voters.insert(range::StoreId{store});
  return change;
}

/// A follower of the first range that is not its leader.
Machine follower(ScriptedStores& stores) { return stores.leads(kFirstRange) == 3 ? 2 : 3; }

/// What reaches the late follower, in the order of a permutation.
enum class Step : std::uint8_t { kApplies, kParentSnapshot, kChildSnapshot, kCrash };

void take(ScriptedStores& stores, Machine late, Step step) {
  switch (step) {
    case Step::kApplies:
      stores.node(late).hold_apply(false);
      break;
    case Step::kParentSnapshot:
      stores.let_through(late, kFirstRange);
      break;
    case Step::kChildSnapshot:
      stores.let_through(late, kChild);
      break;
    case Step::kCrash:
      stores.crash(late);
      stores.run(50 * kMillisecond);
      stores.restart(late);
      break;
  }
}

Violation split_in_order(std::span<const Step> order, bool has_split_in_log, Micros pause) {
  ScriptedStores stores(3, 3);
  const Machine late = follower(stores);
  stores.node(late).hold_apply(true);
  if (!has_split_in_log) stores.block(late, kFirstRange);
  stores.block(late, kChild);
  stores.must_manage(kFirstRange, range::SplitAt{"k50", kChild});
  stores.run(50 * kMillisecond);
  stores.block(late, kFirstRange);
  for (int i = 0; i < 10; ++i) {  // what the late one lacks is not in the logs any more
    stores.must_write("k20");
    stores.must_write("k70");
  }
  stores.run(2 * kSecond);
  for (const Step step : order) {
    take(stores, late, step);
    stores.run(pause);
  }
  return stores.finish();
}

}  // namespace

/// The parent's replica has not applied the split; the child has long left this store, and comes
/// back as another replica. Nobody may read the child's keys from the parent, or find them twice.
Violation lagging_parent_beside_its_moved_child() {
  ScriptedStores stores(5, 3);
  const Machine late = follower(stores);
  stores.node(late).hold_apply(true);
  const std::uint64_t leader = stores.leads(kFirstRange);
  const std::uint64_t other = 6 - late - leader;
  stores.must_manage(kFirstRange, range::SplitAt{"k50", kChild});
  stores.must_write("k70");
  stores.must_manage(kChild, voters({leader, other, 4}));
  stores.must_write("k70");
  stores.read_at(late, kFirstRange, "k70");
  stores.run(kSecond);
  stores.must_manage(kChild, voters({leader, other, late}));
  stores.must_write("k70");
  stores.read_at(late, kFirstRange, "k70");
  stores.read_at(late, kChild, "k70");
  stores.run(kSecond);
  stores.node(late).hold_apply(false);
  stores.run(kSecond);
  stores.read_at(late, kFirstRange, "k70");
  stores.read_at(late, kChild, "k70");
  stores.crash(late);
  stores.run(100 * kMillisecond);
  stores.restart(late);
  return stores.finish();
}

/// A follower that is late applies the split, gets the parent's snapshot, gets the child's, and
/// crashes, in all 24 orders, with the split in its log and without, quickly and with time to
/// settle between.
Violation split_and_snapshots_in_every_order() {
  for (const bool in_log : {true, false}) {
    for (const Micros pause : {20 * kMillisecond, 3 * kSecond, 12 * kSecond}) {
      std::array<Step, 4> order = {Step::kApplies, Step::kParentSnapshot, Step::kChildSnapshot,
                                   Step::kCrash};
      do {
        Violation violation = split_in_order(order, in_log, pause);
        if (violation.none()) continue;
        violation.what += std::string(" (order") + (in_log ? ", split in its log" : "");
        for (const Step step : order) {
          violation.what += " " + std::to_string(static_cast<int>(step));
        }
        violation.what += ", " + std::to_string(pause / kMillisecond) + " ms apart)";
        return violation;
      } while (std::next_permutation(order.begin(), order.end()));
    }
  }
  return {};
}

/// A store that has not applied the split is asked for its vote by the child. When it applies the
/// split at last, the vote still binds it.
Violation vote_before_the_split_is_kept() {
  ScriptedStores stores(3, 3);
  const Machine late = follower(stores);
  const Machine leader = stores.leads(kFirstRange);
  stores.node(late).hold_apply(true);
  stores.must_manage(kFirstRange, range::SplitAt{"k50", kChild});
  stores.run_until([&stores, late] {
    const range::Range* child = stores.replica(late, kChild);
    return child != nullptr && child->raft().vote();
  });
  const range::Range* child = stores.replica(late, kChild);
  if (child == nullptr || !child->raft().vote()) {
    stores.checks().report("liveness", "nobody asked for the vote");
    return stores.checks().violation();
  }
  const raft::Term term = child->raft().term();
  const ReplicaId vote = child->raft().vote();
  // No word of the child's leader arrives while the split is applied.
  stores.isolate(leader);
  stores.block(late, kChild);
  stores.node(late).hold_apply(false);
  stores.run_until([&stores, late] {
    const range::Range* now = stores.replica(late, kChild);
    return now != nullptr && now->initialised();
  });
  child = stores.replica(late, kChild);
  const bool kept =
      child != nullptr && (child->raft().term() > term ||
                           (child->raft().term() == term && child->raft().vote() == vote));
  if (!kept) stores.checks().report("one leader a term", "the vote is forgotten");
  return stores.finish();
}

/// The child stands on a batch that is not flushed when the parent's replica is destroyed, with the
/// log that could make the batch again. Then power fails.
Violation parent_destroyed_before_the_split_is_flushed() {
  ScriptedStores stores(4, 3);
  const Machine late = follower(stores);
  const std::uint64_t leader = stores.leads(kFirstRange);
  const std::uint64_t other = 6 - late - leader;
  stores.node(late).flush();
  stores.node(late).hold_flush(true);
  stores.must_manage(kFirstRange, range::SplitAt{"k50", kChild});
  stores.must_write("k70");
  stores.must_manage(kFirstRange, voters({leader, other, 4}));
  stores.run_until([&stores, late] { return stores.replica(late, kFirstRange) == nullptr; });
  stores.run(200 * kMillisecond);
  stores.crash(late);
  stores.restart(late);
  return stores.finish();
}

/// A crash undoes a split that was not flushed; before the parent's log is applied again, the
/// parent's leader offers a snapshot from behind the split.
Violation parent_snapshot_before_the_split_is_replayed() {
  ScriptedStores stores(3, 3);
  const Machine late = follower(stores);
  stores.node(late).flush();
  stores.node(late).hold_flush(true);
  stores.must_manage(kFirstRange, range::SplitAt{"k50", kChild});
  stores.must_write("k70");
  stores.run(500 * kMillisecond);
  stores.crash(late);
  for (int i = 0; i < 12; ++i) stores.must_write("k20");
  stores.run(2 * kSecond);  // the parent's log begins behind the split
  stores.node(late).hold_apply(true);
  stores.restart(late);
  stores.run(20 * kSecond);
  return stores.finish();
}

}  // namespace skald::sim
