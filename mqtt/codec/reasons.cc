#include "mqtt/codec/reasons.h"

#include <array>

#include "config/base/assert.h"

namespace skald::codec {
namespace {

struct Row {
  const char* name = nullptr;
  std::uint16_t packets = 0;  // bit = PacketType
};

using Table = std::array<Row, 256>;

/// MQTT 5.0 table 2-6, refined by the tables of each packet (3.2.2.2, 3.4.2.1, ..., 3.15.2.1).
constexpr Table make_table() {
  using enum PacketType;
  Table table;
  const auto add = [&table](ReasonCode code, const char* words, auto... packets) {
    Row& row = table[static_cast<std::size_t>(code)];
    row.name = words;
    const unsigned bits = (0U | ... | (1U << static_cast<unsigned>(packets)));
    row.packets = static_cast<std::uint16_t>(bits);
  };
  using enum ReasonCode;
  add(success, "success", connack, puback, pubrec, pubrel, pubcomp, suback, unsuback, disconnect,
      auth);
  add(granted_qos1, "granted_qos1", suback);
  add(granted_qos2, "granted_qos2", suback);
  add(disconnect_with_will, "disconnect_with_will", disconnect);
  add(no_matching_subscribers, "no_matching_subscribers", puback, pubrec);
  add(no_subscription_existed, "no_subscription_existed", unsuback);
  add(continue_authentication, "continue_authentication", auth);
  add(reauthenticate, "reauthenticate", auth);
  add(unspecified_error, "unspecified_error", connack, puback, pubrec, suback, unsuback,
      disconnect);
  add(malformed_packet, "malformed_packet", connack, disconnect);
  add(protocol_error, "protocol_error", connack, disconnect);
  add(implementation_specific_error, "implementation_specific_error", connack, puback, pubrec,
      suback, unsuback, disconnect);
  add(unsupported_protocol_version, "unsupported_protocol_version", connack);
  add(client_identifier_not_valid, "client_identifier_not_valid", connack);
  add(bad_user_name_or_password, "bad_user_name_or_password", connack);
  add(not_authorized, "not_authorized", connack, puback, pubrec, suback, unsuback, disconnect);
  add(server_unavailable, "server_unavailable", connack);
  add(server_busy, "server_busy", connack, disconnect);
  add(banned, "banned", connack);
  add(server_shutting_down, "server_shutting_down", disconnect);
  add(bad_authentication_method, "bad_authentication_method", connack, disconnect);
  add(keep_alive_timeout, "keep_alive_timeout", disconnect);
  add(session_taken_over, "session_taken_over", disconnect);
  add(topic_filter_invalid, "topic_filter_invalid", suback, unsuback, disconnect);
  add(topic_name_invalid, "topic_name_invalid", connack, puback, pubrec, disconnect);
  add(packet_identifier_in_use, "packet_identifier_in_use", puback, pubrec, suback, unsuback);
  add(packet_identifier_not_found, "packet_identifier_not_found", pubrel, pubcomp);
  add(receive_maximum_exceeded, "receive_maximum_exceeded", disconnect);
  add(topic_alias_invalid, "topic_alias_invalid", disconnect);
  add(packet_too_large, "packet_too_large", connack, disconnect);
  add(message_rate_too_high, "message_rate_too_high", disconnect);
  add(quota_exceeded, "quota_exceeded", connack, puback, pubrec, suback, disconnect);
  add(administrative_action, "administrative_action", disconnect);
  add(payload_format_invalid, "payload_format_invalid", connack, puback, pubrec, disconnect);
  add(retain_not_supported, "retain_not_supported", connack, disconnect);
  add(qos_not_supported, "qos_not_supported", connack, disconnect);
  add(use_another_server, "use_another_server", connack, disconnect);
  add(server_moved, "server_moved", connack, disconnect);
  add(shared_subscriptions_not_supported, "shared_subscriptions_not_supported", suback, disconnect);
  add(connection_rate_exceeded, "connection_rate_exceeded", connack, disconnect);
  add(maximum_connect_time, "maximum_connect_time", disconnect);
  add(subscription_identifiers_not_supported, "subscription_identifiers_not_supported", suback,
      disconnect);
  add(wildcard_subscriptions_not_supported, "wildcard_subscriptions_not_supported", suback,
      disconnect);
  return table;
}

constexpr Table kTable = make_table();

constexpr std::array<const char*, 16> kPackets = {
    "reserved", "CONNECT",  "CONNACK",    "PUBLISH", "PUBACK",      "PUBREC",
    "PUBREL",   "PUBCOMP",  "SUBSCRIBE",  "SUBACK",  "UNSUBSCRIBE", "UNSUBACK",
    "PINGREQ",  "PINGRESP", "DISCONNECT", "AUTH"};

}  // namespace

bool reason_allowed(PacketType type, std::uint8_t code) {
  return (kTable[code].packets >> static_cast<unsigned>(type) & 1U) != 0;
}

std::uint8_t connack_return_code(ReasonCode reason) {
  if (!is_error(reason)) return 0;
  switch (reason) {
    case ReasonCode::unsupported_protocol_version:
      return 1;
    case ReasonCode::client_identifier_not_valid:
      return 2;
    case ReasonCode::bad_user_name_or_password:
      return 4;
    case ReasonCode::not_authorized:
    case ReasonCode::banned:
    case ReasonCode::bad_authentication_method:
      return 5;
    default:
      return 3;  // server unavailable: the only one that tells a client to try again
  }
}

ReasonCode connack_reason(std::uint8_t code) {
  static constexpr std::array<ReasonCode, 6> kReasons = {ReasonCode::success,
                                                         ReasonCode::unsupported_protocol_version,
                                                         ReasonCode::client_identifier_not_valid,
                                                         ReasonCode::server_unavailable,
                                                         ReasonCode::bad_user_name_or_password,
                                                         ReasonCode::not_authorized};
  SKALD_ASSERT(code < kReasons.size());
  return kReasons[code];
}

const char* name(ReasonCode reason) {
  const char* const words = kTable[static_cast<std::size_t>(reason)].name;
  return words == nullptr ? "unknown" : words;
}

const char* name(PacketType type) { return kPackets[static_cast<std::size_t>(type)]; }

const char* name(Version version) {
  switch (version) {
    case Version::v31:
      return "3.1";
    case Version::v311:
      return "3.1.1";
    case Version::v5:
      return "5.0";
  }
  return "unknown";
}

}  // namespace skald::codec
