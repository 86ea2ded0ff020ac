#include "mqtt/inbox/codec.h"

#include <utility>
#include <variant>

#include "config/base/coding.h"
#include "mqtt/inbox/pieces.h"

namespace skald::inbox {
namespace {

constexpr std::uint8_t kVersion = 2;  // 1: without what a tenant has room for

// The kind byte of an operation is its index in the variant, which is only ever appended to.

void put_name(std::string& out, const Name& name) {
  put_bytes(out, name.tenant);
  put_bytes(out, name.client_id);
}

Name read_name(Reader& reader) {
  Name name;
  name.tenant = reader.bytes();
  name.client_id = reader.bytes();
  return name;
}

std::uint16_t read_u16(Reader& reader) {
  const std::uint64_t value = reader.varint();
  if (value > 0xFFFF) reader.fail();
  return static_cast<std::uint16_t>(value);
}

struct Put {
  std::string& out;

  template <class T>
  void put_who(const T& operation) const {
    put_name(out, operation.name);
    put_varint(out, operation.incarnation);
  }

  void operator()(const Attach& attach) const {
    put_name(out, attach.name);
    put_owner(out, attach.owner);
    put_bytes(out, attach.user);
    put_bool(out, attach.take_from_others);
    put_bool(out, attach.clean_start);
    put_varint(out, attach.expiry_s);
    put_bool(out, attach.will.has_value());
    if (attach.will) {
      put_varint(out, attach.will->delay_s);
      mqtt::put_publication(out, *attach.will->publication);
    }
    put_quota(out, attach.quota);
    put_bool(out, attach.may_begin);
  }
  void operator()(const Detach& detach) const {
    put_who(detach);
    put_u8(out, static_cast<std::uint8_t>(detach.why));
    put_bool(out, detach.expiry_s.has_value());
    if (detach.expiry_s) put_varint(out, *detach.expiry_s);
    put_varint(out, detach.sent_up_to);
  }
  void operator()(const Subscribe& subscribe) const {
    put_who(subscribe);
    put_bytes(out, subscribe.filter);
    put_options(out, subscribe.options);
    put_varint(out, subscribe.id);
    put_bool(out, subscribe.may_add);
  }
  void operator()(const Unsubscribe& unsubscribe) const {
    put_who(unsubscribe);
    put_bytes(out, unsubscribe.filter);
  }
  void operator()(const Accept& accept) const {
    put_who(accept);
    put_varint(out, accept.packet_id);
    put_varint(out, accept.sequence);
  }
  void operator()(const HandedOut& handed_out) const {
    put_who(handed_out);
    put_varint(out, handed_out.packet_id);
    put_varint(out, handed_out.sequence);
  }
  void operator()(const Release& release) const {
    put_who(release);
    put_varint(out, release.packet_id);
  }
  void operator()(const Insert& insert) const {
    put_varint(out, insert.publication);
    put_bool(out, insert.once);
    put_varint(out, insert.done_below);
    put_bool(out, insert.retained_feed);
    put_bool(out, insert.has_room);
    put_varint(out, insert.targets.size());
    for (const Insert::Target& target : insert.targets) {
      put_name(out, target.name);
      put_varint(out, target.route);
      put_u8(out, static_cast<std::uint8_t>(target.qos));
      put_bool(out, target.retain);
      put_ids(out, target.subscription_ids);
      put_bytes(out, target.shared_group);
      put_bytes(out, target.shared_filter);
    }
  }
  void operator()(const Finish& finish) const {
    put_who(finish);
    put_varint(out, finish.seqs.size());
    for (const Seq seq : finish.seqs) put_varint(out, seq);
  }
  void operator()(const Received& received) const {
    put_who(received);
    put_varint(out, received.seq);
  }
  void operator()(const Tick& tick) const { put_varint(out, tick.limit); }
  void operator()(const EndLife& end) const { put_life(out, end.life); }
  void operator()(const OutboxDone& done) const {
    put_varint(out, done.intents.size());
    for (const std::uint64_t intent : done.intents) put_varint(out, intent);
  }
  void operator()(const Fed& fed) const {
    put_who(fed);
    put_bytes(out, fed.filter);
    put_varint(out, fed.route);
  }
};

template <class T>
void read_who(Reader& reader, T& operation) {
  operation.name = read_name(reader);
  operation.incarnation = reader.varint();
}

struct Read {
  Reader& reader;
  std::uint8_t version = kVersion;

