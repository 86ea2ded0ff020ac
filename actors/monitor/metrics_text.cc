#include "actors/monitor/metrics_text.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace skald::actors {

namespace {

using Label = prometheus::ClientMetric::Label;
using Labels = std::vector<Label>;

class Families {
 public:
  void begin(std::string name, std::string help, bool counter) {
    families_.push_back(
        {.name = std::move(name),
         .help = std::move(help),
         .type = counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge,
         .metric = {}});
  }
  void value(Labels labels, std::uint64_t value) {
    number(std::move(labels), static_cast<double>(value));
  }
  void number(Labels labels, double value) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.counter.value = metric.gauge.value = value;
    families_.back().metric.push_back(std::move(metric));
  }
  void counter(const char* name, const char* help, std::uint64_t count) {
    begin(name, help, true);
    value({}, count);
  }
  void gauge(const char* name, const char* help, std::uint64_t now) {
    begin(name, help, false);
    value({}, now);
  }
  void latency(std::string name, std::string help, const LogFigures& log) {
    families_.push_back({.name = std::move(name),
                         .help = std::move(help),
                         .type = prometheus::MetricType::Histogram,
                         .metric = {}});
    prometheus::ClientMetric metric;
    for (std::size_t i = 0; i < log.syncs.size(); ++i) {
      const bool last = i == LogFigures::kBoundsUs.size();
      metric.histogram.sample_count += log.syncs[i].load(std::memory_order_relaxed);
      const double bound =
          last ? std::numeric_limits<double>::infinity() : LogFigures::kBoundsUs[i] / 1e6;
      metric.histogram.bucket.push_back({metric.histogram.sample_count, bound});
    }
    metric.histogram.sample_sum =
        static_cast<double>(log.sync_us.load(std::memory_order_relaxed)) / 1e6;
    families_.back().metric.push_back(std::move(metric));
  }
  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  std::vector<prometheus::MetricFamily> families_;
};

struct TenantMetric {
  const char* name;
  const char* help;
  bool counter;
  std::uint64_t (*of)(const TenantSummary& tenant);
};

using T = TenantSummary;
// clang-format off
constexpr TenantMetric kTenantMetrics[] = {
  {"skald_clients_connected", "clients that are connected", false,
   [](const T& t) { return t.figures.clients; }},
  {"skald_client_connects_total", "clients that have connected", true,
   [](const T& t) { return t.figures.clients_total; }},
  {"skald_received_bytes_total", "bytes read from clients", true,
   [](const T& t) { return t.figures.traffic.bytes_received; }},
  {"skald_sent_bytes_total", "bytes written to clients", true,
   [](const T& t) { return t.figures.traffic.bytes_sent; }},
  {"skald_packets_received_total", "MQTT packets of clients", true,
   [](const T& t) { return t.figures.traffic.packets_received; }},
  {"skald_packets_sent_total", "MQTT packets to clients", true,
   [](const T& t) { return t.figures.traffic.packets_sent; }},
  {"skald_publishes_received_total", "PUBLISH packets of clients", true,
   [](const T& t) { return t.figures.traffic.publishes_received; }},
  {"skald_publishes_received_payload_bytes_total", "their payloads", true,
   [](const T& t) { return t.figures.traffic.payload_bytes_received; }},
  {"skald_publishes_refused_total", "PUBLISH packets refused for topic, format or offer", true,
   [](const T& t) { return t.figures.traffic.publishes_refused; }},
  {"skald_publishes_sent_total", "PUBLISH packets to clients", true,
   [](const T& t) { return t.figures.traffic.deliveries; }},
  {"skald_publishes_sent_payload_bytes_total", "their payloads", true,
   [](const T& t) { return t.figures.traffic.payload_bytes_sent; }},
  {"skald_deliveries_queued_total", "messages that waited for a client's window", true,
   [](const T& t) { return t.figures.traffic.deliveries_queued; }},
  {"skald_refused_by_rights_total", "publishes and subscriptions without the right to", true,
   [](const T& t) { return t.figures.refused_by_rights; }},
  {"skald_refused_by_limits_total", "connections, subscriptions, publishes above a total", true,
   [](const T& t) { return t.figures.refused_by_limits; }},
  {"skald_retained_refused_total", "retained messages refused", true,
   [](const T& t) { return t.figures.retained_refused; }},
  {"skald_subscriptions", "subscriptions of connections and persistent sessions", false,
   [](const T& t) { return t.subscriptions(); }},
  {"skald_retained_messages", "retained messages", false,
   [](const T& t) { return t.retained.messages; }},
  {"skald_retained_bytes", "their memory", false,
   [](const T& t) { return t.retained.bytes; }},
  {"skald_sessions", "sessions, of connections and kept", false,
   [](const T& t) { return t.inboxes.sessions; }},
  {"skald_sessions_online", "those with a connection", false,
   [](const T& t) { return t.inboxes.online; }},
  {"skald_queued_messages", "messages in queues of persistent sessions", false,
   [](const T& t) { return t.inboxes.messages; }},
  {"skald_queued_bytes", "their bytes", false,
   [](const T& t) { return t.inboxes.bytes; }},
  {"skald_wills_published_total", "wills that were due", true,
   [](const T& t) { return t.inboxes.wills; }},
};

