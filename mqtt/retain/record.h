// The stored record of a retained message.
//
// Key: ordered tenant | ordered topic (config/base/coding.h). Value: u8 version (1) | varint
// stamp_ms | varint expiry_ms | u8 qos | be64 publisher node | be64 life | be64 session | varint
// sequence | bytes properties | bytes payload.
#pragma once

#include <string>
#include <string_view>

#include "config/base/result.h"
#include "mqtt/publication.h"

namespace skald::retain {

std::string record_key(std::string_view tenant, std::string_view topic);
std::string record_value(const mqtt::Publication& publication);
/// The reverse of both. Fails when they are not what a command could have stored.
Result<mqtt::PublicationRef> decode_record(std::string_view key, std::string_view value);

}  // namespace skald::retain
