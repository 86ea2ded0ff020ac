// Which encoder for which packet, and packets that must not pass the peer's limit.
#include "mqtt/codec/encoder.h"

#include "config/base/assert.h"

namespace skald::codec {
namespace {

// Overloads, as a packet also converts to ControlPacket, whose encoder leads here.
template <class Packet>
void encode_any(const Packet& packet, Version version, std::string& out) {
  encode(packet, version, out);
}
void encode_any(const Connect& packet, Version, std::string& out) { encode(packet, out); }
void encode_any(const Pingreq& packet, Version, std::string& out) { encode(packet, out); }
void encode_any(const Pingresp& packet, Version, std::string& out) { encode(packet, out); }
void encode_any(const Auth& packet, Version, std::string& out) { encode(packet, out); }

/// Takes back what was appended from `begin` on when it is too long.
bool keep_within(std::size_t begin, std::size_t max_packet_size, std::string& out) {
  if (out.size() - begin <= max_packet_size) return true;
  out.resize(begin);
  return false;
}

template <class Packet>
bool encode_shortened(const Packet& packet, Version version, std::size_t max_packet_size,
                      std::string& out) {
  if constexpr (requires { packet.reason_string; }) {
    const std::size_t begin = out.size();
    Packet shorter = packet;
    shorter.user_properties.clear();
    encode_any(shorter, version, out);
    if (keep_within(begin, max_packet_size, out)) return true;
    shorter.reason_string.reset();
    encode_any(shorter, version, out);
    return keep_within(begin, max_packet_size, out);
  }
  return false;
}

}  // namespace

void encode(const ControlPacket& packet, Version version, std::string& out) {
  SKALD_ASSERT(version == Version::v5 || !std::holds_alternative<Auth>(packet));
  std::visit([version, &out](const auto& value) { encode_any(value, version, out); }, packet);
}

bool encode_within(const ControlPacket& packet, Version version, std::size_t max_packet_size,
                   std::string& out) {
  const std::size_t begin = out.size();
  encode(packet, version, out);
  if (keep_within(begin, max_packet_size, out)) return true;
  return std::visit(
      [version, max_packet_size, &out](const auto& value) {
        return encode_shortened(value, version, max_packet_size, out);
      },
      packet);
}

}  // namespace skald::codec
