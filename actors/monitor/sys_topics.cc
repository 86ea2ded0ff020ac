#include "actors/monitor/sys_topics.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace skald::actors {

namespace {

constexpr const char* kSpans[] = {"1min", "5min", "15min"};
constexpr double kSpanMs[] = {60e3, 300e3, 900e3};

std::string two_decimals(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

}  // namespace

SysValues SysTopics::values(const TenantSummary& tenant, std::uint64_t uptime_s,
                            std::uint64_t passed_ms) {
  const session::Counters& traffic = tenant.figures.traffic;
  const std::uint64_t connected = tenant.figures.clients;
  // An owner that is gone counts as online until its life is ended.
  const std::uint64_t offline =
      tenant.inboxes.sessions - std::min(tenant.inboxes.sessions, tenant.inboxes.online);
  most_clients_ = std::max(most_clients_, connected + offline);
  SysValues out;
  const auto text = [&out](const char* name, std::string value) {
    out.emplace_back(std::string(kSysRoot) + "/broker/" + name, std::move(value));
  };
  const auto number = [&text](const char* name, std::uint64_t value) {
    text(name, std::to_string(value));
  };
  text("version", "skald " SKALD_VERSION);
  text("uptime", std::to_string(uptime_s) + " seconds");
  number("clients/total", connected + offline);
  number("clients/connected", connected);
  number("clients/disconnected", offline);
  number("clients/active", connected);
  number("clients/inactive", offline);
  number("clients/maximum", most_clients_);
  number("messages/received", traffic.packets_received);
  number("messages/sent", traffic.packets_sent);
  const std::uint64_t stored = tenant.inboxes.messages + tenant.retained.messages;
  number("messages/stored", stored);
  number("store/messages/count", stored);
  number("store/messages/bytes", tenant.inboxes.bytes + tenant.retained.bytes);
  number("publish/messages/received", traffic.publishes_received);
  number("publish/messages/sent", traffic.deliveries);
  number("publish/messages/dropped", tenant.dropped());
  number("publish/bytes/received", traffic.payload_bytes_received);
  number("publish/bytes/sent", traffic.payload_bytes_sent);
  number("bytes/received", traffic.bytes_received);
  number("bytes/sent", traffic.bytes_sent);
  number("subscriptions/count", tenant.subscriptions());
  number("retained messages/count", tenant.retained.messages);

  static constexpr const char* kNames[kLoads] = {
      "messages/received", "messages/sent",  "publish/received", "publish/sent",
      "publish/dropped",   "bytes/received", "bytes/sent",       "connections"};
  const std::uint64_t counts[kLoads] = {traffic.packets_received,   traffic.packets_sent,
                                        traffic.publishes_received, traffic.deliveries,
                                        tenant.dropped(),           traffic.bytes_received,
                                        traffic.bytes_sent,         tenant.figures.clients_total};
  for (std::size_t i = 0; i < kLoads; ++i) {
    Load& load = loads_[i];
    const std::uint64_t grown = counts[i] - std::min(counts[i], load.count);
    load.count = counts[i];
    for (std::size_t span = 0; span < std::size(kSpans); ++span) {
      if (passed_ms != 0) {
        const double now = static_cast<double>(grown) * 60e3 / static_cast<double>(passed_ms);
        const double kept = std::exp(-static_cast<double>(passed_ms) / kSpanMs[span]);
        load.minutes[span] = now + kept * (load.minutes[span] - now);
      }
      text((std::string("load/") + kNames[i] + "/" + kSpans[span]).c_str(),
           two_decimals(load.minutes[span]));
    }
  }
  return out;
}

}  // namespace skald::actors
