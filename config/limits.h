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
/// `[[user]]` and `[tenant.<name>]` tables; more users stand in a password file.
inline constexpr std::size_t kMaxUsers = 10'000;
inline constexpr std::size_t kMaxTenants = 1'000;
/// Topic filters in one list of a user; bytes of a name or password hash.
inline constexpr std::size_t kMaxRules = 10'000;
inline constexpr std::size_t kMaxNameBytes = 1024;
/// Of a password or ACL file.
inline constexpr std::size_t kMaxAccountFileBytes = 64 << 20;
/// Problems told in one go; the rest is only counted.
inline constexpr std::size_t kMaxReportedErrors = 50;
/// Bytes of a value or name that an error repeats.
inline constexpr std::size_t kMaxShownBytes = 200;

}  // namespace skald::config
