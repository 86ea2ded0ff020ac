#include "mqtt/inbox/pieces.h"

namespace skald::inbox {
namespace {

constexpr std::uint8_t kQosBits = 0x03;
constexpr std::uint8_t kNoLocal = 0x04;
constexpr std::uint8_t kRetainAsPublished = 0x08;

}  // namespace

void put_life(std::string& out, Life life) {
  put_be64(out, life.node.value);
  put_varint(out, life.number.value);
}

Life read_life(Reader& reader) {
  const NodeId node{reader.be64()};
  return {node, LifeNumber{reader.varint()}};
}

void put_owner(std::string& out, const Owner& owner) {
  put_life(out, owner.life);
  put_varint(out, owner.session);
}

Owner read_owner(Reader& reader) {
  const Life life = read_life(reader);
  return {.life = life, .session = reader.varint()};
}

void put_bool(std::string& out, bool value) { put_u8(out, value ? 1 : 0); }

bool read_bool(Reader& reader) {
  const std::uint8_t value = reader.u8();
  if (value > 1) reader.fail();
  return value == 1;
}

std::uint32_t read_u32(Reader& reader) {
  const std::uint64_t value = reader.varint();
  if (value > 0xFFFFFFFF) reader.fail();
  return static_cast<std::uint32_t>(value);
}

codec::QoS read_qos(Reader& reader) {
  const std::uint8_t qos = reader.u8();
  if (qos > 2) reader.fail();
  return static_cast<codec::QoS>(qos);
}

std::size_t read_count(Reader& reader) {
  const std::uint64_t count = reader.varint();
  if (count > reader.rest().size()) reader.fail();
  return reader.ok() ? static_cast<std::size_t>(count) : 0;
}

void put_ids(std::string& out, const std::vector<std::uint32_t>& ids) {
  put_varint(out, ids.size());
  for (const std::uint32_t id : ids) put_varint(out, id);
}

std::vector<std::uint32_t> read_ids(Reader& reader) {
  std::vector<std::uint32_t> ids(read_count(reader));
  for (std::uint32_t& id : ids) id = read_u32(reader);
  return ids;
}

void put_options(std::string& out, const codec::SubscriptionOptions& options) {
  unsigned flags = static_cast<unsigned>(options.qos);
  if (options.no_local) flags |= kNoLocal;
  if (options.retain_as_published) flags |= kRetainAsPublished;
  flags |= static_cast<unsigned>(options.retain_handling) << 4;
  put_u8(out, static_cast<std::uint8_t>(flags));
}

codec::SubscriptionOptions read_options(Reader& reader) {
  const std::uint8_t flags = reader.u8();
  if ((flags & kQosBits) > 2 || (flags >> 4) > 2) reader.fail();
  return {.qos = static_cast<codec::QoS>(flags & kQosBits),
          .no_local = (flags & kNoLocal) != 0,
          .retain_as_published = (flags & kRetainAsPublished) != 0,
          .retain_handling = static_cast<codec::RetainHandling>(flags >> 4)};
}

void put_quota(std::string& out, const Quota& quota) {
  put_varint(out, quota.max_messages);
  put_varint(out, quota.max_bytes);
  put_varint(out, quota.max_subscriptions);
  put_u8(out, static_cast<std::uint8_t>(quota.overflow));
}

Quota read_quota(Reader& reader) {
  Quota quota;
  quota.max_messages = read_u32(reader);
  quota.max_bytes = reader.varint();
  quota.max_subscriptions = read_u32(reader);
  quota.overflow = read_bool(reader) ? Overflow::drop_oldest : Overflow::drop_newest;
  return quota;
}

}  // namespace skald::inbox
