// The packets of MQTT 3.1, 3.1.1 and 5.0 as plain values.
//
// Control packets own their strings. PUBLISH is a view into the bytes it was decoded from, because
// it is the hot path: nobody keeps a PublishView beyond the read burst it came in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "mqtt/codec/types.h"

namespace skald::codec {

using UserProperties = std::vector<std::pair<std::string, std::string>>;  // in order, as sent

struct Will {
  std::string topic;
  std::string payload;
  /// The will properties that travel with the message (payload format, content type, response
  /// topic, correlation data, user properties), encoded, in order, without a length in front.
  std::string properties;
  std::optional<std::uint32_t> message_expiry_s;
  std::uint32_t delay_s = 0;
  QoS qos = QoS::at_most_once;
  bool retain = false;
  bool payload_is_utf8 = false;  // as decoded from `properties`; encoders go by those

  bool operator==(const Will&) const = default;
};

struct Connect {
  Version version = Version::v311;
  bool bridge = false;  // protocol level had 0x80 set: no local, retain as published
  bool clean_start = true;
  std::uint16_t keep_alive_s = 0;
  std::string client_id;
  std::optional<std::string> user_name;
  std::optional<std::string> password;
  std::optional<Will> will;
  // MQTT 5.0 properties; their defaults are the specification's.
  std::uint32_t session_expiry_s = 0;
  std::uint16_t receive_maximum = 65535;
  std::uint32_t maximum_packet_size = kMaxVarint + 5;  // in bytes, the whole packet
  std::uint16_t topic_alias_maximum = 0;
  bool request_response_information = false;
  bool request_problem_information = true;
  UserProperties user_properties;
  std::optional<std::string> authentication_method;
  std::optional<std::string> authentication_data;

  bool operator==(const Connect&) const = default;
};

struct Connack {
  bool session_present = false;
  ReasonCode reason = ReasonCode::success;
  std::optional<std::uint32_t> session_expiry_s;
  std::optional<std::uint16_t> receive_maximum;
  std::optional<QoS> maximum_qos;
  std::optional<bool> retain_available;
  std::optional<std::uint32_t> maximum_packet_size;
  std::optional<std::string> assigned_client_id;
  std::optional<std::uint16_t> topic_alias_maximum;
  std::optional<std::string> reason_string;
  UserProperties user_properties;
  std::optional<bool> wildcard_subscription_available;
  std::optional<bool> subscription_identifiers_available;
  std::optional<bool> shared_subscription_available;
  std::optional<std::uint16_t> server_keep_alive_s;
  std::optional<std::string> response_information;
  std::optional<std::string> server_reference;
  std::optional<std::string> authentication_method;
  std::optional<std::string> authentication_data;

  bool operator==(const Connack&) const = default;
};

/// A decoded PUBLISH. The views point into the frame.
struct PublishView {
  std::string_view frame;  // the whole packet, fixed header included
  std::string_view topic;  // empty only in v5 with an alias
  std::string_view payload;
  /// v5: the properties that must be forwarded unaltered and in order (payload format, content
  /// type, response topic, correlation data, user properties), encoded. When the packet has no
  /// topic alias, subscription identifier or message expiry this is the whole property block.
  /// Points into the frame, or into decode_publish's scratch when those stand in between.
  std::string_view forward_properties;
  std::optional<std::uint32_t> message_expiry_s;
  std::uint32_t packet_id_offset = 0;  // of the packet id within `frame`; 0 for QoS 0
  std::uint16_t packet_id = 0;         // 0 for QoS 0
  std::uint16_t topic_alias = 0;       // 0: none
  QoS qos = QoS::at_most_once;
  bool dup = false;
  bool retain = false;
  bool payload_is_utf8 = false;  // payload format indicator 1; the decoder does not check the bytes
  /// True when `frame` has no topic alias, subscription identifier or expiry, so that the same
  /// bytes can be forwarded with byte 0 and the packet id patched.
  bool frame_is_plain = true;
};

/// PUBACK, PUBREC, PUBREL, PUBCOMP: one shape, four types.
struct Ack {
  PacketType type = PacketType::puback;
  std::uint16_t packet_id = 0;
  ReasonCode reason = ReasonCode::success;
  std::optional<std::string> reason_string;
  UserProperties user_properties;

  bool operator==(const Ack&) const = default;
};

enum class RetainHandling : std::uint8_t { send = 0, send_if_new = 1, do_not_send = 2 };

struct SubscriptionOptions {
  QoS qos = QoS::at_most_once;
  bool no_local = false;
  bool retain_as_published = false;
  RetainHandling retain_handling = RetainHandling::send;

  bool operator==(const SubscriptionOptions&) const = default;
};

struct Subscribe {
  struct Entry {
    std::string filter;
    SubscriptionOptions options;

    bool operator==(const Entry&) const = default;
  };
  std::uint16_t packet_id = 0;
  std::uint32_t subscription_id = 0;  // 0: none
  std::vector<Entry> entries;
  UserProperties user_properties;

  bool operator==(const Subscribe&) const = default;
};

struct Suback {
  std::uint16_t packet_id = 0;
  std::vector<ReasonCode> reasons;  // 3.x: 0, 1, 2, or 0x80 for any error (3.1.1)
  std::optional<std::string> reason_string;
  UserProperties user_properties;

  bool operator==(const Suback&) const = default;
};

struct Unsubscribe {
  std::uint16_t packet_id = 0;
  std::vector<std::string> filters;
  UserProperties user_properties;

  bool operator==(const Unsubscribe&) const = default;
};

struct Unsuback {
  std::uint16_t packet_id = 0;
  std::vector<ReasonCode> reasons;  // not sent to 3.x clients
  std::optional<std::string> reason_string;
  UserProperties user_properties;

  bool operator==(const Unsuback&) const = default;
};

struct Pingreq {
  bool operator==(const Pingreq&) const = default;
};

struct Pingresp {
  bool operator==(const Pingresp&) const = default;
};

struct Disconnect {
  ReasonCode reason = ReasonCode::success;
  std::optional<std::uint32_t> session_expiry_s;
  std::optional<std::string> reason_string;
  std::optional<std::string> server_reference;
  UserProperties user_properties;

  bool operator==(const Disconnect&) const = default;
};

struct Auth {
  ReasonCode reason = ReasonCode::success;
  std::optional<std::string> authentication_method;
  std::optional<std::string> authentication_data;
  std::optional<std::string> reason_string;
  UserProperties user_properties;

  bool operator==(const Auth&) const = default;
};

/// Everything but PUBLISH.
using ControlPacket = std::variant<Connect, Connack, Ack, Subscribe, Suback, Unsubscribe, Unsuback,
                                   Pingreq, Pingresp, Disconnect, Auth>;

}  // namespace skald::codec