constexpr TenantMetric kDrops[] = {
  {"queue_full", "", true, [](const T& t) { return t.figures.traffic.dropped_queue_full; }},
  {"inbox_full", "", true, [](const T& t) { return t.figures.dropped_inbox_full; }},
  {"fan_out", "", true, [](const T& t) { return t.figures.dropped_fan_out; }},
  {"qos0_slow", "", true, [](const T& t) { return t.figures.traffic.dropped_qos0_slow; }},
  {"too_large", "", true, [](const T& t) { return t.figures.traffic.dropped_too_large; }},
  {"expired", "", true,
   [](const T& t) { return t.figures.traffic.dropped_expired + t.inboxes.dropped_expired; }},
  {"not_authorized", "", true,
   [](const T& t) { return t.figures.traffic.dropped_not_authorized; }},
  {"oldest", "", true, [](const T& t) { return t.inboxes.dropped_oldest; }},
  {"by_client", "", true, [](const T& t) { return t.figures.traffic.dropped_by_client; }},
};
// clang-format on

void add_tenants(const NodeSummary& summary, Families& out) {
  const auto each = [&summary](const auto& visit) {
    std::size_t left = kMetricTenants;
    for (const auto& [name, tenant] : summary.tenants) {
      if (left-- == 0) return;
      visit(name, tenant);
    }
  };
  for (const TenantMetric& metric : kTenantMetrics) {
    out.begin(metric.name, metric.help, metric.counter);
    each([&](const std::string& name, const T& tenant) {
      out.value({{"tenant", name}}, metric.of(tenant));
    });
  }
  out.begin("skald_messages_dropped_total", "messages that a client did not get", true);
  for (const TenantMetric& drop : kDrops) {
    each([&](const std::string& name, const T& tenant) {
      out.value({{"tenant", name}, {"reason", drop.name}}, drop.of(tenant));
    });
  }
  const std::size_t listed = std::min(summary.tenants.size(), kMetricTenants);
  out.gauge("skald_tenants_not_listed", "tenants without metrics of their own",
            summary.tenants.size() - listed);
}

struct LoadMetric {
  const char* name;
  const char* help;
  bool counter;
  std::uint64_t LoopLoad::*of;
};
constexpr LoadMetric kLoads[] = {
    {"skald_match_cache_bytes", "who gets which topic, remembered", false,
     &LoopLoad::match_cache_bytes},
    {"skald_clients_attaching", "clients between CONNECT and CONNACK", false, &LoopLoad::attaching},
    {"skald_acks_waiting", "SUBACKs and UNSUBACKs that wait for routes", false,
     &LoopLoad::acks_waiting},
    {"skald_inbox_operations_waiting", "operations that inboxes have not answered", false,
     &LoopLoad::inbox_operations},
    {"skald_inbox_waiting_bytes", "their bytes", false, &LoopLoad::inbox_bytes},
    {"skald_retained_held", "publishes that wait until they are retained", false,
     &LoopLoad::retained_held},
    {"skald_retained_feeds", "sessions that are owed retained messages", false, &LoopLoad::feeds},
    {"skald_fed_lately", "live messages remembered so as not to come again retained", false,
     &LoopLoad::fed_lately},
    {"skald_receivers_behind", "clients that publishers wait for", false,
     &LoopLoad::receivers_behind},
    {"skald_publishers_held", "publishers that wait or have lent bytes", false,
     &LoopLoad::publishers_held},
    {"skald_slow_receivers_total", "clients that were waited for as long as is allowed", true,
     &LoopLoad::slow_receivers_total},
    {"skald_sys_values", "values of $SYS that loops hold", false, &LoopLoad::sys_values},
};

