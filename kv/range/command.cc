#include "kv/range/command.h"

#include "config/base/coding.h"

namespace skald::range {
namespace {

constexpr std::uint8_t kVersion = 1;

std::uint32_t read_u32(Reader& in) {
  const std::uint64_t value = in.varint();
  if (value > UINT32_MAX) in.fail();
  return static_cast<std::uint32_t>(value);
}

Life read_life(Reader& in) {
  Life life;
  life.node.value = in.varint();
  life.number.value = in.varint();
  return life;
}

void put_life(std::string& out, const Life& life) {
  put_varint(out, life.node.value);
  put_varint(out, life.number.value);
}

struct Put {
  std::string& out;

  void operator()(const UserCommand& command) const {
    put_life(out, command.lane.life);
    put_varint(out, command.lane.number);
    put_varint(out, command.seq);
    put_varint(out, command.boundary_ver);
    put_bytes(out, command.bytes);
  }
  void operator()(const EndLifeCommand& command) const {
    put_life(out, command.life);
    put_bytes(out, command.bytes);
  }
  void operator()(const SplitCommand& command) const {
    put_varint(out, command.epoch.conf_ver);
    put_varint(out, command.epoch.boundary_ver);
    put_bytes(out, command.key);
    put_varint(out, command.child.value);
  }
  void operator()(const RetireCommand& command) const { put_varint(out, command.genesis); }
  void operator()(const SetLevelCommand& command) const { put_varint(out, command.level); }
};

Result<Command> unreadable(const Reader& in, const char* what) {
  const char* why = in.newer_version() ? ": written by a newer release" : ": cannot be read";
  return Error{std::string(what) + why};
}

}  // namespace

std::string encode(const Command& command) {
  std::string out;
  put_u8(out, kVersion);
  put_varint(out, command.level);
  put_varint(out, command.stamp_us);
  put_u8(out, static_cast<std::uint8_t>(command.body.index()));
  std::visit(Put{out}, command.body);
  return out;
}

Result<Command> decode_command(std::string_view bytes) {
  Reader in(bytes);
  in.version(kVersion);
  Command command;
  command.level = read_u32(in);
  if (in.ok() && command.level > kLevelNow) {
    return Error{"range command: needs level " + std::to_string(command.level) +
                 ", this release has " + std::to_string(kLevelNow)};
  }
  command.stamp_us = in.varint();
  switch (in.u8()) {
    case 0: {
      UserCommand user;
      user.lane.life = read_life(in);
      user.lane.number = read_u32(in);
      user.seq = in.varint();
      user.boundary_ver = in.varint();
      user.bytes = in.bytes();
      command.body = std::move(user);
      break;
    }
    case 1: {
      EndLifeCommand end;
      end.life = read_life(in);
      end.bytes = in.bytes();
      command.body = std::move(end);
      break;
    }
    case 2: {
      SplitCommand split;
      split.epoch.conf_ver = in.varint();
      split.epoch.boundary_ver = in.varint();
      split.key = in.bytes();
      split.child.value = in.varint();
      command.body = std::move(split);
      break;
    }
    case 3:
      command.body = SetLevelCommand{read_u32(in)};
      break;
    case 4:
      command.body = RetireCommand{in.varint()};
      break;
    default:
      in.fail();
  }
  if (!in.done()) return unreadable(in, "range command");
  return command;
}

std::string encode(const ConfigContext& context) {
  std::string out;
  put_u8(out, kVersion);
  put_u8(out, context.recovery ? 1 : 0);
  put_varint(out, context.stores.size());
  for (const auto& [replica, store] : context.stores) {
    put_varint(out, replica.value);
    put_varint(out, store.value);
  }
  return out;
}

Result<ConfigContext> decode_config_context(std::string_view bytes) {
  ConfigContext context;
  if (bytes.empty()) return context;  // Raft's own entry that ends a joint configuration
  Reader in(bytes);
  in.version(kVersion);
  const std::uint8_t recovery = in.u8();
  if (recovery > 1) in.fail();
  context.recovery = recovery == 1;
  std::uint64_t count = in.varint();
  if (count > 2 * raft::kMembersMax) in.fail();
  for (; in.ok() && count > 0; --count) {
    const ReplicaId replica{in.varint()};
    context.stores.emplace_back(replica, StoreId{in.varint()});
  }
  if (!in.done()) return Error{"configuration context: cannot be read"};
  return context;
}

}  // namespace skald::range
