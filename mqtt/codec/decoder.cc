// Which decoder for which packet, and what they share.
#include "mqtt/codec/decoder.h"

#include "config/base/assert.h"
#include "mqtt/codec/decode_parts.h"
#include "mqtt/codec/reasons.h"

namespace skald::codec {
namespace {

/// Reserved flags of the fixed header (MQTT 5.0 table 2-2) [MQTT-2.1.3-1]. In 3.1 they are "not
/// used", and its DUP may stand on PUBREL, SUBSCRIBE and UNSUBSCRIBE.
bool flags_allowed(const Frame& frame, Version version) {
  if (version == Version::v31 && frame.type() != PacketType::connect) return true;
  switch (frame.type()) {
    case PacketType::pubrel:
    case PacketType::subscribe:
    case PacketType::unsubscribe:
      return frame.flags() == 2;
    default:
      return frame.flags() == 0;
  }
}

template <class Packet>
std::variant<ControlPacket, DecodeError> decode_as(const Frame& frame, Version version) {
  Packet packet;
  DecodeError error;
  if (!decode(frame, version, packet, error)) return error;
  return packet;
}

template <class Packet>
std::variant<ControlPacket, DecodeError> decode_empty(const Frame& frame) {
  if (frame.body.empty()) return Packet{};
  return DecodeError{ReasonCode::malformed_packet, "PINGREQ or PINGRESP with content"};
}

}  // namespace

bool refuse_topic(std::string_view topic, DecodeError& error) {
  if (!is_mqtt_string(topic)) {
    return malformed(error, "topic is ill-formed UTF-8 or holds U+0000 [MQTT-1.5.4]");
  }
  return refuse(error, ReasonCode::topic_name_invalid, "topic holds wildcards [MQTT-3.3.2-2]");
}

bool read_packet_id(Reader& in, std::uint16_t& packet_id, DecodeError& error) {
  packet_id = in.u16();
  if (!in.ok() || packet_id != 0) return true;
  return protocol_error(error, "packet identifier 0 [MQTT-2.2.1-3]");
}

bool read_reason(Reader& in, PacketType type, ReasonCode& reason, DecodeError& error) {
  const std::uint8_t code = in.u8();
  if (!in.ok()) return true;
  if (!reason_allowed(type, code)) {
    return protocol_error(error, "reason code does not belong into this packet");
  }
  reason = static_cast<ReasonCode>(code);
  return true;
}

bool read_reason_properties(Reader& in, PacketType type, std::optional<std::string>& reason_string,
                            UserProperties& user_properties, DecodeError& error) {
  PropertyReader properties(in, type, error);
  for (PropertyItem item; properties.next(item);) {
    if (item.id == Property::reason_string) {
      reason_string.emplace(item.text);
    } else {
      add_user_property(item, user_properties);
    }
  }
  return !properties.failed();
}

bool decode_plain_ack(const Frame& frame, Version version, std::uint16_t& packet_id,
                      ReasonCode& reason) {
  const PacketType type = frame.type();
  if (type < PacketType::puback || type > PacketType::pubcomp) return false;
  if (frame.flags() != (type == PacketType::pubrel ? 2 : 0)) return false;
  const std::size_t size = frame.body.size();
  if (size != 2 && (size != 3 || version != Version::v5)) return false;
  const auto byte = [&frame](std::size_t i) { return static_cast<unsigned char>(frame.body[i]); };
  const unsigned id = static_cast<unsigned>(byte(0) << 8 | byte(1));
  const std::uint8_t code = size == 3 ? byte(2) : std::uint8_t{0};
  if (id == 0 || (code != 0 && !reason_allowed(type, code))) return false;
  packet_id = static_cast<std::uint16_t>(id);
  reason = static_cast<ReasonCode>(code);
  return true;
}

std::variant<ControlPacket, DecodeError> decode_control(const Frame& frame, Version version) {
  SKALD_ASSERT(frame.type() != PacketType::publish);
  if (!flags_allowed(frame, version)) {
    return DecodeError{ReasonCode::malformed_packet, "reserved header flags [MQTT-2.1.3-1]"};
  }
  DecodeError error;
  switch (frame.type()) {
    case PacketType::connect: {
      Connect connect;
      if (!decode(frame, connect, error)) return error;
      return connect;
    }
    case PacketType::connack:
      return decode_as<Connack>(frame, version);
    case PacketType::puback:
    case PacketType::pubrec:
    case PacketType::pubrel:
    case PacketType::pubcomp:
      return decode_as<Ack>(frame, version);
    case PacketType::subscribe:
      return decode_as<Subscribe>(frame, version);
    case PacketType::suback:
      return decode_as<Suback>(frame, version);
    case PacketType::unsubscribe:
      return decode_as<Unsubscribe>(frame, version);
    case PacketType::unsuback:
      return decode_as<Unsuback>(frame, version);
    case PacketType::pingreq:
      return decode_empty<Pingreq>(frame);
    case PacketType::pingresp:
      return decode_empty<Pingresp>(frame);
    case PacketType::disconnect:
      return decode_as<Disconnect>(frame, version);
    case PacketType::auth: {
      if (version != Version::v5) break;
      Auth auth;
      if (!decode(frame, auth, error)) return error;
      return auth;
    }
    case PacketType::reserved:
    case PacketType::publish:
      break;
  }
  return DecodeError{ReasonCode::malformed_packet, "reserved packet type (table 2-1)"};
}

}  // namespace skald::codec
