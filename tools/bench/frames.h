// The few packets that the load generator says and hears, and a scanner for what arrives.
//
// It does not use mqtt/codec: what judges the broker shares no code with it, so that one mistake
// made on both sides cannot cancel out. It checks only what it needs; the PUBLISH path is inline
// and looks at each header byte once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mqtt/codec/types.h"

namespace skald::bench {

struct ConnectFields {
  codec::Version version = codec::Version::v311;
  std::string_view client_id;
  std::uint16_t keep_alive_s = 0;
  bool clean_start = true;
  std::uint32_t session_expiry_s = 0;     // v5
  std::uint16_t topic_alias_maximum = 0;  // v5
};

void put_connect(const ConnectFields& fields, std::string& out);
void put_subscribe(codec::Version version, std::string_view filter, codec::QoS qos,
                   std::string& out);
void put_pingreq(std::string& out);
void put_disconnect(std::string& out);

/// A PUBLISH up to, but without, its payload, packet id 0; `packet_id_at` is where the id goes.
/// `alias` != 0 (v5): sends the alias, and the topic too unless it is empty.
std::string publish_head(codec::Version version, codec::QoS qos, std::string_view topic,
                         std::uint16_t alias, std::size_t payload_bytes, std::size_t& packet_id_at);

struct ConnackFields {
  std::uint8_t reason = 0;
  std::uint16_t receive_maximum = 65535;
  std::uint16_t topic_alias_maximum = 0;
};

/// `body` is what follows the fixed header; nothing when it is malformed.
std::optional<ConnackFields> read_connack(codec::Version version, std::string_view body);
/// The first reason code of a SUBACK (0x80 and up: refused).
std::optional<std::uint8_t> read_suback(codec::Version version, std::string_view body);

/// The next packet of a burst.
struct Scanned {
  enum class Status : std::uint8_t { complete, need_more, malformed };
  Status status = Status::need_more;
  std::uint8_t first = 0;  // type << 4 | flags
  std::string_view body;   // after the fixed header
};

inline Scanned scan(const char* at, const char* end) {
  Scanned out;
  if (end - at < 2) return out;
  out.first = static_cast<std::uint8_t>(*at++);
  std::uint32_t length = 0;
  for (int shift = 0;; shift += 7) {
    if (shift > 21) {
      out.status = Scanned::Status::malformed;
      return out;
    }
    if (at == end) return out;
    const auto byte = static_cast<std::uint8_t>(*at++);
    length |= static_cast<std::uint32_t>(byte & 0x7F) << shift;
    if (byte < 0x80) break;
  }
  if (static_cast<std::size_t>(end - at) < length) return out;
  out.body = std::string_view(at, length);
  out.status = Scanned::Status::complete;
  return out;
}

inline std::uint16_t read_u16(const char* at) {
  return static_cast<std::uint16_t>((static_cast<std::uint8_t>(at[0]) << 8) |
                                    static_cast<std::uint8_t>(at[1]));
}

struct IncomingPublish {
  std::string_view topic;
  std::string_view payload;
  std::uint16_t packet_id = 0;
  std::uint16_t topic_alias = 0;
  std::uint8_t qos = 0;
};

/// Reads the property block of a PUBLISH that is not empty; false when it is malformed.
bool read_publish_properties(std::string_view properties, IncomingPublish& out);

/// False when the packet is malformed.
inline bool read_publish(codec::Version version, std::uint8_t first, std::string_view body,
                         IncomingPublish& out) {
  if (body.size() < 2) return false;
  const std::size_t topic_size = read_u16(body.data());
  out.qos = (first >> 1) & 3;
  std::size_t at = 2 + topic_size;
  if (body.size() < at + (out.qos != 0 ? 2 : 0)) return false;
  out.topic = body.substr(2, topic_size);
  if (out.qos != 0) {
    out.packet_id = read_u16(body.data() + at);
    at += 2;
    if (out.qos == 3 || out.packet_id == 0) return false;
  }
  if (version == codec::Version::v5) {
    const char* cursor = body.data() + at;
    const char* end = body.data() + body.size();
    std::uint32_t length = 0;
    for (int shift = 0;; shift += 7) {
      if (cursor == end || shift > 21) return false;
      const auto byte = static_cast<std::uint8_t>(*cursor++);
      length |= static_cast<std::uint32_t>(byte & 0x7F) << shift;
      if (byte < 0x80) break;
    }
    if (static_cast<std::size_t>(end - cursor) < length) return false;
    if (length != 0 && !read_publish_properties(std::string_view(cursor, length), out)) {
      return false;
    }
    at = static_cast<std::size_t>(cursor - body.data()) + length;
  }
  out.payload = body.substr(at);
  return true;
}

inline void put_ack(codec::PacketType type, std::uint16_t packet_id, std::string& out) {
  const auto flags = type == codec::PacketType::pubrel ? 2 : 0;
  const char bytes[4] = {static_cast<char>((static_cast<int>(type) << 4) | flags), 2,
                         static_cast<char>(packet_id >> 8), static_cast<char>(packet_id & 0xFF)};
  out.append(bytes, 4);
}

}  // namespace skald::bench
