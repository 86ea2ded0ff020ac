// From packets to bytes. Every encoder appends one whole packet to `out`.
//
// Only what the version knows is written: 3.x packets get no properties, and v5 reason codes become
// their 3.x return codes. Callers keep to the peer's Maximum Packet Size; encoded_size helps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "mqtt/codec/packets.h"
#include "mqtt/codec/types.h"

namespace skald::codec {

void encode(const Connect& packet, std::string& out);
/// 3.x: the reason becomes return code 0-5 (CONNACK 3.1.1 table 3.1).
void encode(const Connack& packet, Version version, std::string& out);
/// v5: reason and properties are left out when the reason is success and there are none.
void encode(const Ack& packet, Version version, std::string& out);
void encode(const Subscribe& packet, Version version, std::string& out);
void encode(const Suback& packet, Version version, std::string& out);
void encode(const Unsubscribe& packet, Version version, std::string& out);
void encode(const Unsuback& packet, Version version, std::string& out);
void encode(const Pingreq& packet, std::string& out);
void encode(const Pingresp& packet, std::string& out);
void encode(const Disconnect& packet, Version version, std::string& out);
void encode(const Auth& packet, std::string& out);
/// One function for all of the above. Requires: no Auth before v5.
void encode(const ControlPacket& packet, Version version, std::string& out);

/// As encode, but drops the user properties, then the reason string, where the packet would be
/// longer than `max_packet_size` [MQTT-3.2.2-19] [MQTT-3.2.2-20] and alike. False, and nothing
/// appended, when it is too long even so.
bool encode_within(const ControlPacket& packet, Version version, std::size_t max_packet_size,
                   std::string& out);

/// What a PUBLISH towards one receiver needs beside topic and payload.
struct PublishHead {
  std::string_view topic;                           // empty with an alias that the receiver knows
  std::string_view forward_properties;              // encoded, see PublishView
  std::span<const std::uint32_t> subscription_ids;  // v5 only
  std::optional<std::uint32_t> message_expiry_s;    // v5 only
  std::uint16_t topic_alias = 0;                    // v5 only; 0: none
  std::uint16_t packet_id = 0;                      // ignored for QoS 0
  QoS qos = QoS::at_most_once;
  bool dup = false;
  bool retain = false;
};

/// Appends a PUBLISH up to, but without, its payload; the fixed header counts `payload_size`.
/// Returns the offset in `out` of the packet id (0 for QoS 0), so that fan-out can patch it.
std::size_t encode_publish_head(const PublishHead& head, std::size_t payload_size, Version version,
                                std::string& out);

/// Size in bytes of the whole packet that encode_publish_head and the payload would make.
std::size_t publish_size(const PublishHead& head, std::size_t payload_size, Version version);

/// The four acks with success and no properties, the hot path: 4 bytes. Requires: packet_id != 0.
void encode_plain_ack(PacketType type, std::uint16_t packet_id, std::string& out);

// Building blocks, for properties kept encoded (wills, forwarded properties) and for tests.
void put_u16(std::uint16_t value, std::string& out);
void put_u32(std::uint32_t value, std::string& out);
/// Requires: value <= kMaxVarint.
void put_varint(std::uint32_t value, std::string& out);
/// Requires: size <= 65535.
void put_string(std::string_view value, std::string& out);
std::size_t varint_size(std::uint32_t value);

}  // namespace skald::codec