struct StoreMetric {
  const char* name;
  const char* help;
  bool counter;
  std::uint64_t StoreLoad::*of;
};
constexpr StoreMetric kStores[] = {
    {"skald_store_ranges", "ranges with a replica here", false, &StoreLoad::ranges},
    {"skald_store_requests_waiting", "requests not answered yet", false, &StoreLoad::asks},
    {"skald_store_routes", "routes of filters to nodes, groups and inboxes", false,
     &StoreLoad::routes},
    {"skald_store_intents", "what inboxes still have others do", false, &StoreLoad::intents},
    {"skald_store_memory_bytes", "memtables and block cache, or all of it in memory", false,
     &StoreLoad::memory_bytes},
    {"skald_store_unflushed_bytes", "of log that a start would replay", false,
     &StoreLoad::unflushed_bytes},
    {"skald_store_disk_bytes", "tables, roughly", false, &StoreLoad::disk_bytes},
    {"skald_store_batches_total", "batches applied", true, &StoreLoad::batches_total},
    {"skald_store_writes_total", "keys written or deleted", true, &StoreLoad::writes_total},
    {"skald_store_flushes_total", "flushes asked for", true, &StoreLoad::flushes_total},
    {"skald_store_garbage_intervals", "to be deleted in the background", false,
     &StoreLoad::garbage},
};

void add_stores(const NodeFacts& facts, Families& out) {
  out.begin("skald_store_failing", "1 while the store's disk refuses writes", false);
  for (const auto& [store, failing] : facts.stores_failing) {
    out.value({{"store", store}}, failing ? 1 : 0);
  }
  for (const StoreMetric& metric : kStores) {
    out.begin(metric.name, metric.help, metric.counter);
    for (const auto& [store, load] : facts.stores) out.value({{"store", store}}, load.*metric.of);
  }
  if (facts.log == nullptr) return;
  const LogFigures& log = *facts.log;
  out.latency("skald_log_sync_seconds", "synced writes of the log, by how long they took", log);
  out.counter("skald_log_write_failures_total", "writes that the disk refused", log.failures);
  out.counter("skald_log_entries_total", "entries written", log.entries);
  out.counter("skald_log_written_bytes_total", "bytes written", log.bytes);
  out.gauge("skald_log_waiting", "submissions that are not synced yet", log.waiting);
  out.gauge("skald_log_garbage_entries", "entries cut off and not deleted yet", log.garbage);
  out.gauge("skald_log_memory_bytes", "memtable, or all of a log in memory", log.memory_bytes);
  out.gauge("skald_log_disk_bytes", "tables, roughly", log.disk_bytes);
}

void add_process(const NodeFacts& facts, Families& out) {
  out.begin("process_cpu_seconds_total", "processor time", true);
  out.number({}, facts.process.cpu_s);
  out.begin("process_start_time_seconds", "since 1970", false);
  out.number({}, facts.process.start_time_s);
  out.gauge("process_resident_memory_bytes", "resident memory", facts.process.resident_bytes);
  out.gauge("process_threads", "threads", facts.process.threads);
  out.counter("skald_log_lines_dropped_total", "lines that the log's queue had no room for",
              facts.lines_dropped);
  out.gauge("skald_http_connections", "connections to this endpoint", facts.http_connections);
  out.counter("skald_http_requests_total", "requests answered here", facts.http_requests);
  out.counter("skald_http_refused_total", "what was no request", facts.http_refused);
  out.counter("skald_http_timeouts_total", "connections that took too long", facts.http_timeouts);
  out.counter("skald_http_displaced_total", "the oldest connections, when there were too many",
              facts.http_displaced);
}

