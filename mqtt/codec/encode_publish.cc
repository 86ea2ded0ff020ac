// PUBLISH heads and plain acks, the hot path: sizes first, then one resize and plain stores.
#include <cstring>

#include "config/base/assert.h"
#include "mqtt/codec/encoder.h"

namespace skald::codec {
namespace {

struct Sizes {
  std::size_t properties = 0;  // without their length
  std::size_t remaining = 0;   // value of the Remaining Length field
  std::size_t head = 0;        // all but the payload
};

Sizes measure(const PublishHead& head, std::size_t payload_size, Version version) {
  Sizes sizes;
  std::size_t body = 2 + head.topic.size() + (head.qos == QoS::at_most_once ? 0U : 2U);
  if (version == Version::v5) {
    sizes.properties = head.forward_properties.size() + (head.message_expiry_s ? 5U : 0U) +
                       (head.topic_alias != 0 ? 3U : 0U);
    for (const std::uint32_t id : head.subscription_ids) sizes.properties += 1 + varint_size(id);
    body += varint_size(static_cast<std::uint32_t>(sizes.properties)) + sizes.properties;
  }
  sizes.remaining = body + payload_size;
  SKALD_ASSERT(sizes.remaining <= kMaxVarint);
  sizes.head = 1 + varint_size(static_cast<std::uint32_t>(sizes.remaining)) + body;
  return sizes;
}

char* store_u8(char* at, unsigned value) {
  *at = static_cast<char>(value);
  return at + 1;
}

char* store_u16(char* at, unsigned value) { return store_u8(store_u8(at, value >> 8), value); }

char* store_u32(char* at, std::uint32_t value) {
  return store_u16(store_u16(at, value >> 16), value & 0xFFFF);
}

char* store_varint(char* at, std::size_t value) {
  for (; value >= 0x80; value >>= 7) at = store_u8(at, (value & 0x7F) | 0x80);
  return store_u8(at, static_cast<unsigned>(value));
}

char* store_bytes(char* at, std::string_view bytes) {
  if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
  return at + bytes.size();
}

char* store_id(char* at, Property id) { return store_u8(at, static_cast<unsigned>(id)); }

char* store_properties(char* at, const PublishHead& head, std::size_t size) {
  at = store_varint(at, size);
  if (head.message_expiry_s) {
    at = store_id(at, Property::message_expiry_interval);
    at = store_u32(at, *head.message_expiry_s);
  }
  if (head.topic_alias != 0) {
    at = store_id(at, Property::topic_alias);
    at = store_u16(at, head.topic_alias);
  }
  for (const std::uint32_t id : head.subscription_ids) {
    at = store_id(at, Property::subscription_identifier);
    at = store_varint(at, id);
  }
  return store_bytes(at, head.forward_properties);
}

}  // namespace

std::size_t encode_publish_head(const PublishHead& head, std::size_t payload_size, Version version,
                                std::string& out) {
  SKALD_ASSERT(head.topic.size() <= 0xFFFF);
  SKALD_ASSERT(head.qos == QoS::at_most_once || head.packet_id != 0);
  const Sizes sizes = measure(head, payload_size, version);
  const std::size_t begin = out.size();
  out.resize(begin + sizes.head);
  char* at = out.data() + begin;
  const unsigned qos = static_cast<unsigned>(head.qos);
  const unsigned flags = (head.dup ? 8U : 0U) | qos << 1 | (head.retain ? 1U : 0U);
  at = store_u8(at, static_cast<unsigned>(PacketType::publish) << 4 | flags);
  at = store_varint(at, sizes.remaining);
  at = store_u16(at, static_cast<unsigned>(head.topic.size()));
  at = store_bytes(at, head.topic);
  std::size_t packet_id_offset = 0;
  if (qos != 0) {
    packet_id_offset = static_cast<std::size_t>(at - out.data());
    at = store_u16(at, head.packet_id);
  }
  if (version == Version::v5) at = store_properties(at, head, sizes.properties);
  SKALD_ASSERT(at == out.data() + out.size());
  return packet_id_offset;
}

std::size_t publish_size(const PublishHead& head, std::size_t payload_size, Version version) {
  return measure(head, payload_size, version).head + payload_size;
}

void encode_plain_ack(PacketType type, std::uint16_t packet_id, std::string& out) {
  SKALD_ASSERT(type >= PacketType::puback && type <= PacketType::pubcomp);
  const unsigned flags = type == PacketType::pubrel ? 2 : 0;
  const char bytes[4] = {static_cast<char>(static_cast<unsigned>(type) << 4 | flags), 2,
                         static_cast<char>(packet_id >> 8), static_cast<char>(packet_id)};
  out.append(bytes, sizeof bytes);
}

}  // namespace skald::codec