  void operator()(Attach& attach) const {
    attach.name = read_name(reader);
    attach.owner = read_owner(reader);
    attach.user = reader.bytes();
    attach.take_from_others = read_bool(reader);
    attach.clean_start = read_bool(reader);
    attach.expiry_s = read_u32(reader);
    if (read_bool(reader)) {
      const std::uint32_t delay_s = read_u32(reader);
      attach.will = Will{.publication = mqtt::read_publication(reader), .delay_s = delay_s};
    }
    attach.quota = read_quota(reader);
    if (version > 1) attach.may_begin = read_bool(reader);
  }
  void operator()(Detach& detach) const {
    read_who(reader, detach);
    const std::uint8_t why = reader.u8();
    if (why > static_cast<std::uint8_t>(Detach::Why::drain)) reader.fail();
    detach.why = static_cast<Detach::Why>(why);
    if (read_bool(reader)) detach.expiry_s = read_u32(reader);
    detach.sent_up_to = reader.varint();
  }
  void operator()(Subscribe& subscribe) const {
    read_who(reader, subscribe);
    subscribe.filter = reader.bytes();
    subscribe.options = read_options(reader);
    subscribe.id = read_u32(reader);
    if (version > 1) subscribe.may_add = read_bool(reader);
  }
  void operator()(Unsubscribe& unsubscribe) const {
    read_who(reader, unsubscribe);
    unsubscribe.filter = reader.bytes();
  }
  void operator()(Accept& accept) const {
    read_who(reader, accept);
    accept.packet_id = read_u16(reader);
    accept.sequence = reader.varint();
  }
  void operator()(HandedOut& handed_out) const {
    read_who(reader, handed_out);
    handed_out.packet_id = read_u16(reader);
    handed_out.sequence = reader.varint();
  }
  void operator()(Release& release) const {
    read_who(reader, release);
    release.packet_id = read_u16(reader);
  }
  void operator()(Insert& insert) const {
    insert.publication = read_u32(reader);
    insert.once = read_bool(reader);
    insert.done_below = reader.varint();
    insert.retained_feed = read_bool(reader);
    if (version > 1) insert.has_room = read_bool(reader);
    // Grown as they come: a target in memory is many times the byte that it may claim to be.
    for (std::size_t left = read_count(reader); left > 0 && reader.ok(); --left) {
      Insert::Target& target = insert.targets.emplace_back();
      target.name = read_name(reader);
      target.route = reader.varint();
      target.qos = read_qos(reader);
      target.retain = read_bool(reader);
      target.subscription_ids = read_ids(reader);
      target.shared_group = reader.bytes();
      target.shared_filter = reader.bytes();
    }
  }
  void operator()(Finish& finish) const {
    read_who(reader, finish);
    finish.seqs.resize(read_count(reader));
    for (Seq& seq : finish.seqs) seq = reader.varint();
  }
  void operator()(Received& received) const {
    read_who(reader, received);
    received.seq = reader.varint();
  }
  void operator()(Tick& tick) const { tick.limit = read_u32(reader); }
  void operator()(EndLife& end) const { end.life = read_life(reader); }
  void operator()(OutboxDone& done) const {
    done.intents.resize(read_count(reader));
    for (std::uint64_t& intent : done.intents) intent = reader.varint();
  }
  void operator()(Fed& fed) const {
    read_who(reader, fed);
    fed.filter = reader.bytes();
    fed.route = reader.varint();
  }
};

template <std::size_t kind = 0>
Operation make_operation(std::size_t wanted, Reader& reader) {
  if constexpr (kind == std::variant_size_v<Operation>) {
    reader.fail();
    return Tick{};
  } else {
    if (kind == wanted) return Operation(std::in_place_index<kind>);
    return make_operation<kind + 1>(wanted, reader);
  }
}

constexpr std::uint8_t kPresent = 0x01;
constexpr std::uint8_t kReplaced = 0x02;
constexpr std::uint8_t kPrevious = 0x04;

void put_result(std::string& out, const OperationResult& result) {
  put_varint(out, result.operation);
  put_varint(out, result.target);
  put_u8(out, static_cast<std::uint8_t>(result.result));
  unsigned flags = 0;
  if (result.session_present) flags |= kPresent;
  if (result.replaced) flags |= kReplaced;
  if (result.previous) flags |= kPrevious;
  put_u8(out, static_cast<std::uint8_t>(flags));
  put_varint(out, result.incarnation);
  put_varint(out, result.birth);
  if (result.previous) put_owner(out, *result.previous);
}

OperationResult read_result(Reader& reader) {
  OperationResult result;
  result.operation = read_u32(reader);
  result.target = read_u32(reader);
  const std::uint8_t what = reader.u8();
  if (what > static_cast<std::uint8_t>(Result::over_total)) reader.fail();
  result.result = static_cast<Result>(what);
  const std::uint8_t flags = reader.u8();
  if (flags > (kPresent | kReplaced | kPrevious)) reader.fail();
  result.session_present = (flags & kPresent) != 0;
  result.replaced = (flags & kReplaced) != 0;
  result.incarnation = reader.varint();
  result.birth = reader.varint();
  if ((flags & kPrevious) != 0) result.previous = read_owner(reader);
  return result;
}

Error unreadable(const Reader& reader, const char* what) {
  if (reader.newer_version() != 0) {
    return Error{std::string("inbox: a ") + what + " was written by a newer release"};
  }
  return Error{std::string("inbox: a ") + what + " cannot be read"};
}

}  // namespace

std::string encode_command(const Command& command) {
  std::string out;
  put_u8(out, kVersion);
  put_varint(out, command.publications.size());
  for (const mqtt::PublicationRef& publication : command.publications) {
    mqtt::put_publication(out, *publication);
  }
  put_varint(out, command.operations.size());
  for (const Operation& operation : command.operations) {
    put_u8(out, static_cast<std::uint8_t>(operation.index()));
    std::visit(Put{out}, operation);
  }
  return out;
}

skald::Result<Command> decode_command(std::string_view bytes) {
  Reader reader(bytes);
  const std::uint8_t version = reader.version(kVersion);
  Command command;
  for (std::size_t left = read_count(reader); left > 0 && reader.ok(); --left) {
    command.publications.push_back(mqtt::read_publication(reader));
  }
  for (std::size_t left = read_count(reader); left > 0 && reader.ok(); --left) {
    command.operations.push_back(make_operation(reader.u8(), reader));
    std::visit(Read{reader, version}, command.operations.back());
  }
  if (!reader.done()) return unreadable(reader, "command");
  return command;
}

std::string encode_reply(const Reply& reply) {
  std::string out;
  put_u8(out, kVersion);
  put_varint(out, reply.results.size());
  for (const OperationResult& result : reply.results) put_result(out, result);
  return out;
}

skald::Result<Reply> decode_reply(std::string_view bytes) {
  Reader reader(bytes);
  reader.version(kVersion);
  Reply reply;
  for (std::size_t left = read_count(reader); left > 0 && reader.ok(); --left) {
    reply.results.push_back(read_result(reader));
  }
  if (!reader.done()) return unreadable(reader, "reply");
  return reply;
}

}  // namespace skald::inbox