/// Totals that a tenant's table limits.
void add_limited(const NodeSummary& summary, const NodeFacts& facts, Families& out) {
  using Total = config::TenantKey;
  const auto used = [&summary](const tenant::Usage::Limited& one) {
    const bool topics = one.total == Total::total_retain_topics;
    if (!topics && one.total != Total::total_retain_message_space_bytes) return one.used;
    const auto tenant = summary.tenants.find(one.tenant);
    if (tenant == summary.tenants.end()) return std::uint64_t{0};
    return topics ? tenant->second.retained.messages : tenant->second.retained.bytes;
  };
  const auto each = [&](const char* name, const char* help, bool counter, const auto& value) {
    out.begin(name, help, counter);
    for (const tenant::Usage::Limited& one : facts.limited) {
      const auto row = static_cast<std::size_t>(one.total);
      out.value(
          {{"tenant", one.tenant}, {"resource", std::string(config::tenant_rows()[row].name)}},
          value(one));
    }
  };
  each("skald_tenant_limit", "totals of tenants that are limited", false,
       [](const auto& one) { return one.limit; });
  each("skald_tenant_used", "what is used of them; 0 for those of a second", false, used);
  each("skald_tenant_refused_total", "how often there was no room", true,
       [](const auto& one) { return one.refused; });
}

}  // namespace

std::string metrics_text(const NodeSummary& summary, const NodeFacts& facts) {
  Families out;
  out.begin("skald_build_info", "the version, as a label", false);
  out.value({{"version", SKALD_VERSION}}, 1);
  out.gauge("skald_uptime_seconds", "since the start", facts.uptime_s);
  out.gauge("skald_ready", "1 while /readyz says yes", facts.ready ? 1 : 0);
  out.begin("skald_connections", "open sockets of clients", false);
  for (std::size_t loop = 0; loop < summary.connections_by_loop.size(); ++loop) {
    out.value({{"loop", std::to_string(loop)}}, summary.connections_by_loop[loop]);
  }
  out.gauge("skald_connections_limit", "by file descriptors", facts.connections_max);
  out.counter("skald_connections_accepted_total", "sockets accepted", summary.connections_total);
  out.counter("skald_connections_refused_total", "at the limit", facts.connections_refused);
  out.counter("skald_login_failures_total", "wrong name or password, or no right to come in",
              facts.logins.failures);
  out.counter("skald_logins_limited_total", "refused unheard after too many failures",
              facts.logins.limited);
  out.counter("skald_logins_refused_busy_total", "the queue of password comparisons was full",
              facts.logins.refused_busy);
  out.gauge("skald_logins_waiting", "passwords that wait to be compared", facts.logins.waiting);
  out.gauge("skald_logins_running", "passwords that are being compared", facts.logins.running);
  out.gauge("skald_filters", "filters of connections, each once", facts.filters);
  out.counter("skald_unnamed_received_bytes_total", "bytes of connections before CONNACK",
              summary.unnamed.bytes_received);
  out.counter("skald_dispatched_total", "publications that were matched",
              summary.dispatch.publications);
  out.counter("skald_dispatched_unmatched_total", "those that nobody subscribes to",
              summary.dispatch.no_subscribers);
  out.counter("skald_matches_made_total", "matches that no cache had",
              summary.dispatch.matches_made);
  out.counter("skald_dispatched_to_loops_total", "hand-overs to other loops",
              summary.dispatch.to_other_loops);
  out.counter("skald_dispatched_to_inboxes_total", "publications for persistent sessions",
              summary.dispatch.to_inboxes);
  out.counter("skald_shared_redispatched_total", "shared messages that went to another member",
              summary.dispatch.redispatched);
  out.counter("skald_shared_undeliverable_total", "shared messages without a member to take them",
              summary.dispatch.shared_undeliverable);
  out.counter("skald_stale_routes_total", "matches of inboxes that have ended",
              summary.stale_routes);
  out.gauge("skald_disk_full", "1 while there is no space for what must be kept",
            facts.disk_full ? 1 : 0);
  out.counter("skald_publishes_refused_disk_full_total", "publishes that could not be kept",
              summary.refused_disk_full);
  for (const LoadMetric& metric : kLoads) {
    metric.counter ? out.counter(metric.name, metric.help, summary.load.*metric.of)
                   : out.gauge(metric.name, metric.help, summary.load.*metric.of);
  }
  add_stores(facts, out);
  out.begin("skald_events_total", "events by kind", true);
  for (std::size_t kind = 0; kind < kEventKinds; ++kind) {
    out.value({{"kind", std::string(event_name(static_cast<EventKind>(kind)))}},
              summary.events[kind] + facts.events[kind]);
  }
  add_process(facts, out);
  add_tenants(summary, out);
  add_limited(summary, facts, out);
  return out.text();
}

}  // namespace skald::actors
