#include "mqtt/retain/codec.h"

#include <variant>

#include "config/base/assert.h"
#include "config/base/coding.h"
#include "mqtt/publication_codec.h"

namespace skald::retain {
namespace {

constexpr std::uint8_t kVersion = 3;  // 1: a Store without limits; 2: without those of all tenants
constexpr std::uint8_t kStore = 1;
constexpr std::uint8_t kExpire = 2;

Error unreadable(const Reader& reader, const char* what) {
  const char* why = reader.newer_version() != 0 ? " of a newer release" : " that cannot be read";
  return Error{std::string("retain: a ") + what + why};
}

Store read_store(Reader& reader, std::uint8_t version) {
  Store command;
  const std::uint64_t count = reader.varint();
  if (count > kMaxPublications) reader.fail();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    command.publications.push_back(mqtt::read_publication(reader));
  }
  if (version < 2) return command;
  const std::uint64_t limits = reader.varint();
  if (limits > count) reader.fail();  // one a tenant at most
  for (std::uint64_t i = 0; i < limits && reader.ok(); ++i) {
    Store::Limit& limit = command.limits.emplace_back();
    limit.tenant = reader.bytes();
    limit.max_messages = reader.varint();
    limit.max_bytes = reader.varint();
  }
  if (version < 3) return command;
  command.most.max_messages = reader.varint();
  command.most.max_bytes = reader.varint();
  return command;
}

Expire read_expire(Reader& reader) {
  const std::uint64_t limit = reader.varint();
  if (limit > UINT32_MAX) reader.fail();
  return {static_cast<std::uint32_t>(limit)};
}

}  // namespace

std::string encode_command(const Command& command) {
  std::string out;
  put_u8(out, kVersion);
  if (const auto* expire = std::get_if<Expire>(&command)) {
    put_u8(out, kExpire);
    put_varint(out, expire->limit);
    return out;
  }
  const auto& [publications, limits, most] = std::get<Store>(command);
  SKALD_ASSERT(publications.size() <= kMaxPublications && limits.size() <= publications.size());
  put_u8(out, kStore);
  put_varint(out, publications.size());
  for (const mqtt::PublicationRef& publication : publications) {
    mqtt::put_publication(out, *publication);
  }
  put_varint(out, limits.size());
  for (const Store::Limit& limit : limits) {
    put_bytes(out, limit.tenant);
    put_varint(out, limit.max_messages);
    put_varint(out, limit.max_bytes);
  }
  put_varint(out, most.max_messages);
  put_varint(out, most.max_bytes);
  return out;
}

Result<Command> decode_command(std::string_view bytes) {
  Reader reader(bytes);
  const std::uint8_t version = reader.version(kVersion);
  const std::uint8_t kind = reader.u8();
  Command command;
  if (kind == kStore) {
    command = read_store(reader, version);
  } else if (kind == kExpire) {
    command = read_expire(reader);
  } else {
    reader.fail();
  }
  if (!reader.done()) return unreadable(reader, "command");
  return command;
}

std::string encode_reply(const Reply& reply) {
  std::string out;
  put_u8(out, kVersion);
  put_u8(out, reply.more ? 1 : 0);
  put_varint(out, reply.results.size());
  for (std::size_t i = 0; i < reply.results.size(); ++i) {
    if (reply.results[i] == StoreResult::done) continue;
    put_varint(out, i);
    put_u8(out, static_cast<std::uint8_t>(reply.results[i]));
  }
  return out;
}

Result<Reply> decode_reply(std::string_view bytes) {
  Reader reader(bytes);
  reader.version(kVersion);
  Reply reply;
  const std::uint8_t more = reader.u8();
  const std::uint64_t count = reader.varint();
  if (more > 1 || count > kMaxPublications) reader.fail();
  if (!reader.ok()) return unreadable(reader, "reply");
  reply.more = more == 1;
  reply.results.resize(count, StoreResult::done);
  for (std::uint64_t next = 0; !reader.rest().empty();) {
    const std::uint64_t place = reader.varint();
    const std::uint8_t result = reader.u8();
    const bool sound = place >= next && place < count && result != 0 &&
                       result <= static_cast<std::uint8_t>(StoreResult::invalid);
    if (!reader.ok() || !sound) return unreadable(reader, "reply");
    reply.results[place] = static_cast<StoreResult>(result);
    next = place + 1;
  }
  return reply;
}

}  // namespace skald::retain
