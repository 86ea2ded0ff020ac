#include "mqtt/dist/keys.h"

#include <utility>
#include <variant>

#include "config/base/coding.h"

namespace skald::dist {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kNode = 1;
constexpr std::uint8_t kInbox = 2;
constexpr std::uint8_t kMember = 3;
constexpr std::uint8_t kSession = 1;  // of a member; the other is kInbox

constexpr unsigned kRetainAsPublished = 1U << 2;  // beside the QoS
constexpr unsigned kNoLocal = 1U << 3;

void put_life(std::string& out, Life life) {
  put_be64(out, life.node.value);
  put_be64(out, life.number.value);
}

Life read_life(Reader& reader) {
  const NodeId node{reader.be64()};
  return {node, LifeNumber{reader.be64()}};
}

struct PutIdentity {
  std::string& out;

  void operator()(const NodeReceiver& node) const {
    put_u8(out, kNode);
    put_life(out, node.life);
  }
  void operator()(const InboxReceiver& inbox) const {
    put_u8(out, kInbox);
    put_ordered(out, inbox.inbox);
  }
  void operator()(const InboxMember& member) const { (*this)(member.inbox); }
  void operator()(const SessionMember& session) const {
    put_u8(out, kSession);
    put_life(out, session.life);
    put_be64(out, session.session);
  }
  void operator()(const GroupReceiver& group) const {
    put_u8(out, kMember);
    put_ordered(out, group.group);
    std::visit(*this, group.member);
  }
};

struct PutRest {
  std::string& out;

  void operator()(const NodeReceiver&) const {}
  void operator()(const InboxReceiver& inbox) const {
    put_varint(out, inbox.incarnation);
    put_u8(out, static_cast<std::uint8_t>(static_cast<unsigned>(inbox.qos) |
                                          (inbox.retain_as_published ? kRetainAsPublished : 0U) |
                                          (inbox.no_local ? kNoLocal : 0U)));
    put_varint(out, inbox.subscription_id);
  }
  void operator()(const InboxMember& member) const {
    (*this)(member.inbox);
    put_varint(out, member.attached);
    put_u8(out, member.online() ? 1 : 0);
    if (member.online()) put_life(out, member.owner);
  }
  void operator()(const SessionMember& session) const {
    put_varint(out, session.incarnation);
    put_u8(out, static_cast<std::uint8_t>(session.qos));
    put_be16(out, session.loop);
  }
  void operator()(const GroupReceiver& group) const { std::visit(*this, group.member); }
};

codec::QoS qos_of(unsigned qos, Reader& reader) {
  if (qos > 2) reader.fail();
  return static_cast<codec::QoS>(qos);
}

struct ReadRest {
  Reader& reader;

  void operator()(NodeReceiver&) const {}
  void operator()(InboxReceiver& inbox) const {
    inbox.incarnation = reader.varint();
    const unsigned options = reader.u8();
    const std::uint64_t id = reader.varint();
    inbox.qos = qos_of(options & ~(kRetainAsPublished | kNoLocal), reader);
    inbox.retain_as_published = (options & kRetainAsPublished) != 0;
    inbox.no_local = (options & kNoLocal) != 0;
    inbox.subscription_id = static_cast<std::uint32_t>(id);
    if (id > UINT32_MAX) reader.fail();
  }
  void operator()(InboxMember& member) const {
    (*this)(member.inbox);
    member.attached = reader.varint();
    const std::uint8_t online = reader.u8();
    if (online > 1) reader.fail();
    if (online == 0) return;
    member.owner = read_life(reader);
    if (!member.online()) reader.fail();
  }
  void operator()(SessionMember& session) const {
    session.incarnation = reader.varint();
    session.qos = qos_of(reader.u8(), reader);
    session.loop = reader.be16();
  }
  void operator()(GroupReceiver& group) const { std::visit(*this, group.member); }
};

InboxReceiver read_inbox(Reader& reader) {
  InboxReceiver inbox;
  inbox.inbox = reader.ordered();
  return inbox;
}

GroupMember read_member(Reader& reader) {
  const std::uint8_t kind = reader.u8();
  if (kind == kInbox) return InboxMember{.inbox = read_inbox(reader), .owner = {}};
  if (kind != kSession) reader.fail();
  SessionMember session;
  session.life = read_life(reader);
  session.session = reader.be64();
  return session;
}

Receiver read_receiver(Reader& reader) {
  const std::uint8_t kind = reader.u8();
  if (kind == kInbox) return read_inbox(reader);
  if (kind == kMember) {
    std::string group = reader.ordered();
    return GroupReceiver{.group = std::move(group), .member = read_member(reader)};
  }
  if (kind != kNode) reader.fail();
  return NodeReceiver{.life = read_life(reader)};
}

}  // namespace

std::string route_key(const Route& route) {
  std::string key;
  key.reserve(route.tenant.size() + route.filter.size() + 32);
  put_ordered(key, route.tenant);
  put_ordered(key, route.filter);
  std::visit(PutIdentity{key}, route.receiver);
  return key;
}

std::string route_value(const Route& route) {
  std::string value;
  put_u8(value, kVersion);
  std::visit(PutRest{value}, route.receiver);
  return value;
}

Result<Route> decode_route_key(std::string_view key) {
  Reader reader(key);
  Route route;
  route.tenant = reader.ordered();
  route.filter = reader.ordered();
  route.receiver = read_receiver(reader);
  if (!reader.done()) return Error{"dist: a route's key cannot be read"};
  return route;
}

Result<Route> decode_route(std::string_view key, std::string_view value) {
  Result<Route> route = decode_route_key(key);
  if (!route.ok()) return route;
  Reader reader(value);
  reader.version(kVersion);
  std::visit(ReadRest{reader}, route->receiver);
  if (reader.done()) return route;
  if (reader.newer_version()) return Error{"dist: a route was written by a newer release"};
  return Error{"dist: a route's value cannot be read"};
}

std::optional<std::string> group_prefix(std::string_view key) {
  Reader reader(key);
  reader.ordered();
  reader.ordered();
  if (reader.u8() != kMember) return std::nullopt;
  reader.ordered();
  if (!reader.ok() || reader.rest().empty()) return std::nullopt;
  return std::string(key.substr(0, key.size() - reader.rest().size()));
}

}  // namespace skald::dist
