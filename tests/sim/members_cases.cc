// Cases about members: removed, added again, changed while somebody crashes.
#include "tests/sim/cases.h"
#include "tests/sim/scripted_stores.h"

namespace skald::sim {
namespace {

constexpr std::uint64_t kStride = 2;  ///< of events

range::ChangeReplicas voters(std::initializer_list<std::uint64_t> stores) {
  range::ChangeReplicas change;
  for (const std::uint64_t store : stores) change.voters.insert(range::StoreId{store});
  return change;
}

/// One run: the change is asked for, and `victim` crashes after that many events. Says how many
/// events the change took.
std::uint64_t change_with_crash(Machine victim, std::uint64_t crash_after, Violation& violation) {
  ScriptedStores stores(5, 3);
  if (stores.leads(kFirstRange) != 1) {
    stores.must_manage(kFirstRange, range::TransferTo{range::StoreId{1}});
    stores.run_until([&stores] { return stores.leader(kFirstRange) == &stores.node(1); });
  }
  stores.ask_manage(kFirstRange, voters({1, 4, 5}));
  std::uint64_t events = 0;
  const auto changed = [&stores] {
    const auto& latest = stores.checks().latest().at(kFirstRange);
    return latest.epoch.conf_ver >= 4 && !range::config_of(latest).joint();
  };
  while (!changed() && events < crash_after && stores.step()) ++events;
  stores.crash(victim);
  stores.run(300 * kMillisecond);
  stores.restart(victim);
  violation = stores.finish();
  return events;
}

}  // namespace

/// A replica that was removed and comes back on the same store is another one: new id, nothing of
/// the old one's votes and log.
Violation readded_on_the_same_store() {
  ScriptedStores stores(4, 3);
  for (int round = 0; round < 3 && stores.clean(); ++round) {
    stores.must_manage(kFirstRange, voters({1, 2}));
    if (round == 1) stores.isolate(3);  // it never hears that it is gone
    stores.must_write("k30");
    stores.must_manage(kFirstRange, voters({1, 2, 4}));
    if (round == 2) {  // it hears of both at once
      stores.isolate(3);
      stores.ask_manage(kFirstRange, voters({1, 2, 3}));
      stores.run(3 * kSecond);
      stores.heal();
      stores.run(3 * kSecond);
    }
    stores.heal();
    stores.must_manage(kFirstRange, voters({1, 2, 3}));
    stores.must_write("k40");
    if (round == 1) {
      stores.crash(3);
      stores.restart(3);
    }
  }
  return stores.finish();
}

/// Removed while it was cut off, with messages of its old life still on their way to others.
Violation removed_while_away_stays_dead() {
  ScriptedStores stores(5, 3);
  const Machine leader = stores.leads(kFirstRange);
  const Machine away = leader == 3 ? 2 : 3;
  const Machine stays = 6 - away - leader;
  stores.isolate(away);
  stores.must_write("k50");
  stores.must_manage(kFirstRange, voters({leader, stays, 4}));
  stores.must_manage(kFirstRange, voters({leader, 4, 5}));
  stores.must_write("k50");
  stores.run(10 * kSecond);  // it campaigns in vain
  stores.heal();
  stores.run_until([&stores, away] { return stores.replica(away, kFirstRange) == nullptr; });
  if (stores.replica(away, kFirstRange) != nullptr) {
    stores.checks().report("liveness", "a removed replica never learned it");
  }
  stores.crash(away);
  stores.restart(away);
  stores.run(3 * kSecond);
  if (stores.replica(away, kFirstRange) != nullptr) {
    stores.checks().report("destroyed stays destroyed", "it is back after a restart");
  }
  return stores.finish();
}

/// Joint appended, replicated, committed, target appended, replicated, committed, and all between;
/// with the leader, an old, a staying and a new voter as victims.
Violation crash_at_every_step_of_a_joint_change() {
  for (const Machine victim : {1u, 2u, 4u}) {
    std::uint64_t took = 0;
    for (std::uint64_t after = 0; took + kStride >= after; after += kStride) {
      Violation violation;
      took = change_with_crash(victim, after, violation);
      if (violation.none()) continue;
      violation.what += " (store " + std::to_string(victim) + " crashed after " +
                        std::to_string(after) + " events)";
      return violation;
    }
    if (took < 30) return {"sanity", "the change took " + std::to_string(took) + " events"};
  }
  return {};
}

}  // namespace skald::sim
