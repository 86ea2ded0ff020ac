// Commands and replies of inbox ranges as bytes: what is proposed, logged and answered.
//
// A u8 version (1), then varints and length-prefixed strings (config/base/coding.h); every payload
// once. Decoding never trusts the bytes; one value has one encoding. Effects have none: they go
// from the leader's machine to its shell as they are.
#pragma once

#include <string>
#include <string_view>

#include "config/base/result.h"
#include "mqtt/inbox/types.h"

namespace skald::inbox {

/// Requires: no publication is null, and Will::publication neither.
std::string encode_command(const Command& command);
skald::Result<Command> decode_command(std::string_view bytes);

std::string encode_reply(const Reply& reply);
skald::Result<Reply> decode_reply(std::string_view bytes);

}  // namespace skald::inbox
