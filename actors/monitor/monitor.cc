#include "actors/monitor/monitor.h"

#include <sys/resource.h>

#include <caf/send.hpp>
#include <fstream>

#include "actors/clock.h"
#include "actors/connection_log.h"
#include "config/base/assert.h"

namespace skald::actors {

namespace {

constexpr StoreKind kStores[] = {StoreKind::dist, StoreKind::inbox, StoreKind::retain};
constexpr std::uint64_t kUsPerSecond = 1'000'000;
/// Loops that have not answered for so long: clients are better off elsewhere.
constexpr std::uint64_t kNotReadyUs = 5 * kUsPerSecond;

/// /proc/self: nothing there waits for a disk.
ProcessFigures process_figures() {
  ProcessFigures figures;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    figures.cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "VmRSS:" && status >> figures.resident_bytes) figures.resident_bytes *= 1024;
    if (word == "Threads:") status >> figures.threads;
  }
  return figures;
}

}  // namespace

Monitor::Monitor(caf::actor_config& config, NodeState& node, std::optional<ListeningSocket> http)
    : Pinned(config),
      node_(node),
      started_us_(Clock::monotonic_us()),
      started_s_(static_cast<double>(node.clock.now_ms()) / 1e3),
      socket_(std::move(http)),
      loops_(node.connections.size()),
      stores_(std::size(kStores)),
      failing_(std::size(kStores)) {}

caf::behavior Monitor::make_behavior() {
  tick_event_ = event_new(loop().base(), -1, EV_PERSIST, &Monitor::on_tick, this);
  const timeval period{1, 0};
  SKALD_ASSERT(tick_event_ != nullptr && event_add(tick_event_, &period) == 0);
  if (socket_) {
    http_ = std::make_unique<AdminHttp>(loop().base(), socket_->fd,
                                        [this](std::string_view path) { return answer(path); });
  }
  tick();
  return {[this](const LoopReport& report) {
            if (report.round != round_) return;
            loops_[report.loop] = report;
            if (--awaited_ == 0) complete();
          },
          [this](const StoreReport& report) {
            if (report.round != round_) return;
            stores_[report.store - 1] = report;  // the first is meta, which is not here yet
            if (--awaited_ == 0) complete();
          },
          [this](Stop) {
            close();
            return Stopped{"monitor"};
          }};
}

void Monitor::close() {
  http_.reset();
  if (tick_event_ != nullptr) event_free(std::exchange(tick_event_, nullptr));
}

void Monitor::on_tick(evutil_socket_t, short, void* self) noexcept {
  auto* monitor = static_cast<Monitor*>(self);
  monitor->enter();
  monitor->tick();
}

void Monitor::tick() {
  if (http_) http_->tick();
  if (awaited_ > 0) return;
  ++round_;
  awaited_ = loops_.size() + stores_.size();
  for (const caf::actor& office : node_.post_offices) send(office, ReportWanted{round_});
  for (const StoreKind kind : kStores) {
    send(node_.stores[static_cast<std::size_t>(kind)], ReportWanted{round_});
  }
}

void Monitor::complete() {
  node_.answered_us.store(Clock::monotonic_us(), std::memory_order_relaxed);
  NodeSummary now = summary_of(loops_, stores_);
  for (const auto& [name, tenant] : now.tenants) {
    note_drops(name, summary_.tenants[name], tenant);
  }
  summary_ = std::move(now);
  note_disks();
  publish_sys();
}

/// One line a second for each tenant and kind, however many messages it stands for.
void Monitor::note_drops(const std::string& name, const TenantSummary& before,
                         const TenantSummary& now) {
  const auto note = [&](EventKind kind, const char* reason, std::uint64_t was, std::uint64_t is) {
    if (is <= was) return;
    events_.note(
        kind, LineLevel::warning, node_.clock.now_ms(),
        {{"tenant", escaped(name)}, {"reason", reason}, {"count", std::to_string(is - was)}},
        is - was);
  };
  const session::Counters& old = before.figures.traffic;
  const session::Counters& traffic = now.figures.traffic;
  note(EventKind::overflowed, "queue_full", old.dropped_queue_full, traffic.dropped_queue_full);
  note(EventKind::overflowed, "inbox_full", before.figures.dropped_inbox_full,
       now.figures.dropped_inbox_full);
  note(EventKind::overflowed, "fan_out", before.figures.dropped_fan_out,
       now.figures.dropped_fan_out);
  note(EventKind::qos0_dropped, "slow", old.dropped_qos0_slow, traffic.dropped_qos0_slow);
  note(EventKind::oversize_packet_dropped, "too_large", old.dropped_too_large,
       traffic.dropped_too_large);
  note(EventKind::expired, "expired", old.dropped_expired + before.inboxes.dropped_expired,
       traffic.dropped_expired + now.inboxes.dropped_expired);
  note(EventKind::no_sub_permission, "not_authorized", old.dropped_not_authorized,
       traffic.dropped_not_authorized);
}

