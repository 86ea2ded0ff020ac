// What can be set for a tenant: BifroMQ's settings by their names, and the totals a tenant may use.
//
// A pure table. Values are integers; a boolean is 0 or 1. A tenant starts from a profile:
// `home` bounds little, `iot` is for many small devices, `bifromq` has BifroMQ's own defaults. A
// setting narrows what `[mqtt]` allows to all and never widens it.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

namespace skald::config {

/// In the order of the table.
enum class TenantKey : std::uint8_t {
  mqtt3_enabled,
  mqtt4_enabled,
  mqtt5_enabled,
  no_lwt_when_server_shutting_down,
  debug_mode_enabled,
  force_transient,
  by_pass_perm_check_error,
  payload_format_validation_enabled,
  retain_enabled,
  wildcard_subscription_enabled,
  subscription_identifier_enabled,
  shared_subscription_enabled,
  maximum_qos,
  max_topic_level_length,
  max_topic_levels,
  max_topic_length,
  max_topic_alias,
  max_shared_group_members,
  max_topic_filters_per_inbox,
  msg_pub_per_sec,
  receiving_maximum,
  in_bound_band_width,
  out_bound_band_width,
  max_last_will_bytes,
  max_user_payload_bytes,
  min_send_per_sec,
  max_resend_times,
  resend_timeout_seconds,
  max_topic_filters_per_sub,
  max_group_fanout,
  max_persistent_fanout,
  max_persistent_fanout_bytes,
  max_session_expiry_seconds,
  min_session_expiry_seconds,
  min_keep_alive_seconds,
  session_inbox_size,
  qos0_drop_oldest,
  retain_message_match_limit,
  // Totals of the tenant. 0: no limit.
  total_connections,
  total_session_memory_bytes,
  total_persistent_sessions,
  total_persistent_session_space_bytes,
  total_shared_subscriptions,
  total_transient_subscriptions,
  total_persistent_subscriptions,
  total_retain_message_space_bytes,
  total_retain_topics,
  total_connect_per_second,
  total_inbound_bytes_per_second,
  total_transient_subscribe_per_second,
  total_persistent_subscribe_per_second,
  total_transient_unsubscribe_per_second,
  total_persistent_unsubscribe_per_second,
  total_transient_fan_out_bytes_per_seconds,
  total_persistent_fan_out_bytes_per_seconds,
  total_retained_messages_per_seconds,
  total_retained_bytes_per_second,
  total_retain_match_per_seconds,
  total_retain_match_bytes_per_second,
};
inline constexpr std::size_t kTenantKeys = 59;
inline constexpr std::size_t kTenantSettings = 38;
inline constexpr std::size_t kTenantTotals = kTenantKeys - kTenantSettings;

enum class TenantProfile : std::uint8_t { home, iot, bifromq };
inline constexpr std::string_view kTenantProfiles[] = {"home", "iot", "bifromq"};
inline constexpr std::size_t kTenantProfileCount = 3;

/// What a setting does here.
enum class Standing : std::uint8_t {
  honoured,
  forbidden,  // taken with a warning, of no effect: the standard or the design is against it
};

struct TenantRow {
  std::string_view name;
  bool boolean = false;
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::array<std::int64_t, kTenantProfileCount> defaults{};  // by profile
  Standing standing = Standing::honoured;
  std::string_view meaning;
};

/// Row i is that of the TenantKey i.
std::span<const TenantRow> tenant_rows();

class TenantSettings {
 public:
  explicit TenantSettings(TenantProfile profile = TenantProfile::home);

  TenantProfile profile() const { return profile_; }
  std::int64_t get(TenantKey key) const { return values_[static_cast<std::size_t>(key)]; }
  bool is_set(TenantKey key) const { return get(key) != 0; }
  /// Requires: within the limits of the row.
  void set(TenantKey key, std::int64_t value) { values_[static_cast<std::size_t>(key)] = value; }

  bool operator==(const TenantSettings&) const = default;

 private:
  TenantProfile profile_;
  std::array<std::int64_t, kTenantKeys> values_{};
};

}  // namespace skald::config
