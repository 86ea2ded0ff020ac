// UTF-8 the slow and obvious way, by the definition in RFC 3629: decode a number, then judge it.
#pragma once

#include <cstdint>
#include <string_view>

namespace skald::codec {

/// Well-formed, no surrogate, not overlong, at most U+10FFFF; U+0000 and wildcards as asked.
inline bool reference_utf8(std::string_view bytes, bool allow_nul, bool allow_wildcards) {
  for (std::size_t i = 0; i < bytes.size();) {
    const auto lead = static_cast<unsigned char>(bytes[i]);
    std::size_t length = 0;
    std::uint32_t value = 0;
    if (lead < 0x80) {
      length = 1;
      value = lead;
    } else if ((lead & 0xE0) == 0xC0) {
      length = 2;
      value = lead & 0x1F;
    } else if ((lead & 0xF0) == 0xE0) {
      length = 3;
      value = lead & 0x0F;
    } else if ((lead & 0xF8) == 0xF0) {
      length = 4;
      value = lead & 0x07;
    } else {
      return false;
    }
    for (std::size_t k = 1; k < length; ++k) {
      if (i + k >= bytes.size()) return false;
      const auto next = static_cast<unsigned char>(bytes[i + k]);
      if ((next & 0xC0) != 0x80) return false;
      value = value << 6 | (next & 0x3FU);
    }
    static constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < kLeast[length] || value > 0x10FFFF) return false;
    if (value >= 0xD800 && value <= 0xDFFF) return false;
    if (value == 0 && !allow_nul) return false;
    if ((value == '#' || value == '+') && !allow_wildcards) return false;
    i += length;
  }
  return true;
}

}  // namespace skald::codec
