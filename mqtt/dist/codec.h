// Commands and replies of the dist range as bytes: what kv/range's MachineOf drives the machine by.
//
// Command: u8 version (1) | u8 kind, then
//   kind 1  change    varint count | (u8 1 add, 2 remove | bytes key | bytes value (keys.h)) each
//   kind 2  end life  be64 node | be64 life | varint limit
// Reply: u8 version (1) | u8 more | varint count | (varint place | u8 result) of each change that
// is not plainly done, places ascending: a batch of which all is done is answered in 3 to 5 bytes.
#pragma once

#include <string>
#include <string_view>

#include "config/base/result.h"
#include "kv/range/machine.h"
#include "mqtt/dist/state_machine.h"
#include "mqtt/dist/types.h"

namespace skald::dist {

/// More in one ChangeRoutes is refused by the decoder, so it must not be proposed.
inline constexpr std::size_t kMaxChanges = 65'536;

std::string encode_command(const Command& command);
Result<Command> decode_command(std::string_view bytes);
std::string encode_reply(const Reply& reply);
Result<Reply> decode_reply(std::string_view bytes);

struct Codec {
  static Result<Command> decode_command(std::string_view bytes) {
    return dist::decode_command(bytes);
  }
  static std::string encode_reply(const Reply& reply) { return dist::encode_reply(reply); }
  /// There is one effect: the shell publishes machine().snapshot().
  static std::string encode_effect(const PublishSnapshot&) { return {}; }
};

using Machine = range::MachineOf<StateMachine, Codec>;

}  // namespace skald::dist
