// The figures of a node in the text format of Prometheus. Pure.
//
// Labels are `tenant`, `kind`, `loop`, `store`, `reason`: never a topic or a client id. Of tenants
// the first kMetricTenants by name are listed; how many are not is a metric.
#pragma once

#include <string>
#include <vector>

#include "actors/monitor/figures.h"
#include "actors/store/log_figures.h"
#include "mqtt/tenant/usage.h"

namespace skald::actors {

constexpr std::size_t kMetricTenants = 1000;

struct AuthFigures {
  std::uint64_t failures = 0;
  std::uint64_t limited = 0;
  std::uint64_t refused_busy = 0;
  std::uint64_t waiting = 0;
  std::uint64_t running = 0;
};
struct ProcessFigures {
  double cpu_s = 0;
  double start_time_s = 0;  // since 1970
  std::uint64_t resident_bytes = 0;
  std::uint64_t threads = 0;
};

/// What is known beside the reports.
struct NodeFacts {
  std::uint64_t uptime_s = 0;
  std::uint64_t connections_refused = 0;
  std::uint64_t connections_max = 0;
  bool ready = false;
  bool disk_full = false;
  std::vector<std::pair<std::string, bool>> stores_failing;
  EventCounts events{};  // the monitor's own
  AuthFigures logins;
  ProcessFigures process;
  std::vector<std::pair<std::string, StoreLoad>> stores;
  std::vector<tenant::Usage::Limited> limited;
  const LogFigures* log = nullptr;  // outlives the call
  std::uint64_t filters = 0;
  std::uint64_t lines_dropped = 0;
  std::uint64_t http_connections = 0;
  std::uint64_t http_requests = 0;
  std::uint64_t http_refused = 0;
  std::uint64_t http_timeouts = 0;
  std::uint64_t http_displaced = 0;
};

std::string metrics_text(const NodeSummary& summary, const NodeFacts& facts);

}  // namespace skald::actors
