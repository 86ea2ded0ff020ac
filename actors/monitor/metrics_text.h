// The figures of a node in the text format of Prometheus. Pure.
//
// Labels are `tenant`, `kind`, `loop`, `store`, `reason`: never a topic or a client id. Of tenants
// the first kMetricTenants by name are listed; how many are not is a metric.
#pragma once

#include <string>
#include <vector>

#include "actors/monitor/figures.h"

namespace skald::actors {

constexpr std::size_t kMetricTenants = 1000;

/// What is known beside the reports.
struct NodeFacts {
  std::uint64_t uptime_s = 0;
  std::uint64_t connections_refused = 0;
  std::uint64_t connections_max = 0;
  std::uint64_t login_failures = 0;
  std::uint64_t logins_limited = 0;
  std::uint64_t logins_refused_busy = 0;
  bool ready = false;
  bool disk_full = false;
  std::vector<std::pair<std::string, bool>> stores_failing;
  EventCounts events{};  // the monitor's own
};

std::string metrics_text(const NodeSummary& summary, const NodeFacts& facts);

}  // namespace skald::actors
