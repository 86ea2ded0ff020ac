#include "mqtt/retain/record.h"

#include "config/base/coding.h"
#include "mqtt/topic/topic.h"

namespace skald::retain {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMaxTenantBytes = 65535;  // what a Publication holds

}  // namespace

std::string record_key(std::string_view tenant, std::string_view topic) {
  std::string key;
  put_ordered(key, tenant);
  put_ordered(key, topic);
  return key;
}

std::string record_value(const mqtt::Publication& publication) {
  const mqtt::PublicationInfo& info = publication.info();
  std::string value;
  put_u8(value, kVersion);
  put_varint(value, info.stamp_ms);
  put_varint(value, info.expiry_ms);
  put_u8(value, static_cast<std::uint8_t>(info.qos));
  put_be64(value, info.publisher.life.node.value);
  put_be64(value, info.publisher.life.number.value);
  put_be64(value, info.publisher.session);
  put_varint(value, info.sequence);
  put_bytes(value, publication.properties());
  put_bytes(value, publication.payload());
  return value;
}

Result<mqtt::PublicationRef> decode_record(std::string_view key, std::string_view value) {
  Reader keys(key);
  const std::string tenant = keys.ordered();
  const std::string topic = keys.ordered();
  Reader reader(value);
  if (reader.version(kVersion) != kVersion && reader.newer_version() != 0) {
    return Error{"retained record of a newer version"};
  }
  mqtt::PublicationInfo info;
  info.retain = true;
  info.stamp_ms = reader.varint();
  info.expiry_ms = reader.varint();
  const std::uint8_t qos = reader.u8();
  info.publisher.life.node.value = reader.be64();
  info.publisher.life.number.value = reader.be64();
  info.publisher.session = reader.be64();
  info.sequence = reader.varint();
  const std::string_view properties = reader.bytes();
  const std::string_view payload = reader.bytes();
  // No command stores such a thing: an empty payload clears, an invalid topic is refused.
  const bool impossible = qos > 2 || payload.empty() || tenant.size() > kMaxTenantBytes ||
                          topic::check_name(topic) != topic::Refusal::none;
  if (!keys.done() || !reader.done() || impossible) return Error{"retained record is damaged"};
  info.qos = static_cast<codec::QoS>(qos);
  return mqtt::Publication::make(info, tenant, topic, properties, payload);
}

}  // namespace skald::retain
