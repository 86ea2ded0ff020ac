// CONNACK, DISCONNECT, AUTH (MQTT 5.0 sections 3.2, 3.14, 3.15).
#include "mqtt/codec/decode_parts.h"
#include "mqtt/codec/reasons.h"

namespace skald::codec {
namespace {

/// One property of CONNACK into its field.
void store(const PropertyItem& item, Connack& out) {
  switch (item.id) {
    case Property::session_expiry_interval:
      out.session_expiry_s = item.number;
      break;
    case Property::receive_maximum:
      out.receive_maximum = item.u16();
      break;
    case Property::maximum_qos:
      out.maximum_qos = static_cast<QoS>(item.number);
      break;
    case Property::retain_available:
      out.retain_available = item.flag();
      break;
    case Property::maximum_packet_size:
      out.maximum_packet_size = item.number;
      break;
    case Property::assigned_client_identifier:
      out.assigned_client_id.emplace(item.text);
      break;
    case Property::topic_alias_maximum:
      out.topic_alias_maximum = item.u16();
      break;
    case Property::reason_string:
      out.reason_string.emplace(item.text);
      break;
    case Property::wildcard_subscription_available:
      out.wildcard_subscription_available = item.flag();
      break;
    case Property::subscription_identifier_available:
      out.subscription_identifiers_available = item.flag();
      break;
    case Property::shared_subscription_available:
      out.shared_subscription_available = item.flag();
      break;
    case Property::server_keep_alive:
      out.server_keep_alive_s = item.u16();
      break;
    case Property::response_information:
      out.response_information.emplace(item.text);
      break;
    case Property::server_reference:
      out.server_reference.emplace(item.text);
      break;
    case Property::authentication_method:
      out.authentication_method.emplace(item.text);
      break;
    case Property::authentication_data:
      out.authentication_data.emplace(item.text);
      break;
    default:
      add_user_property(item, out.user_properties);
      break;
  }
}

bool read_connack_v5(Reader& in, Connack& out, DecodeError& error) {
  if (!read_reason(in, PacketType::connack, out.reason, error)) return false;
  PropertyReader properties(in, PacketType::connack, error);
  for (PropertyItem item; properties.next(item);) store(item, out);
  return !properties.failed();
}

bool read_connack_v3(Reader& in, Connack& out, DecodeError& error) {
  const std::uint8_t code = in.u8();
  if (code > 5) return malformed(error, "reserved CONNACK return code (3.1.1 table 3.1)");
  out.reason = connack_reason(code);
  return true;
}

}  // namespace

bool decode(const Frame& frame, Version version, Connack& out, DecodeError& error) {
  Reader in(frame.body);
  const unsigned flags = in.u8();
  if (version != Version::v31) {  // 3.1 has a reserved byte here
    if (flags > 1) return malformed(error, "reserved CONNACK flags [MQTT-3.2.2-1]");
    out.session_present = flags == 1;
  }
  const bool read =
      version == Version::v5 ? read_connack_v5(in, out, error) : read_connack_v3(in, out, error);
  if (!read) return false;
  if (out.session_present && out.reason != ReasonCode::success) {
    return protocol_error(error, "session present in a refusal [MQTT-3.2.2-6]");
  }
  return finish(in, error);
}

bool decode(const Frame& frame, Version version, Disconnect& out, DecodeError& error) {
  Reader in(frame.body);
  if (version != Version::v5 || in.empty()) return finish(in, error);
  if (!read_reason(in, PacketType::disconnect, out.reason, error)) return false;
  if (in.empty()) return finish(in, error);  // under two bytes: no properties (3.14.2.2.1)
  PropertyReader properties(in, PacketType::disconnect, error);
  for (PropertyItem item; properties.next(item);) {
    switch (item.id) {
      case Property::session_expiry_interval:
        out.session_expiry_s = item.number;
        break;
      case Property::reason_string:
        out.reason_string.emplace(item.text);
        break;
      case Property::server_reference:
        out.server_reference.emplace(item.text);
        break;
      default:
        add_user_property(item, out.user_properties);
        break;
    }
  }
  return !properties.failed() && finish(in, error);
}

bool decode(const Frame& frame, Auth& out, DecodeError& error) {
  Reader in(frame.body);
  if (in.empty()) return true;  // success without properties (3.15.2.1); the session judges it
  if (!read_reason(in, PacketType::auth, out.reason, error)) return false;
  PropertyReader properties(in, PacketType::auth, error);
  for (PropertyItem item; properties.next(item);) {
    switch (item.id) {
      case Property::authentication_method:
        out.authentication_method.emplace(item.text);
        break;
      case Property::authentication_data:
        out.authentication_data.emplace(item.text);
        break;
      case Property::reason_string:
        out.reason_string.emplace(item.text);
        break;
      default:
        add_user_property(item, out.user_properties);
        break;
    }
  }
  if (properties.failed() || !finish(in, error)) return false;
  return out.authentication_method || protocol_error(error, "AUTH without method (3.15.2.2.2)");
}

}  // namespace skald::codec
