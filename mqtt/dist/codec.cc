#include "mqtt/dist/codec.h"

#include <utility>
#include <variant>

#include "config/base/assert.h"
#include "config/base/coding.h"
#include "mqtt/dist/keys.h"

namespace skald::dist {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kChange = 1;
constexpr std::uint8_t kEndLife = 2;
constexpr std::uint8_t kAdd = 1;
constexpr std::uint8_t kRemove = 2;
constexpr std::uint8_t kAddWithin = 3;  // with RouteChange::max_members in front

Error unreadable(const Reader& reader, const char* what) {
  const char* why = reader.newer_version() != 0 ? " of a newer release" : " that cannot be read";
  return Error{std::string("dist: a ") + what + why};
}

ChangeRoutes read_changes(Reader& reader) {
  ChangeRoutes command;
  const std::uint64_t count = reader.varint();
  if (count > kMaxChanges) reader.fail();
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    const std::uint8_t kind = reader.u8();
    const std::uint64_t max_members = kind == kAddWithin ? reader.varint() : 0;
    const std::string_view key = reader.bytes();
    Result<Route> route = decode_route(key, reader.bytes());
    const bool sound = kind == kAdd || kind == kRemove ||
                       (kind == kAddWithin && max_members != 0 && max_members <= UINT32_MAX);
    if (!sound || !route.ok()) {
      reader.fail();
      break;
    }
    command.changes.push_back(
        {.kind = kind == kRemove ? RouteChange::Kind::remove : RouteChange::Kind::add,
         .route = std::move(*route),
         .max_members = static_cast<std::uint32_t>(max_members)});
  }
  return command;
}

EndLife read_end_life(Reader& reader) {
  EndLife command;
  command.life.node.value = reader.be64();
  command.life.number.value = reader.be64();
  const std::uint64_t limit = reader.varint();
  if (limit > UINT32_MAX) reader.fail();
  command.limit = static_cast<std::uint32_t>(limit);
  return command;
}

}  // namespace

std::string encode_command(const Command& command) {
  std::string out;
  put_u8(out, kVersion);
  if (const auto* end = std::get_if<EndLife>(&command)) {
    put_u8(out, kEndLife);
    put_be64(out, end->life.node.value);
    put_be64(out, end->life.number.value);
    put_varint(out, end->limit);
    return out;
  }
  const auto& changes = std::get<ChangeRoutes>(command).changes;
  SKALD_ASSERT(changes.size() <= kMaxChanges);
  put_u8(out, kChange);
  put_varint(out, changes.size());
  for (const RouteChange& change : changes) {
    const bool add = change.kind == RouteChange::Kind::add;
    if (add && change.max_members != 0) {
      put_u8(out, kAddWithin);
      put_varint(out, change.max_members);
    } else {
      put_u8(out, add ? kAdd : kRemove);
    }
    put_bytes(out, route_key(change.route));
    put_bytes(out, route_value(change.route));
  }
  return out;
}

Result<Command> decode_command(std::string_view bytes) {
  Reader reader(bytes);
  reader.version(kVersion);
  const std::uint8_t kind = reader.u8();
  Command command;
  if (kind == kChange) {
    command = read_changes(reader);
  } else if (kind == kEndLife) {
    command = read_end_life(reader);
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
    if (reply.results[i] == RouteResult::done) continue;
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
  if (more > 1 || count > kMaxChanges) reader.fail();
  if (!reader.ok()) return unreadable(reader, "reply");
  reply.more = more == 1;
  reply.results.resize(count, RouteResult::done);
  for (std::uint64_t next = 0; !reader.rest().empty();) {
    const std::uint64_t place = reader.varint();
    const std::uint8_t result = reader.u8();
    const bool sound = place >= next && place < count && result != 0 &&
                       result <= static_cast<std::uint8_t>(RouteResult::full);
    if (!reader.ok() || !sound) return unreadable(reader, "reply");
    reply.results[place] = static_cast<RouteResult>(result);
    next = place + 1;
  }
  return reply;
}

}  // namespace skald::dist
