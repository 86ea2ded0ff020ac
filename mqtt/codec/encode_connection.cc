// CONNECT, CONNACK, DISCONNECT, AUTH, PINGREQ, PINGRESP.
#include "mqtt/codec/reasons.h"
#include "mqtt/codec/writer.h"

namespace skald::codec {
namespace {

unsigned connect_flags(const Connect& packet) {
  unsigned flags = packet.clean_start ? 0x02U : 0U;
  if (packet.will) {
    flags |= 0x04U | static_cast<unsigned>(packet.will->qos) << 3;
    if (packet.will->retain) flags |= 0x20U;
  }
  if (packet.password) flags |= 0x40U;
  if (packet.user_name) flags |= 0x80U;
  return flags;
}

void put_connect_properties(const Connect& packet, std::string& out) {
  const Connect defaults;
  const LengthPrefixed block(out);
  if (packet.session_expiry_s != defaults.session_expiry_s) {
    put_u32_property(Property::session_expiry_interval, packet.session_expiry_s, out);
  }
  if (packet.receive_maximum != defaults.receive_maximum) {
    put_u16_property(Property::receive_maximum, packet.receive_maximum, out);
  }
  if (packet.maximum_packet_size != defaults.maximum_packet_size) {
    put_u32_property(Property::maximum_packet_size, packet.maximum_packet_size, out);
  }
  if (packet.topic_alias_maximum != defaults.topic_alias_maximum) {
    put_u16_property(Property::topic_alias_maximum, packet.topic_alias_maximum, out);
  }
  if (packet.request_response_information) {
    put_byte_property(Property::request_response_information, 1, out);
  }
  if (!packet.request_problem_information) {
    put_byte_property(Property::request_problem_information, 0, out);
  }
  put_user_properties(packet.user_properties, out);
  put(Property::authentication_method, packet.authentication_method, out);
  put(Property::authentication_data, packet.authentication_data, out);
}

void put_will(const Will& will, Version version, std::string& out) {
  if (version == Version::v5) {
    const LengthPrefixed block(out);
    if (will.delay_s != 0) put_u32_property(Property::will_delay_interval, will.delay_s, out);
    put(Property::message_expiry_interval, will.message_expiry_s, out);
    out.append(will.properties);
  }
  put_string(will.topic, out);
  put_string(will.payload, out);
}

void put_connack_properties(const Connack& packet, std::string& out) {
  const LengthPrefixed block(out);
  put(Property::session_expiry_interval, packet.session_expiry_s, out);
  put(Property::receive_maximum, packet.receive_maximum, out);
  if (packet.maximum_qos) {
    put_byte_property(Property::maximum_qos, static_cast<unsigned>(*packet.maximum_qos), out);
  }
  put(Property::retain_available, packet.retain_available, out);
  put(Property::maximum_packet_size, packet.maximum_packet_size, out);
  put(Property::assigned_client_identifier, packet.assigned_client_id, out);
  put(Property::topic_alias_maximum, packet.topic_alias_maximum, out);
  put(Property::reason_string, packet.reason_string, out);
  put_user_properties(packet.user_properties, out);
  put(Property::wildcard_subscription_available, packet.wildcard_subscription_available, out);
  put(Property::subscription_identifier_available, packet.subscription_identifiers_available, out);
  put(Property::shared_subscription_available, packet.shared_subscription_available, out);
  put(Property::server_keep_alive, packet.server_keep_alive_s, out);
  put(Property::response_information, packet.response_information, out);
  put(Property::server_reference, packet.server_reference, out);
  put(Property::authentication_method, packet.authentication_method, out);
  put(Property::authentication_data, packet.authentication_data, out);
}

}  // namespace

void encode(const Connect& packet, std::string& out) {
  const PacketWriter writer(PacketType::connect, 0, out);
  put_string(packet.version == Version::v31 ? "MQIsdp" : "MQTT", out);
  const bool bridge = packet.bridge && packet.version != Version::v5;
  put_u8(static_cast<unsigned>(packet.version) | (bridge ? 0x80U : 0U), out);
  put_u8(connect_flags(packet), out);
  put_u16(packet.keep_alive_s, out);
  if (packet.version == Version::v5) put_connect_properties(packet, out);
  put_string(packet.client_id, out);
  if (packet.will) put_will(*packet.will, packet.version, out);
  if (packet.user_name) put_string(*packet.user_name, out);
  if (packet.password) put_string(*packet.password, out);
}

void encode(const Connack& packet, Version version, std::string& out) {
  const PacketWriter writer(PacketType::connack, 0, out);
  const bool present = packet.session_present && version != Version::v31 &&
                       packet.reason == ReasonCode::success;  // [MQTT-3.2.2-6]
  put_u8(present ? 1 : 0, out);
  if (version != Version::v5) {
    put_u8(connack_return_code(packet.reason), out);
    return;
  }
  put_u8(static_cast<unsigned>(packet.reason), out);
  put_connack_properties(packet, out);
}

void encode(const Pingreq&, std::string& out) {
  const PacketWriter writer(PacketType::pingreq, 0, out);
}

void encode(const Pingresp&, std::string& out) {
  const PacketWriter writer(PacketType::pingresp, 0, out);
}

void encode(const Disconnect& packet, Version version, std::string& out) {
  const PacketWriter writer(PacketType::disconnect, 0, out);
  if (version != Version::v5) return;
  const bool plain = !packet.session_expiry_s && !packet.reason_string &&
                     !packet.server_reference && packet.user_properties.empty();
  if (plain && packet.reason == ReasonCode::success) return;
  put_u8(static_cast<unsigned>(packet.reason), out);
  if (plain) return;
  const LengthPrefixed block(out);
  put(Property::session_expiry_interval, packet.session_expiry_s, out);
  put(Property::reason_string, packet.reason_string, out);
  put_user_properties(packet.user_properties, out);
  put(Property::server_reference, packet.server_reference, out);
}

void encode(const Auth& packet, std::string& out) {
  const PacketWriter writer(PacketType::auth, 0, out);
  if (packet == Auth{}) return;
  put_u8(static_cast<unsigned>(packet.reason), out);
  const LengthPrefixed block(out);
  put(Property::authentication_method, packet.authentication_method, out);
  put(Property::authentication_data, packet.authentication_data, out);
  put(Property::reason_string, packet.reason_string, out);
  put_user_properties(packet.user_properties, out);
}

}  // namespace skald::codec