void Monitor::note_disks() {
  for (std::size_t i = 0; i < stores_.size(); ++i) {
    const bool failing = stores_[i].failing;
    if (failing == failing_[i]) continue;
    failing_[i] = failing;
    events_.note(failing ? EventKind::disk_failing : EventKind::disk_recovered,
                 failing ? LineLevel::error : LineLevel::warning, node_.clock.now_ms(),
                 {{"store", store_name(kStores[i])}});
  }
}

/// Every sys_interval_s, and at once for a tenant that is new: what has changed, to every loop.
void Monitor::publish_sys() {
  const std::uint64_t interval_s = node_.options.admin.sys_interval_s;
  if (interval_s == 0) return;
  const std::uint64_t now_us = Clock::monotonic_us();
  // Half a second early is better than a whole one late.
  const bool due =
      sys_told_us_ == 0 || now_us - sys_told_us_ + kUsPerSecond / 2 >= interval_s * kUsPerSecond;
  const std::uint64_t passed_ms = sys_told_us_ == 0 ? 0 : (now_us - sys_told_us_) / 1000;
  auto update = std::make_shared<SysUpdate::Values>();
  for (const auto& [name, tenant] : summary_.tenants) {
    const bool is_new = !sys_.contains(name);
    if (!due && !is_new) continue;
    Sys& sys = sys_[name];
    const SysValues values =
        sys.topics.values(tenant, (now_us - started_us_) / kUsPerSecond, is_new ? 0 : passed_ms);
    mqtt::PublicationInfo info;
    info.stamp_ms = node_.clock.now_ms();
    info.retain = true;
    for (const auto& [topic, value] : values) {
      std::string& told = sys.told[topic];
      if (told == value) continue;
      told = value;
      update->push_back(mqtt::Publication::make(info, name, topic, {}, value));
    }
  }
  if (due) sys_told_us_ = now_us;
  if (update->empty()) return;
  for (const caf::actor& office : node_.post_offices) send(office, SysUpdate{update});
}

std::string Monitor::not_ready() const {
  std::string why;
  for (std::size_t i = 0; i < failing_.size(); ++i) {
    if (failing_[i]) why += std::string("store ") + store_name(kStores[i]) + ": disk failing\n";
  }
  if (node_.disk_full) why += "the disk is full\n";
  const std::uint64_t answered = node_.answered_us.load(std::memory_order_relaxed);
  if (round_ == 1 && awaited_ > 0) {
    why += "starting\n";
  } else if (Clock::monotonic_us() - answered > kNotReadyUs) {
    why += "a loop or a store does not answer\n";
  }
  return why;
}

HttpAnswer Monitor::answer(std::string_view path) {
  const auto text = [](int status, std::string words) {
    return HttpAnswer{status, std::make_shared<const std::string>(std::move(words))};
  };
  if (path == "/livez") {
    const bool lives = node_.lives();
    return text(lives ? 200 : 503, lives ? "ok\n" : "a loop or a store does not answer\n");
  }
  const std::string why = not_ready();
  if (path == "/readyz") return text(why.empty() ? 200 : 503, why.empty() ? "ok\n" : why);
  if (path != "/metrics") return text(404, "there are /metrics, /livez and /readyz\n");
  // Whoever asks often makes it once a round.
  if (metrics_round_ != round_ || why.empty() != metrics_ready_) {
    metrics_ = std::make_shared<const std::string>(metrics_text(summary_, facts(why.empty())));
    metrics_round_ = round_;
    metrics_ready_ = why.empty();
  }
  return {200, metrics_};
}

NodeFacts Monitor::facts(bool ready) const {
  const AuthCounters& logins = node_.auth_counters;
  NodeFacts facts;
  facts.uptime_s = (Clock::monotonic_us() - started_us_) / kUsPerSecond;
  facts.connections_refused = node_.connections_refused;
  facts.connections_max = node_.connections_max;
  facts.ready = ready;
  facts.disk_full = node_.disk_full;
  facts.events = events_.counts();
  facts.logins = {logins.failures, logins.limited, logins.refused_busy, logins.waiting,
                  logins.running};
  facts.process = process_figures();
  facts.process.start_time_s = started_s_;
  facts.limited = node_.usage.limited(kMetricTenants);
  facts.log = &node_.log_figures;
  facts.filters = node_.filters;
  facts.lines_dropped = lines_dropped();
  facts.http_connections = http_->connections();
  facts.http_requests = http_->counters().requests;
  facts.http_refused = http_->counters().refused;
  facts.http_timeouts = http_->counters().timeouts;
  facts.http_displaced = http_->counters().displaced;
  for (std::size_t i = 0; i < failing_.size(); ++i) {
    facts.stores_failing.emplace_back(store_name(kStores[i]), failing_[i]);
    facts.stores.emplace_back(store_name(kStores[i]), stores_[i].load);
  }
  return facts;
}

}  // namespace skald::actors
