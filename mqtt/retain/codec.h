// Commands and replies of the retain range as bytes: what kv/range's MachineOf drives the machine
// by.
//
// Command: u8 version (1) | u8 kind, then
//   kind 1  store   varint count | publication (mqtt/publication_codec.h) each
//   kind 2  expire  varint limit
// Reply: u8 version (1) | u8 more | varint count | (varint place | u8 result) of each publication
// that is not plainly done, places ascending: a batch of which all is done takes 3 to 5 bytes.
#pragma once

#include <string>
#include <string_view>

#include "config/base/result.h"
#include "kv/range/machine.h"
#include "mqtt/retain/state_machine.h"
#include "mqtt/retain/types.h"

namespace skald::retain {

/// More in one Store is refused by the decoder, so it must not be proposed.
inline constexpr std::size_t kMaxPublications = 65'536;

std::string encode_command(const Command& command);
Result<Command> decode_command(std::string_view bytes);
std::string encode_reply(const Reply& reply);
Result<Reply> decode_reply(std::string_view bytes);

struct Codec {
  static Result<Command> decode_command(std::string_view bytes) {
    return retain::decode_command(bytes);
  }
  static std::string encode_reply(const Reply& reply) { return retain::encode_reply(reply); }
  /// There is one effect: the shell publishes machine().snapshot().
  static std::string encode_effect(const PublishSnapshot&) { return {}; }
};

using Machine = range::MachineOf<StateMachine, Codec>;

}  // namespace skald::retain
