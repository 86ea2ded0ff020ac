// CRC-32C (Castagnoli), as LevelDB's record logs use it.
#pragma once

#include <cstdint>
#include <string_view>

namespace skald::store {

/// The checksum of `data`, or of what `crc` covers followed by `data`.
std::uint32_t crc32c(std::string_view data, std::uint32_t crc = 0);

}  // namespace skald::store
