// Cases about snapshots: whoever crashes, at whatever step, the receiver ends with the old state or
// the new one.
#include <algorithm>

#include "tests/sim/cases.h"
#include "tests/sim/scripted_stores.h"

namespace skald::sim {
namespace {

enum class Victim : std::uint8_t { kReceiver, kSender };

std::uint64_t install_with_crash(Victim victim, std::uint64_t crash_after, bool quick,
                                 Violation& violation) {
  ScriptedStores stores(3, 3);
  const Machine leader = stores.leads(kFirstRange);
  const Machine receiver = leader == 3 ? 2 : 3;
  stores.isolate(receiver);
  for (int i = 0; i < 12; ++i) stores.must_write("k50");
  stores.run(kSecond);  // the log behind is gone
  stores.heal();
  std::uint64_t events = 0;
  const std::uint64_t before = stores.node(receiver).counters().snapshots;
  const auto installed = [&stores, receiver, before] {
    const range::Range* there = stores.replica(receiver, kFirstRange);
    return stores.node(receiver).counters().snapshots > before && there != nullptr &&
           !there->is_installing() && !there->needs_rebuild();
  };
  while (!installed() && events < crash_after && stores.step()) ++events;
  const Machine crashes = victim == Victim::kReceiver ? receiver : leader;
  stores.crash(crashes);
  stores.run(quick ? kMillisecond : 500 * kMillisecond);
  stores.restart(crashes);
  violation = stores.finish();
  return events;
}

}  // namespace

/// Begin, each chunk, staged, written and flushed, log begun anew, machine rebuilt.
Violation crash_at_every_step_of_a_snapshot_install() {
  for (const Victim victim : {Victim::kReceiver, Victim::kSender}) {
    const std::uint64_t stride = victim == Victim::kReceiver ? 1 : 4;
    std::uint64_t took = 0;
    for (std::uint64_t after = 0; took + stride >= after; after += stride) {
      Violation violation;
      took = install_with_crash(victim, after, after / stride % 2 == 0, violation);
      if (violation.none()) continue;
      violation.what += std::string(" (the ") +
                        (victim == Victim::kReceiver ? "receiver" : "sender") + " crashed after " +
                        std::to_string(after) + " events)";
      return violation;
    }
    if (took < 30) return {"sanity", "the install took " + std::to_string(took) + " events"};
  }
  return {};
}

/// The receiver restarts in the middle of a snapshot, and the first chunk arrives once more, late:
/// it begins anew and asks for the second, which the sender has behind it. Nor may both go on like
/// that for ever, nor may the leader wait for what they do.
Violation late_first_chunk_of_a_snapshot() {
  ScriptedStores stores(3, 3);
  const Machine receiver = stores.leads(kFirstRange) == 3 ? 2 : 3;
  stores.isolate(receiver);
  for (int i = 0; i < 12; ++i) stores.must_write("k50");
  stores.run(kSecond);
  range::Packet first;
  std::uint64_t highest = 0;
  stores.on_delivery = [&first, &highest](const range::Packet& packet) {
    for (const range::Body& body : packet.bodies) {
      const auto* chunk = std::get_if<range::SnapshotChunk>(&body);
      if (chunk == nullptr) continue;
      if (chunk->number == 0) first = packet;
      highest = std::max(highest, chunk->number);
    }
  };
  stores.heal();
  // Four may be under way: with the sixth the sender has heard of the second.
  if (!stores.run_until([&highest] { return highest >= 6; })) {
    return {"sanity", "the snapshot has too few chunks"};
  }
  stores.on_delivery = nullptr;
  stores.crash(receiver);
  stores.restart(receiver);
  stores.deliver(first);
  return stores.finish();
}

}  // namespace skald::sim
