// All that an operator can set, as plain values with their defaults.
//
// A key is a field here and a row in config/keys.cc: from that row come parsing, validation,
// `--print-config`, the environment override and the reference in README.md. Options that come out
// of config::load are within the limits of the rows and consistent with each other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/tenant_settings.h"

namespace skald::config {

/// `[node]`
struct NodeOptions {
  std::string name = "skald";
  std::uint32_t loops = 0;
  std::uint32_t workers = 0;
  std::string data_dir;
  std::uint64_t disk_reserve_bytes = 256 << 20;

  bool operator==(const NodeOptions&) const = default;
};

/// One `[[listener]]`: an address that accepts MQTT over TCP.
struct Listener {
  std::string bind = "127.0.0.1";
  std::uint16_t port = 1883;
  std::uint32_t backlog = 1024;

  bool operator==(const Listener&) const = default;
};

/// `[mqtt]`: limits and offers of every session.
struct MqttOptions {
  bool allow_anonymous = false;
  std::uint32_t connect_timeout_ms = 10'000;
  std::uint16_t max_keep_alive_s = 0;
  std::uint16_t server_keep_alive_s = 0;
  std::uint32_t max_packet_size = 1 << 20;
  std::uint16_t max_client_id_length = 65'535;
  std::uint16_t max_topic_length = 65'535;
  std::uint16_t max_topic_levels = 128;
  std::uint16_t receive_maximum = 1024;
  std::uint16_t max_inflight = 256;
  std::uint16_t topic_alias_maximum = 10;
  std::uint16_t topic_alias_maximum_out = 10;
  std::uint32_t max_queued_messages = 1000;
  std::uint64_t max_queued_bytes = 16 << 20;
  std::uint32_t max_filters_per_subscribe = 500;
  std::uint32_t max_subscriptions = 10'000;
  std::uint64_t write_buffer_high = 1 << 20;
  std::uint64_t write_buffer_low = 256 << 10;
  std::uint64_t publisher_credit = 1 << 20;
  std::uint32_t slow_receiver_timeout_ms = 5000;
  std::string response_information;
  bool retain_available = true;
  std::uint64_t max_retained_messages = 1'000'000;
  std::uint64_t max_retained_bytes = 1 << 30;
  bool wildcard_subscription_available = true;
  bool shared_subscription_available = true;

  bool operator==(const MqttOptions&) const = default;
};

/// Whose session a client id is when another user of the tenant connects with it.
enum class ForeignSession : std::uint8_t { refuse, replace };

/// `[auth]`: who is let in. Users stand in `[[user]]` tables and in the password file.
struct AuthOptions {
  std::string password_file;
  std::string acl_file;
  std::uint32_t max_failures_user = 20;
  std::uint32_t max_failures_address = 10;
  std::uint32_t hash_threads = 0;
  std::uint32_t hash_queue = 1000;
  ForeignSession foreign_session = ForeignSession::refuse;

  bool operator==(const AuthOptions&) const = default;
};

/// Where something was told, for messages about it. All places are equal.
struct Place {
  std::string text;

  bool operator==(const Place&) const { return true; }
};

/// One `[[user]]`. Without any of the three lists a user may do everything, or what the ACL file
/// says when there is one; with one of them, a list that is missing allows nothing, but `receive`,
/// which is then that of `subscribe`.
struct UserOptions {
  Place place;
  std::string name;      // "user" or "tenant/user"
  std::string password;  // its hash
  std::string tenant;    // empty: from the name, or the default tenant
  std::optional<std::vector<std::string>> publish;
  std::optional<std::vector<std::string>> subscribe;
  std::optional<std::vector<std::string>> receive;

  bool operator==(const UserOptions&) const = default;
};

/// One `[tenant.<name>]`.
struct TenantOptions {
  std::string name;
  TenantSettings settings;

  bool operator==(const TenantOptions&) const = default;
};

enum class LogLevel : std::uint8_t { error, warning, notice, info, debug };
enum class LogFormat : std::uint8_t { text, json };

/// `[log]`
struct LogOptions {
  LogLevel level = LogLevel::notice;
  LogFormat format = LogFormat::text;
  std::string file;

  bool operator==(const LogOptions&) const = default;
};

/// `[admin]`: how the node is seen from outside.
struct AdminOptions {
  std::string bind = "127.0.0.1";
  std::uint16_t port = 0;
  std::uint16_t sys_interval_s = 10;

  bool operator==(const AdminOptions&) const = default;
};

struct Options {
  NodeOptions node;
  std::vector<Listener> listeners = {Listener{}};
  MqttOptions mqtt;
  AuthOptions auth;
  AdminOptions admin;
  LogOptions log;
  std::vector<UserOptions> users;
  std::vector<TenantOptions> tenants;  // by name

  bool operator==(const Options&) const = default;
};

}  // namespace skald::config
