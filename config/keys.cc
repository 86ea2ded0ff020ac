#include "config/keys.h"

#include <algorithm>
#include <type_traits>

#include "config/accounts.h"

namespace skald::config {
namespace {

template <class T>
Field field_of(T& value) {
  if constexpr (std::is_enum_v<T>) {
    static_assert(sizeof(T) == 1);
    return ChoiceField{reinterpret_cast<unsigned char*>(&value)};
  } else {
    return &value;
  }
}

template <auto kSection, auto kField>
Field in(Options& options, std::size_t) {
  return field_of((options.*kSection).*kField);
}

template <auto kField>
Field in_listener(Options& options, std::size_t listener) {
  return field_of(options.listeners[listener].*kField);
}

using N = NodeOptions;
using M = MqttOptions;
using A = AuthOptions;
using D = AdminOptions;
using G = LogOptions;
constexpr auto kNode = &Options::node;
constexpr auto kMqtt = &Options::mqtt;
constexpr auto kAuth = &Options::auth;
constexpr auto kAdmin = &Options::admin;
constexpr auto kLog = &Options::log;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;
constexpr std::int64_t kMaxPath = 4095;
/// The largest MQTT packet: a remaining length of four bytes, and its head [MQTT-2.1.4].
constexpr std::int64_t kLargestPacket = 268'435'455 + 5;

constexpr std::string_view kForeign[] = {"refuse", "replace"};
constexpr std::string_view kLevels[] = {"error", "warning", "notice", "info", "debug"};
constexpr std::string_view kFormats[] = {"text", "json"};

// clang-format off
constexpr Key kKeys[] = {
  {"node", "name", in<kNode, &N::name>, 1, 255, "",
   "how this node calls itself in its log", {}},
  {"node", "loops", in<kNode, &N::loops>, 0, 1024, "",
   "event loops that serve connections; 0 = one per core", {}},
  {"node", "workers", in<kNode, &N::workers>, 0, 1024, "",
   "threads of the actor scheduler; 0 = half of the cores", {}},
  {"node", "data_dir", in<kNode, &N::data_dir>, 0, kMaxPath, "",
   "the node's directory: identity, log and data; empty = all in memory, a new node at each start",
   {}},
  {"node", "disk_reserve_bytes", in<kNode, &N::disk_reserve_bytes>, 0, 1024 * kGiB, "bytes",
   "with less room on the disk of `data_dir`, what would be kept is refused (0x97); >= 128 MB",
   {}},

  {"listener", "bind", in_listener<&Listener::bind>, 1, 64, "",
   "IPv4 or IPv6 address; `0.0.0.0` or `::` for all", {}},
  {"listener", "port", in_listener<&Listener::port>, 0, 65535, "",
   "TCP port; 0 = any free one, told at start", {}},
  {"listener", "backlog", in_listener<&Listener::backlog>, 1, 65535, "",
   "connections that may wait to be accepted", {}},

  {"mqtt", "allow_anonymous", in<kMqtt, &M::allow_anonymous>, 0, 1, "",
   "let anyone in on listeners beyond loopback too", {}},
  {"mqtt", "connect_timeout_ms", in<kMqtt, &M::connect_timeout_ms>, 100, 600'000, "ms",
   "CONNECT must arrive within this time", {}},
  {"mqtt", "max_keep_alive_s", in<kMqtt, &M::max_keep_alive_s>, 0, 65535, "s",
   "longest keep-alive a v5 client gets; 0 = no maximum", {}},
  {"mqtt", "server_keep_alive_s", in<kMqtt, &M::server_keep_alive_s>, 0, 65535, "s",
   "keep-alive told to every v5 client; 0 = the client's own", {}},
  {"mqtt", "max_packet_size", in<kMqtt, &M::max_packet_size>, 256, kLargestPacket, "bytes",
   "largest packet taken from a client", {}},
  {"mqtt", "max_client_id_length", in<kMqtt, &M::max_client_id_length>, 23, 65535, "bytes",
   "longest client identifier", {}},
  {"mqtt", "max_topic_length", in<kMqtt, &M::max_topic_length>, 1, 65535, "bytes",
   "longest topic name or filter", {}},
  {"mqtt", "max_topic_levels", in<kMqtt, &M::max_topic_levels>, 1, 32768, "",
   "most levels of a topic name or filter", {}},
  {"mqtt", "receive_maximum", in<kMqtt, &M::receive_maximum>, 1, 65535, "",
   "QoS 1 and 2 messages a client may have under way to the broker", {}},
  {"mqtt", "max_inflight", in<kMqtt, &M::max_inflight>, 20, 65535, "",
   "QoS 1 and 2 messages under way to a client; a v5 client may ask for fewer", {}},
  {"mqtt", "topic_alias_maximum", in<kMqtt, &M::topic_alias_maximum>, 0, 65535, "",
   "topic aliases a client may use; 0 = none", {}},
  {"mqtt", "topic_alias_maximum_out", in<kMqtt, &M::topic_alias_maximum_out>, 0, 65535, "",
   "topic aliases used towards a client that allows them; 0 = none", {}},
  {"mqtt", "max_queued_messages", in<kMqtt, &M::max_queued_messages>, 1, 10'000'000, "",
   "messages that wait for one session; more are dropped and counted", {}},
  {"mqtt", "max_queued_bytes", in<kMqtt, &M::max_queued_bytes>, 1024, 64 * kGiB, "bytes",
   "bytes that wait for one session; more are dropped and counted", {}},
  {"mqtt", "max_filters_per_subscribe", in<kMqtt, &M::max_filters_per_subscribe>, 1, 65535, "",
   "topic filters in one SUBSCRIBE or UNSUBSCRIBE", {}},
  {"mqtt", "max_subscriptions", in<kMqtt, &M::max_subscriptions>, 1, 10'000'000, "",
   "subscriptions of one session", {}},
  {"mqtt", "write_buffer_high", in<kMqtt, &M::write_buffer_high>, 4096, kGiB, "bytes",
   "unsent bytes of a connection above which its messages wait in the queue", {}},
  {"mqtt", "write_buffer_low", in<kMqtt, &M::write_buffer_low>, 0, kGiB, "bytes",
   "unsent bytes below which the queue goes on", {}},
  {"mqtt", "publisher_credit", in<kMqtt, &M::publisher_credit>, 4096, kGiB, "bytes",
   "undelivered bytes of a publisher above which it is not read", {}},
  {"mqtt", "slow_receiver_timeout_ms", in<kMqtt, &M::slow_receiver_timeout_ms>, 0, 600'000, "ms",
   "how long one slow receiver may hold a publisher back; then QoS 0 to it is dropped", {}},
  {"mqtt", "response_information", in<kMqtt, &M::response_information>, 0, 1024, "",
   "prefix of the response topics told to v5 clients that ask, before their id; empty = none", {}},
  {"mqtt", "retain_available", in<kMqtt, &M::retain_available>, 0, 1, "",
   "whether clients may retain messages", {}},
  {"mqtt", "max_retained_messages", in<kMqtt, &M::max_retained_messages>, 1, 1'000'000'000, "",
   "retained messages of a tenant; more are refused with 0x97", {}},
  {"mqtt", "max_retained_bytes", in<kMqtt, &M::max_retained_bytes>, 1024, 1024 * kGiB, "bytes",
   "their memory, with topic and properties", {}},
  {"mqtt", "wildcard_subscription_available", in<kMqtt, &M::wildcard_subscription_available>, 0, 1,
   "", "whether filters may hold `+` and `#`", {}},
  {"mqtt", "shared_subscription_available", in<kMqtt, &M::shared_subscription_available>, 0, 1, "",
   "whether `$share` filters are taken", {}},

  {"auth", "password_file", in<kAuth, &A::password_file>, 0, kMaxPath, "",
   "users in Mosquitto's format, beside the [[user]] tables; empty = none", {}},
  {"auth", "acl_file", in<kAuth, &A::acl_file>, 0, kMaxPath, "",
   "permissions in Mosquitto's format, for users whose table has none; empty = all may all", {}},
  {"auth", "max_failures_user", in<kAuth, &A::max_failures_user>, 0, 1'000'000, "",
   "failed logins by one name before it has to wait; one is forgiven each 10 s; 0 = no limit", {}},
  {"auth", "max_failures_address", in<kAuth, &A::max_failures_address>, 0, 1'000'000, "",
   "the same by address (IPv6: by /64)", {}},
  {"auth", "hash_threads", in<kAuth, &A::hash_threads>, 0, 64, "",
   "passwords that are compared at once; 0 = half of the cores", {}},
  {"auth", "hash_queue", in<kAuth, &A::hash_queue>, 1, 1'000'000, "",
   "clients that may wait for it; more are told that the server is busy", {}},
  {"auth", "foreign_session", in<kAuth, &A::foreign_session>, 0, 0, "",
   "when another user of the tenant comes with a client id in use: refuse it (0x87) or end the "
   "old session", kForeign},

  {"admin", "bind", in<kAdmin, &D::bind>, 1, 64, "",
   "address of the HTTP endpoint; who reaches it reads it", {}},
  {"admin", "port", in<kAdmin, &D::port>, 0, 65535, "",
   "TCP port of `/metrics`, `/livez`, `/readyz`; 0 = none", {}},
  {"admin", "sys_interval_s", in<kAdmin, &D::sys_interval_s>, 0, 3600, "s",
   "how often `$SYS/broker/...` is brought up to date; 0 = there is none", {}},

  {"log", "level", in<kLog, &G::level>, 0, 0, "",
   "least important line that is written", kLevels},
  {"log", "format", in<kLog, &G::format>, 0, 0, "",
   "shape of a line", kFormats},
  {"log", "file", in<kLog, &G::file>, 0, kMaxPath, "",
   "where lines go; empty = standard error", {}},
};
// clang-format on

std::string number_text(const Field& field) {
  if (auto* const* v = std::get_if<std::uint16_t*>(&field)) return std::to_string(**v);
  if (auto* const* v = std::get_if<std::uint32_t*>(&field)) return std::to_string(**v);
  return std::to_string(*std::get<std::uint64_t*>(field));
}

}  // namespace

std::span<const Key> keys() { return kKeys; }

const Key* find_key(std::string_view section, std::string_view name) {
  const auto* found = std::find_if(std::begin(kKeys), std::end(kKeys), [&](const Key& key) {
    return key.section == section && key.name == name;
  });
  return found == std::end(kKeys) ? nullptr : found;
}

bool is_section(std::string_view section) {
  return std::any_of(std::begin(kKeys), std::end(kKeys),
                     [&](const Key& key) { return key.section == section; });
}

std::string_view type_name(const Key& key) {
  if (!key.choices.empty()) return "choice";
  Options options;
  const Field field = key.field(options, 0);
  if (std::holds_alternative<bool*>(field)) return "boolean";
  return std::holds_alternative<std::string*>(field) ? "string" : "integer";
}

std::string allowed(const Key& key) {
  const std::string_view type = type_name(key);
  if (type == "boolean") return "true or false";
  if (type == "choice") {
    std::string text = "one of";
    for (const std::string_view choice : key.choices) text.append(" ").append(quoted(choice));
    return text;
  }
  const std::string range = std::to_string(key.min) + " to " + std::to_string(key.max);
  if (type == "string") return "a string of " + range + " bytes";
  std::string text = "an integer from " + range;
  if (!key.unit.empty()) text.append(" (").append(key.unit).append(")");
  return text;
}

std::string escaped(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      out.push_back(c);
      continue;
    }
    out.append("\\u00");
    out.push_back(kHex[byte >> 4]);
    out.push_back(kHex[byte & 15]);
  }
  return out;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
  return escaped(out);
}

std::string value_text(const Key& key, const Options& options, std::size_t listener) {
  Options copy = options;
  const Field field = key.field(copy, listener);
  if (auto* const* v = std::get_if<bool*>(&field)) return **v ? "true" : "false";
  if (auto* const* v = std::get_if<std::string*>(&field)) return quoted(**v);
  if (const auto* v = std::get_if<ChoiceField>(&field)) return quoted(key.choices[*v->value]);
  return number_text(field);
}

std::string reference() {
  const Options defaults;
  std::string out;
  std::string_view section;
  for (const Key& key : kKeys) {
    if (key.section != section) {
      section = key.section;
      const std::string title =
          section == kListenerSection ? "[[listener]]" : "[" + std::string(section) + "]";
      out.append(out.empty() ? "" : "\n").append("**`" + title + "`**\n\n");
      out.append("| key | default | allowed | what it does |\n|---|---|---|---|\n");
    }
    out.append("| `").append(key.name).append("` | `").append(value_text(key, defaults, 0));
    out.append("` | ").append(allowed(key)).append(" | ").append(key.doc).append(" |\n");
  }
  return out + account_reference();
}

}  // namespace skald::config
