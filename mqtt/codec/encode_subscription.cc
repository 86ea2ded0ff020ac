// SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK and the four publish acks.
#include "mqtt/codec/writer.h"

namespace skald::codec {
namespace {

unsigned options_byte(const SubscriptionOptions& options, Version version) {
  unsigned byte = static_cast<unsigned>(options.qos);
  if (version != Version::v5) return byte;
  if (options.no_local) byte |= 4U;
  if (options.retain_as_published) byte |= 8U;
  return byte | static_cast<unsigned>(options.retain_handling) << 4;
}

void put_reason_properties(const std::optional<std::string>& reason_string,
                           const UserProperties& user_properties, std::string& out) {
  const LengthPrefixed block(out);
  put(Property::reason_string, reason_string, out);
  put_user_properties(user_properties, out);
}

void put_reasons(const std::vector<ReasonCode>& reasons, Version version, std::string& out) {
  for (const ReasonCode reason : reasons) {
    const bool failure_of_3x = version != Version::v5 && is_error(reason);
    put_u8(failure_of_3x ? 0x80U : static_cast<unsigned>(reason), out);
  }
}

}  // namespace

void encode(const Ack& packet, Version version, std::string& out) {
  const PacketWriter writer(packet.type, packet.type == PacketType::pubrel ? 2 : 0, out);
  put_u16(packet.packet_id, out);
  if (version != Version::v5) return;
  const bool plain = !packet.reason_string && packet.user_properties.empty();
  if (plain && packet.reason == ReasonCode::success) return;
  put_u8(static_cast<unsigned>(packet.reason), out);
  if (!plain) put_reason_properties(packet.reason_string, packet.user_properties, out);
}

void encode(const Subscribe& packet, Version version, std::string& out) {
  const PacketWriter writer(PacketType::subscribe, 2, out);
  put_u16(packet.packet_id, out);
  if (version == Version::v5) {
    const LengthPrefixed block(out);
    if (packet.subscription_id != 0) {
      put_id(Property::subscription_identifier, out);
      put_varint(packet.subscription_id, out);
    }
    put_user_properties(packet.user_properties, out);
  }
  for (const Subscribe::Entry& entry : packet.entries) {
    put_string(entry.filter, out);
    put_u8(options_byte(entry.options, version), out);
  }
}

void encode(const Suback& packet, Version version, std::string& out) {
  const PacketWriter writer(PacketType::suback, 0, out);
  put_u16(packet.packet_id, out);
  if (version == Version::v5) {
    put_reason_properties(packet.reason_string, packet.user_properties, out);
  }
  put_reasons(packet.reasons, version, out);
}

void encode(const Unsubscribe& packet, Version version, std::string& out) {
  const PacketWriter writer(PacketType::unsubscribe, 2, out);
  put_u16(packet.packet_id, out);
  if (version == Version::v5) {
    const LengthPrefixed block(out);
    put_user_properties(packet.user_properties, out);
  }
  for (const std::string& filter : packet.filters) put_string(filter, out);
}

void encode(const Unsuback& packet, Version version, std::string& out) {
  const PacketWriter writer(PacketType::unsuback, 0, out);
  put_u16(packet.packet_id, out);
  if (version != Version::v5) return;
  put_reason_properties(packet.reason_string, packet.user_properties, out);
  put_reasons(packet.reasons, version, out);
}

}  // namespace skald::codec
