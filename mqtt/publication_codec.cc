#include "mqtt/publication_codec.h"

namespace skald::mqtt {
namespace {

constexpr unsigned kRetain = 1U << 2;
constexpr std::size_t kMaxName = 65535;                  // what a Publication holds
constexpr std::size_t kMaxBytes = std::size_t{1} << 28;  // no MQTT packet is larger

}  // namespace

void put_publication(std::string& out, const Publication& publication) {
  const PublicationInfo& info = publication.info();
  const unsigned flags = static_cast<unsigned>(info.qos) | (info.retain ? kRetain : 0U);
  put_u8(out, static_cast<std::uint8_t>(flags));
  put_be64(out, info.publisher.life.node.value);
  put_varint(out, info.publisher.life.number.value);
  put_varint(out, info.publisher.session);
  put_varint(out, info.sequence);
  put_varint(out, info.trace_id);
  put_varint(out, info.stamp_ms);
  put_varint(out, info.expiry_ms);
  put_bytes(out, publication.tenant());
  put_bytes(out, publication.topic());
  put_bytes(out, publication.properties());
  put_bytes(out, publication.payload());
}

PublicationRef read_publication(Reader& reader) {
  const unsigned flags = reader.u8();
  PublicationInfo info;
  info.retain = (flags & kRetain) != 0;
  info.qos = static_cast<codec::QoS>(flags & 3U);
  info.publisher.life.node.value = reader.be64();
  info.publisher.life.number.value = reader.varint();
  info.publisher.session = reader.varint();
  info.sequence = reader.varint();
  info.trace_id = reader.varint();
  info.stamp_ms = reader.varint();
  info.expiry_ms = reader.varint();
  const std::string_view tenant = reader.bytes();
  const std::string_view topic = reader.bytes();
  const std::string_view properties = reader.bytes();
  const std::string_view payload = reader.bytes();
  const bool impossible = flags > 7 || (flags & 3U) > 2 || tenant.size() > kMaxName ||
                          topic.size() > kMaxName || properties.size() > kMaxBytes ||
                          payload.size() > kMaxBytes;
  if (impossible) reader.fail();
  if (!reader.ok()) return {};
  return Publication::make(info, tenant, topic, properties, payload);
}

}  // namespace skald::mqtt
