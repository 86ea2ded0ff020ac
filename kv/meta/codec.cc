#include "kv/meta/codec.h"

#include "config/base/coding.h"

namespace skald::meta {
namespace {

constexpr std::uint8_t kVersion = 1;

void put(std::string& out, const Life& life) {
  put_varint(out, life.node.value);
  put_varint(out, life.number.value);
}

Life read_life(Reader& in) {
  Life life;
  life.node.value = in.varint();
  life.number.value = in.varint();
  return life;
}

bool read_flag(Reader& in) {
  const std::uint8_t flag = in.u8();
  if (flag > 1) in.fail();
  return flag == 1;
}

template <class T>
Result<T> finished(const Reader& in, T value, const char* what) {
  if (in.done()) return value;
  const char* why = in.newer_version() ? ": written by a newer release" : ": cannot be read";
  return Error{std::string(what) + why};
}

struct Put {
  std::string& out;

  void operator()(const GrantLife& grant) const {
    put_varint(out, grant.node.value);
    put_varint(out, grant.nonce);
    put_u8(out, grant.succeeds ? 1 : 0);
  }
  void operator()(const RenewLife& renew) const { put(out, renew.life); }
  void operator()(const EndLife& end) const {
    put(out, end.life);
    put_varint(out, end.seen);
  }
  void operator()(const IntentDone& done) const { put(out, done.life); }
  void operator()(const SetSetting& set) const {
    put_bytes(out, set.key);
    put_u8(out, set.value ? 1 : 0);
    if (set.value) put_bytes(out, *set.value);
    put_u8(out, set.expected ? 1 : 0);
    if (set.expected) put_varint(out, *set.expected);
  }
  void operator()(const LifeSeen& seen) const {
    put(out, seen.life);
    put_varint(out, seen.index);
  }
  void operator()(const EndIntent& intent) const { put(out, intent.life); }
  void operator()(const SettingChanged& changed) const { put_bytes(out, changed.key); }
};

template <class V>
std::string encode_variant(const V& value) {
  std::string out;
  put_u8(out, kVersion);
  put_u8(out, static_cast<std::uint8_t>(value.index()));
  std::visit(Put{out}, value);
  return out;
}

SetSetting read_set(Reader& in) {
  SetSetting set;
  set.key = in.bytes();
  if (read_flag(in)) set.value = std::string(in.bytes());
  if (read_flag(in)) set.expected = in.varint();
  return set;
}

}  // namespace

std::string Codec::encode_command(const Command& command) { return encode_variant(command); }

Result<Command> Codec::decode_command(std::string_view bytes) {
  Reader in(bytes);
  in.version(kVersion);
  Command command;
  switch (in.u8()) {
    case 0: {
      GrantLife grant;
      grant.node.value = in.varint();
      grant.nonce = in.varint();
      grant.succeeds = read_flag(in);
      command = grant;
      break;
    }
    case 1:
      command = RenewLife{read_life(in)};
      break;
    case 2: {
      EndLife end{read_life(in), 0};
      end.seen = in.varint();
      command = end;
      break;
    }
    case 3:
      command = IntentDone{read_life(in)};
      break;
    case 4:
      command = read_set(in);
      break;
    default:
      in.fail();
  }
  return finished(in, std::move(command), "meta command");
}

std::string Codec::encode_reply(const Reply& reply) {
  std::string out;
  put_u8(out, kVersion);
  put_u8(out, static_cast<std::uint8_t>(reply.outcome));
  put(out, reply.life);
  put_varint(out, reply.version);
  return out;
}

Result<Reply> Codec::decode_reply(std::string_view bytes) {
  Reader in(bytes);
  in.version(kVersion);
  Reply reply;
  const std::uint8_t outcome = in.u8();
  if (outcome > static_cast<std::uint8_t>(Outcome::kWait)) in.fail();
  reply.outcome = static_cast<Outcome>(outcome);
  reply.life = read_life(in);
  reply.version = in.varint();
  return finished(in, reply, "meta reply");
}

std::string Codec::encode_effect(const Effect& effect) { return encode_variant(effect); }

Result<Effect> Codec::decode_effect(std::string_view bytes) {
  Reader in(bytes);
  in.version(kVersion);
  Effect effect;
  switch (in.u8()) {
    case 0: {
      LifeSeen seen{read_life(in), 0};
      seen.index = in.varint();
      effect = seen;
      break;
    }
    case 1:
      effect = EndIntent{read_life(in)};
      break;
    case 2:
      effect = SettingChanged{std::string(in.bytes())};
      break;
    default:
      in.fail();
  }
  return finished(in, std::move(effect), "meta effect");
}

}  // namespace skald::meta
