// Limits of the codec beside the packet size, which the session sets.
//
// A packet that passes one is refused with quota_exceeded (0x97, "an implementation or
// administrative imposed limit"): it is well formed, there is only too much of it.
#pragma once

#include <cstddef>

namespace skald::codec {

/// User properties in one property block. Each costs two allocations in a control packet for five
/// bytes on the wire, so the packet size alone would let memory grow tenfold.
inline constexpr std::size_t kUserPropertiesMax = 1024;

/// Bytes of all user properties in one block, as encoded: room for a pair of the longest strings.
inline constexpr std::size_t kUserPropertyBytesMax = 256 * 1024;

}  // namespace skald::codec
