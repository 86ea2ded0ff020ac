// From bytes to packets: framing, then one decoder per kind of packet.
//
// The decoder judges form only: lengths, flags, UTF-8, property rules, and values a packet can be
// refused for without knowing the session. It never allocates by a declared length, never throws,
// and never reads outside the given bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "mqtt/codec/packets.h"
#include "mqtt/codec/types.h"

namespace skald::codec {

/// One whole packet, still encoded.
struct Frame {
  std::string_view bytes;  // fixed header included
  std::string_view body;   // what follows the fixed header
  std::uint8_t first = 0;  // type << 4 | flags

  PacketType type() const { return static_cast<PacketType>(first >> 4); }
  std::uint8_t flags() const { return first & 0x0F; }
};

enum class FrameStatus : std::uint8_t {
  complete,   // `frame` is set; its bytes start at in[0]
  need_more,  // not all here yet; `needed` tells how many bytes at least
  too_large,  // longer than max_packet_size: known as soon as the length is read
  malformed,  // Remaining Length over four bytes or not minimal [MQTT-1.5.5-1]
};

struct FrameResult {
  FrameStatus status = FrameStatus::need_more;
  Frame frame;
  std::size_t needed = 2;  // total bytes wanted from in[0] on; grows as the header is read
};

/// Finds the packet at the head of `in`. `max_packet_size` counts the whole packet, in bytes.
FrameResult next_frame(std::string_view in, std::size_t max_packet_size);

/// Why a packet is refused: what a v5 peer is told, and a sentence for the log.
struct DecodeError {
  ReasonCode reason = ReasonCode::malformed_packet;
  const char* message = "";  // static storage
};

/// Decodes a PUBLISH. Requires: frame.type() == publish. Returns true, or false with `error` set
/// and `out` unspecified.
///
/// Checks: flags, topic (UTF-8, no wildcard, not empty without alias), packet id not 0, v5
/// properties (known, at most once, well formed; subscription identifiers refused, as only servers
/// send them). `scratch` holds forward_properties when they are not one run of the packet's bytes;
/// it must outlive `out` and is left alone otherwise. Not judged here: whether an alias is known or
/// within the maximum, and whether a payload is the UTF-8 that its format indicator claims
/// (is_utf8).
bool decode_publish(const Frame& frame, Version version, PublishView& out, std::string& scratch,
                    DecodeError& error);

/// As decode_publish, but for a PUBLISH that a server sent: allows subscription identifiers, which
/// are appended to `subscription_ids`. For `skald bench`, bridges and tests.
bool decode_server_publish(const Frame& frame, Version version, PublishView& out,
                           std::string& scratch, std::vector<std::uint32_t>& subscription_ids,
                           DecodeError& error);

/// PUBACK, PUBREC, PUBREL, PUBCOMP without properties, the hot path: true and the fields set when
/// the body is 2 (or in v5 3) bytes and nothing is wrong; anything else goes to decode_control.
bool decode_plain_ack(const Frame& frame, Version version, std::uint16_t& packet_id,
                      ReasonCode& reason);

/// Decodes any packet but PUBLISH; either direction, so that clients and tests can use it. Whether
/// a packet, a property or a reason code may come from this side at this time is the session's to
/// judge.
///
/// CONNECT ignores `version`: it carries its own. A CONNECT of an unknown protocol level is
/// refused with unsupported_protocol_version, an unknown protocol name with the same.
/// Requires: frame.type() != publish.
std::variant<ControlPacket, DecodeError> decode_control(const Frame& frame, Version version);

/// The version a CONNECT speaks, so that one which decode_control refuses can be answered in it.
/// Nothing for other packets, unknown names or levels, and packets too short to tell.
std::optional<Version> connect_version(const Frame& frame);

}  // namespace skald::codec
