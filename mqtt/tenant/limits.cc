#include "mqtt/tenant/limits.h"

#include <algorithm>

namespace skald::tenant {

using config::TenantKey;
using config::TenantSettings;

namespace {

/// `limit` becomes the smaller of the two.
template <class T>
void narrow(T& limit, const TenantSettings& tenant, TenantKey key) {
  const std::int64_t value = tenant.get(key);
  if (value < static_cast<std::int64_t>(limit)) limit = static_cast<T>(value);
}

void narrow(bool& offer, const TenantSettings& tenant, TenantKey key) {
  offer = offer && tenant.is_set(key);
}

/// What home has: as many as a group may have at all.
constexpr std::uint32_t kGroupMembers = 10'000;

/// Totals that are asked for at each publish, or at each retained message of a feed.
constexpr TenantKey kPublishRates[] = {
    TenantKey::total_inbound_bytes_per_second, TenantKey::total_retained_messages_per_seconds,
    TenantKey::total_retained_bytes_per_second, TenantKey::total_retain_match_bytes_per_second};

}  // namespace

session::Limits node_limits(const config::MqttOptions& mqtt) {
  session::Limits limits;
  limits.max_packet_size = mqtt.max_packet_size;
  limits.receive_maximum = mqtt.receive_maximum;
  limits.max_inflight = mqtt.max_inflight;
  limits.topic_alias_maximum_in = mqtt.topic_alias_maximum;
  limits.topic_alias_maximum_out = mqtt.topic_alias_maximum_out;
  limits.max_client_id_bytes = mqtt.max_client_id_length;
  limits.max_topic_levels = mqtt.max_topic_levels;
  limits.max_topic_bytes = mqtt.max_topic_length;
  limits.max_subscriptions = mqtt.max_subscriptions;
  limits.max_filters_per_subscribe = static_cast<std::uint16_t>(mqtt.max_filters_per_subscribe);
  limits.max_queued_messages = mqtt.max_queued_messages;
  limits.max_queued_bytes = mqtt.max_queued_bytes;
  limits.output_high_water_bytes = mqtt.write_buffer_low;
  limits.output_max_bytes = mqtt.write_buffer_high;
  limits.max_keep_alive_s = mqtt.max_keep_alive_s;
  limits.server_keep_alive_s = mqtt.server_keep_alive_s;
  limits.retain_available = mqtt.retain_available;
  limits.shared_available = mqtt.shared_subscription_available;
  limits.wildcard_available = mqtt.wildcard_subscription_available;
  return limits;
}

session::Limits limits_of(const config::MqttOptions& mqtt, const TenantSettings& tenant) {
  session::Limits limits = node_limits(mqtt);
  narrow(limits.v31_available, tenant, TenantKey::mqtt3_enabled);
  narrow(limits.v311_available, tenant, TenantKey::mqtt4_enabled);
  narrow(limits.v5_available, tenant, TenantKey::mqtt5_enabled);
  narrow(limits.check_payload_format, tenant, TenantKey::payload_format_validation_enabled);
  narrow(limits.retain_available, tenant, TenantKey::retain_enabled);
  narrow(limits.wildcard_available, tenant, TenantKey::wildcard_subscription_enabled);
  narrow(limits.subscription_ids_available, tenant, TenantKey::subscription_identifier_enabled);
  narrow(limits.shared_available, tenant, TenantKey::shared_subscription_enabled);
  narrow(limits.maximum_qos, tenant, TenantKey::maximum_qos);
  narrow(limits.max_topic_level_bytes, tenant, TenantKey::max_topic_level_length);
  narrow(limits.max_topic_levels, tenant, TenantKey::max_topic_levels);
  narrow(limits.max_topic_bytes, tenant, TenantKey::max_topic_length);
  narrow(limits.topic_alias_maximum_in, tenant, TenantKey::max_topic_alias);
  narrow(limits.max_subscriptions, tenant, TenantKey::max_topic_filters_per_inbox);
  narrow(limits.receive_maximum, tenant, TenantKey::receiving_maximum);
  narrow(limits.max_will_bytes, tenant, TenantKey::max_last_will_bytes);
  narrow(limits.max_payload_bytes, tenant, TenantKey::max_user_payload_bytes);
  narrow(limits.max_filters_per_subscribe, tenant, TenantKey::max_topic_filters_per_sub);
  narrow(limits.max_queued_messages, tenant, TenantKey::session_inbox_size);
  narrow(limits.max_session_expiry_s, tenant, TenantKey::max_session_expiry_seconds);
  limits.persistent_available =
      limits.persistent_available && !tenant.is_set(TenantKey::force_transient);
  const auto value_of = [&tenant](TenantKey key) {
    return static_cast<std::uint32_t>(tenant.get(key));
  };
  limits.min_session_expiry_s = value_of(TenantKey::min_session_expiry_seconds);
  limits.retain_match_limit = value_of(TenantKey::retain_message_match_limit);
  const std::uint32_t members = value_of(TenantKey::max_shared_group_members);
  if (members < kGroupMembers) limits.max_group_members = members;
  limits.publishes_per_second = value_of(TenantKey::msg_pub_per_sec);
  limits.bytes_in_per_second =
      static_cast<std::uint64_t>(tenant.get(TenantKey::in_bound_band_width));
  limits.bytes_out_per_second =
      static_cast<std::uint64_t>(tenant.get(TenantKey::out_bound_band_width));
  limits.min_keep_alive_s =
      static_cast<std::uint16_t>(tenant.get(TenantKey::min_keep_alive_seconds));
  limits.metered = std::any_of(std::begin(kPublishRates), std::end(kPublishRates),
                               [&tenant](TenantKey key) { return tenant.is_set(key); });
  return limits;
}

std::vector<std::string> warnings(const config::Options& options) {
  const TenantSettings home;
  const std::span<const config::TenantRow> rows = config::tenant_rows();
  std::vector<std::string> lines;
  for (const config::TenantOptions& tenant : options.tenants) {
    std::string names;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto key = static_cast<TenantKey>(i);
      // What a profile brings is BifroMQ's; what home says is what happens.
      if (rows[i].standing == config::Standing::honoured) continue;
      if (tenant.settings.get(key) == home.get(key)) continue;
      names.append(names.empty() ? "" : ", ").append(rows[i].name);
    }
    if (names.empty()) continue;
    lines.push_back("[tenant." + tenant.name + "]: not honoured, by design: " + names);
  }
  return lines;
}

}  // namespace skald::tenant
