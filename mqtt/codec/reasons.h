// Which reason codes may stand in which packet (MQTT 5.0 table 2-6), and what 3.x says instead.
#pragma once

#include <cstdint>

#include "mqtt/codec/types.h"

namespace skald::codec {

/// May `code` stand in a v5 packet of this type? DISCONNECT: from either side.
bool reason_allowed(PacketType type, std::uint8_t code);

/// The 3.x CONNACK return code 0..5 nearest to `reason` (MQTT 3.1.1 table 3.1).
std::uint8_t connack_return_code(ReasonCode reason);

/// The other way. Requires: code <= 5.
ReasonCode connack_reason(std::uint8_t code);

/// The specification's words, in snake_case, for logs and tests: "not_authorized". A number that
/// no reason code has reads "unknown".
const char* name(ReasonCode reason);

/// "CONNECT" and so on, for logs and tests.
const char* name(PacketType type);

/// "3.1", "3.1.1", "5.0".
const char* name(Version version);

}  // namespace skald::codec
