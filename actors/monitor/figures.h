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
  std::uint64_t dropped_fan_out = 0;     // over what one message or one second may reach
  std::uint64_t refused_by_rights = 0;   // publishes and subscriptions
  std::uint64_t refused_by_limits = 0;   // by totals of the tenant
  std::uint64_t retained_refused = 0;
};

/// What a loop holds and waits for, as it is now. Sums over loops are the node's.
struct LoopLoad {
  std::uint64_t match_cache_bytes = 0;
  std::uint64_t attaching = 0;         // clients between CONNECT and CONNACK
  std::uint64_t acks_waiting = 0;      // SUBACK, UNSUBACK behind routes
  std::uint64_t inbox_operations = 0;  // asked of inboxes, unanswered
  std::uint64_t inbox_bytes = 0;       // of those
  std::uint64_t retained_held = 0;     // publishes to be stored before they are matched
  std::uint64_t feeds = 0;             // sessions that are owed retained messages
  std::uint64_t fed_lately = 0;        // what is remembered so as not to feed it again
  std::uint64_t receivers_behind = 0;
  std::uint64_t publishers_held = 0;
  std::uint64_t slow_receivers_total = 0;
  std::uint64_t sys_values = 0;
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
  LoopLoad load;
  EventCounts events{};
  std::uint64_t connections = 0;
  std::uint64_t connections_total = 0;
  std::uint64_t refused_disk_full = 0;
  std::uint64_t stale_routes = 0;
};
/// What a store holds and has done.
struct StoreLoad {
  std::uint64_t ranges = 0;
  std::uint64_t asks = 0;  // requests not answered yet
  std::uint64_t routes = 0;
  std::uint64_t intents = 0;       // of inboxes, not carried out yet
  std::uint64_t memory_bytes = 0;  // memtables, or all of a store in memory
  std::uint64_t unflushed_bytes = 0;
  std::uint64_t disk_bytes = 0;
  std::uint64_t batches_total = 0;
  std::uint64_t writes_total = 0;
  std::uint64_t flushes_total = 0;
  std::uint64_t garbage = 0;  // intervals to be deleted
};
/// Store -> monitor.
struct StoreReport {
  std::uint64_t round = 0;
  std::uint16_t store = 0;  // StoreKind
  bool failing = false;     // its disk, or that of the log
  StoreLoad load;
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
  LoopLoad load;
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
