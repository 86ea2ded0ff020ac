// Base64 (RFC 4648 section 4), with or without padding: the text form of salts and hashes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace skald::auth {

std::string base64(std::string_view bytes, bool padded);
/// Takes both forms; nothing when a character or the length cannot be.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace skald::auth
