#include "actors/monitor/figures.h"

namespace skald::actors {

namespace {

/// Adds up a struct that is nothing but std::uint64_t.
template <class T>
void add_all(T& to, const T& more) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % sizeof(std::uint64_t) == 0);
  auto* sums = reinterpret_cast<std::uint64_t*>(&to);
  const auto* terms = reinterpret_cast<const std::uint64_t*>(&more);
  for (std::size_t i = 0; i < sizeof(T) / sizeof(std::uint64_t); ++i) sums[i] += terms[i];
}

}  // namespace

void add(session::Counters& to, const session::Counters& more) { add_all(to, more); }
void add(inbox::Usage& to, const inbox::Usage& more) { add_all(to, more); }

std::uint64_t TenantSummary::dropped() const {
  const session::Counters& traffic = figures.traffic;
  return traffic.dropped_queue_full + traffic.dropped_qos0_slow + traffic.dropped_too_large +
         traffic.dropped_expired + traffic.dropped_not_authorized + figures.dropped_inbox_full +
         figures.dropped_fan_out + inboxes.dropped_oldest + inboxes.dropped_expired;
}

NodeSummary summary_of(const std::vector<LoopReport>& loops,
                       const std::vector<StoreReport>& stores) {
  NodeSummary sum;
  for (const LoopReport& loop : loops) {
    for (const auto& [name, figures] : loop.tenants) {
      add_all(sum.tenants[std::string(name)].figures, figures);
    }
    add_all(sum.unnamed, loop.unnamed);
    add_all(sum.dispatch, loop.dispatch);
    add_all(sum.load, loop.load);
    for (std::size_t i = 0; i < kEventKinds; ++i) sum.events[i] += loop.events[i];
    sum.connections += loop.connections;
    sum.connections_total += loop.connections_total;
    sum.refused_disk_full += loop.refused_disk_full;
    sum.stale_routes += loop.stale_routes;
    sum.connections_by_loop.push_back(loop.connections);
  }
  for (const StoreReport& store : stores) {
    for (const auto& [name, usage] : store.inboxes) {
      add_all(sum.tenants[name].inboxes, usage);
    }
    for (const auto& [name, usage] : store.retained) {
      add_all(sum.tenants[name].retained, usage);
    }
  }
  return sum;
}

}  // namespace skald::actors
