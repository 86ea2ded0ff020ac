// What must hold for the bytes of any frame, good or bad. Shared by the tests and the fuzz target.
#pragma once

#include <string>
#include <string_view>

#include "mqtt/codec/types.h"

namespace skald::codec {

/// Who sent the bytes: a server's PUBLISH may carry subscription identifiers.
enum class Side { client, server };

struct Verdict {
  std::string decoded;    // the packet or the error as text, or "" when the frame is not complete
  std::string reencoded;  // the packet encoded again, empty for an error
  std::string fault;      // what the codec did wrong; empty when all is well
};

/// Decodes the frame at the head of `bytes` and, when it decodes, checks that what is encoded from
/// it decodes to an equal value, that encoding that again gives the same bytes, that the sizes
/// foretold are right, and that the hot path agrees with the general one. Copies `bytes` to a heap
/// block of exactly their size first, so that a sanitizer sees each step beyond them.
Verdict judge(std::string_view bytes, Version version, Side side);

/// Checks next_frame on every prefix of `frame`, a whole packet: need_more with a `needed` that
/// grows and never passes the whole. Returns what is wrong, or nothing.
std::string judge_prefixes(std::string_view frame);

}  // namespace skald::codec
