// Limits that are not configurable: beyond them something is wrong, not merely large.
//
// A limit that an operator may want to move is a key of config/options.h instead.
#pragma once

#include <cstddef>

namespace skald::config {

/// A configuration file above this is refused unread.
inline constexpr std::size_t kMaxConfigFileBytes = 1 << 20;
/// `[[listener]]` tables in one file.
inline constexpr std::size_t kMaxListeners = 64;
/// Problems told in one go; the rest is only counted.
inline constexpr std::size_t kMaxReportedErrors = 50;
/// Bytes of a value or name that an error repeats.
inline constexpr std::size_t kMaxShownBytes = 200;

}  // namespace skald::config
