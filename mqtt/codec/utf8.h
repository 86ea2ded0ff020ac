// Strict UTF-8, RFC 3629: what MQTT strings, topics and text payloads must be.
//
// Refused: overlong forms, surrogates U+D800..U+DFFF [MQTT-1.5.4-1], above U+10FFFF, truncated or
// stray bytes. Accepted byte for byte: U+FEFF anywhere, it is never stripped [MQTT-1.5.4-3],
// control characters and non-characters (the specification only advises against them, and devices
// in the field send them). ASCII is checked eight bytes at a time.
#pragma once

#include <string_view>

namespace skald::codec {

/// Well-formed UTF-8, U+0000 allowed: a payload whose format indicator is 1.
bool is_utf8(std::string_view bytes);

/// A UTF-8 Encoded String: as is_utf8, without U+0000 [MQTT-1.5.4-2].
bool is_mqtt_string(std::string_view bytes);

/// As is_mqtt_string, and without the wildcards + and # [MQTT-3.3.2-2]. May be empty.
bool is_topic_name(std::string_view bytes);

}  // namespace skald::codec
