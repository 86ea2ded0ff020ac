// What the parts of a node tell the monitor about themselves, once a second, and what it makes of
// it: figures of tenants and of the node.
//
// Counters only grow; gauges are told as they are. Tenants are those that users name; they stay.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "actors/monitor/events.h"
#include "mqtt/dispatch/dispatch.h"
#include "mqtt/inbox/session.h"
#include "mqtt/retain/state_machine.h"
#include "mqtt/session/session.h"

namespace skald::actors {

/// Of one tenant, on one loop or of a node.
struct TenantFigures {
  session::Counters traffic;
  std::uint64_t clients = 0;             // connected
  std::uint64_t clients_total = 0;       // ever
  std::uint64_t subscriptions = 0;       // of connections; not of persistent sessions
  std::uint64_t dropped_inbox_full = 0;  // no room in a persistent session's queue
  std::uint64_t refused_by_rights = 0;   // publishes and subscriptions
  std::uint64_t refused_by_limits = 0;   // by totals of the tenant
  std::uint64_t retained_refused = 0;
};

/// Monitor -> post office, store: answered by the report with the same round.
struct ReportWanted {
  std::uint64_t round = 0;
};
/// Post office -> monitor.
struct LoopReport {
  std::uint64_t round = 0;
  std::uint16_t loop = 0;
  std::vector<std::pair<std::string_view, TenantFigures>> tenants;  // names are interned
  session::Counters unnamed;                                        // of connections before CONNACK
  dispatch::Dispatch::Counters dispatch;
  EventCounts events{};
  std::uint64_t connections = 0;
  std::uint64_t connections_total = 0;
  std::uint64_t refused_disk_full = 0;
  std::uint64_t stale_routes = 0;
};
/// Store -> monitor.
struct StoreReport {
  std::uint64_t round = 0;
  std::uint16_t store = 0;  // StoreKind
  bool failing = false;     // its disk, or that of the log
  std::map<std::string, inbox::Usage, std::less<>> inboxes;
  std::map<std::string, retain::StateMachine::Usage, std::less<>> retained;
};

/// Of one tenant of this node, from all reports.
struct TenantSummary {
  TenantFigures figures;
  inbox::Usage inboxes;
  retain::StateMachine::Usage retained;

  std::uint64_t dropped() const;
  std::uint64_t subscriptions() const { return figures.subscriptions + inboxes.subscriptions; }
};

struct NodeSummary {
  std::map<std::string, TenantSummary, std::less<>> tenants;
  session::Counters unnamed;
  dispatch::Dispatch::Counters dispatch;
  EventCounts events{};
  std::uint64_t connections = 0;
  std::uint64_t connections_total = 0;
  std::uint64_t refused_disk_full = 0;
  std::uint64_t stale_routes = 0;
  std::vector<std::uint64_t> connections_by_loop;
};

void add(session::Counters& to, const session::Counters& more);
void add(inbox::Usage& to, const inbox::Usage& more);
/// Requires: one report of each loop and store.
NodeSummary summary_of(const std::vector<LoopReport>& loops,
                       const std::vector<StoreReport>& stores);

}  // namespace skald::actors
