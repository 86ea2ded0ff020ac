#include "tools/bench/frames.h"

#include "config/base/assert.h"

namespace skald::bench {
namespace {

using codec::PacketType;
using codec::Property;
using codec::Version;

void put_u8(std::uint32_t value, std::string& out) { out.push_back(static_cast<char>(value)); }

void put_u16(std::uint32_t value, std::string& out) {
  put_u8(value >> 8 & 0xFF, out);
  put_u8(value & 0xFF, out);
}

void put_u32(std::uint32_t value, std::string& out) {
  put_u16(value >> 16, out);
  put_u16(value & 0xFFFF, out);
}

void put_varint(std::size_t value, std::string& out) {
  SKALD_ASSERT(value <= codec::kMaxVarint);
  while (value >= 0x80) {
    put_u8(static_cast<std::uint32_t>(value & 0x7F) | 0x80, out);
    value >>= 7;
  }
  put_u8(static_cast<std::uint32_t>(value), out);
}

void put_string(std::string_view value, std::string& out) {
  SKALD_ASSERT(value.size() <= 65535);
  put_u16(static_cast<std::uint32_t>(value.size()), out);
  out.append(value);
}

void put_packet(PacketType type, std::uint32_t flags, std::string_view body, std::string& out) {
  put_u8((static_cast<std::uint32_t>(type) << 4) | flags, out);
  put_varint(body.size(), out);
  out.append(body);
}

/// Walks a property block and calls `visit(property, value)` for those of one or two bytes or of
/// a variable byte integer; the others are only stepped over. False when it is malformed.
template <class Visit>
bool walk_properties(std::string_view block, Visit visit) {
  std::size_t at = 0;
  const auto left = [&block, &at] { return block.size() - at; };
  while (at < block.size()) {
    const auto property = static_cast<Property>(block[at++]);
    switch (property) {
      case Property::payload_format_indicator:
      case Property::request_problem_information:
      case Property::request_response_information:
      case Property::maximum_qos:
      case Property::retain_available:
      case Property::wildcard_subscription_available:
      case Property::subscription_identifier_available:
      case Property::shared_subscription_available:
        if (left() < 1) return false;
        at += 1;
        break;
      case Property::server_keep_alive:
      case Property::receive_maximum:
      case Property::topic_alias_maximum:
      case Property::topic_alias:
        if (left() < 2) return false;
        visit(property, read_u16(block.data() + at));
        at += 2;
        break;
      case Property::message_expiry_interval:
      case Property::session_expiry_interval:
      case Property::will_delay_interval:
      case Property::maximum_packet_size:
        if (left() < 4) return false;
        at += 4;
        break;
      case Property::subscription_identifier:
        for (;;) {
          if (left() < 1) return false;
          if ((block[at++] & 0x80) == 0) break;
        }
        break;
      case Property::user_property:
      case Property::content_type:
      case Property::response_topic:
      case Property::correlation_data:
      case Property::assigned_client_identifier:
      case Property::authentication_method:
      case Property::authentication_data:
      case Property::response_information:
      case Property::server_reference:
      case Property::reason_string:
        for (int i = property == Property::user_property ? 2 : 1; i > 0; --i) {
          if (left() < 2) return false;
          const std::size_t size = read_u16(block.data() + at);
          if (left() < 2 + size) return false;
          at += 2 + size;
        }
        break;
      default:
        return false;
    }
  }
  return true;
}

/// Cuts a length-prefixed property block off the front of `body`.
bool cut_properties(std::string_view& body, std::string_view& block) {
  std::size_t length = 0;
  std::size_t at = 0;
  for (int shift = 0;; shift += 7) {
    if (at == body.size() || shift > 21) return false;
    const auto byte = static_cast<std::uint8_t>(body[at++]);
    length |= static_cast<std::size_t>(byte & 0x7F) << shift;
    if (byte < 0x80) break;
  }
  if (body.size() - at < length) return false;
  block = body.substr(at, length);
  body.remove_prefix(at + length);
  return true;
}

}  // namespace

void put_connect(const ConnectFields& fields, std::string& out) {
  std::string body;
  put_string(fields.version == Version::v31 ? "MQIsdp" : "MQTT", body);
  put_u8(static_cast<std::uint32_t>(fields.version), body);
  put_u8(fields.clean_start ? 2 : 0, body);
  put_u16(fields.keep_alive_s, body);
  if (fields.version == Version::v5) {
    std::string properties;
    if (fields.session_expiry_s != 0) {
      put_u8(static_cast<std::uint32_t>(Property::session_expiry_interval), properties);
      put_u32(fields.session_expiry_s, properties);
    }
    if (fields.topic_alias_maximum != 0) {
      put_u8(static_cast<std::uint32_t>(Property::topic_alias_maximum), properties);
      put_u16(fields.topic_alias_maximum, properties);
    }
    put_varint(properties.size(), body);
    body += properties;
  }
  put_string(fields.client_id, body);
  put_packet(PacketType::connect, 0, body, out);
}

void put_subscribe(Version version, std::string_view filter, codec::QoS qos, std::string& out) {
  std::string body;
  put_u16(1, body);  // packet id: the only one that a subscriber uses for itself
  if (version == Version::v5) put_u8(0, body);
  put_string(filter, body);
  put_u8(static_cast<std::uint32_t>(qos), body);
  put_packet(PacketType::subscribe, 2, body, out);
}

void put_pingreq(std::string& out) { put_packet(PacketType::pingreq, 0, {}, out); }

void put_disconnect(std::string& out) { put_packet(PacketType::disconnect, 0, {}, out); }

std::string publish_head(Version version, codec::QoS qos, std::string_view topic,
                         std::uint16_t alias, std::size_t payload_bytes,
                         std::size_t& packet_id_at) {
  std::string rest;
  put_string(topic, rest);
  const std::size_t id_in_rest = rest.size();
  if (qos != codec::QoS::at_most_once) put_u16(0, rest);
  if (version == Version::v5) {
    put_u8(alias != 0 ? 3 : 0, rest);
    if (alias != 0) {
      put_u8(static_cast<std::uint32_t>(Property::topic_alias), rest);
      put_u16(alias, rest);
    }
  }
  std::string head;
  put_u8((static_cast<std::uint32_t>(PacketType::publish) << 4) |
             (static_cast<std::uint32_t>(qos) << 1),
         head);
  put_varint(rest.size() + payload_bytes, head);
  packet_id_at = head.size() + id_in_rest;
  return head + rest;
}

std::optional<ConnackFields> read_connack(Version version, std::string_view body) {
  if (body.size() < 2) return std::nullopt;
  ConnackFields out;
  out.reason = static_cast<std::uint8_t>(body[1]);
  body.remove_prefix(2);
  // A broker that does not speak v5 refuses it with a 3.x CONNACK, which has no properties.
  if (version != Version::v5 || body.empty()) return out;
  std::string_view properties;
  if (!cut_properties(body, properties)) return std::nullopt;
  const bool good = walk_properties(properties, [&out](Property property, std::uint16_t value) {
    if (property == Property::receive_maximum) out.receive_maximum = value;
    if (property == Property::topic_alias_maximum) out.topic_alias_maximum = value;
  });
  if (!good || out.receive_maximum == 0) return std::nullopt;
  return out;
}

std::optional<std::uint8_t> read_suback(Version version, std::string_view body) {
  if (body.size() < 3) return std::nullopt;
  body.remove_prefix(2);
  std::string_view properties;
  if (version == Version::v5 && !cut_properties(body, properties)) return std::nullopt;
  if (body.empty()) return std::nullopt;
  return static_cast<std::uint8_t>(body[0]);
}

bool read_publish_properties(std::string_view properties, IncomingPublish& out) {
  return walk_properties(properties, [&out](Property property, std::uint16_t value) {
    if (property == Property::topic_alias) out.topic_alias = value;
  });
}

}  // namespace skald::bench
