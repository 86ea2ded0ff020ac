// Commands, replies and effects of the meta range as bytes; what range::MachineOf wants of a codec.
// Versioned; decoding trusts nothing.
#pragma once

#include <string>
#include <string_view>

#include "config/base/result.h"
#include "kv/meta/types.h"

namespace skald::meta {

struct Codec {
  static std::string encode_command(const Command& command);
  static Result<Command> decode_command(std::string_view bytes);
  static std::string encode_reply(const Reply& reply);
  static Result<Reply> decode_reply(std::string_view bytes);
  static std::string encode_effect(const Effect& effect);
  static Result<Effect> decode_effect(std::string_view bytes);
};

}  // namespace skald::meta
