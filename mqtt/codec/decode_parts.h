// What the decoders of the packet groups share. Internal to the codec.
#pragma once

#include <string>

#include "mqtt/codec/decoder.h"
#include "mqtt/codec/property_reader.h"
#include "mqtt/codec/reader.h"

namespace skald::codec {

inline bool refuse(DecodeError& error, ReasonCode reason, const char* message) {
  error = {reason, message};
  return false;
}

inline bool malformed(DecodeError& error, const char* message) {
  return refuse(error, ReasonCode::malformed_packet, message);
}

inline bool protocol_error(DecodeError& error, const char* message) {
  return refuse(error, ReasonCode::protocol_error, message);
}

/// The end of every decoder: all pieces fitted and nothing is left.
inline bool finish(const Reader& in, DecodeError& error) {
  if (!in.ok()) return malformed(error, in.why());
  return in.empty() || malformed(error, "bytes after the end of the packet's content");
}

/// Sets the error for a topic that is_topic_name refused: ill-formed, or with wildcards.
bool refuse_topic(std::string_view topic, DecodeError& error);

/// A packet id that may not be 0 [MQTT-2.2.1-3]. A failure of `in` passes: finish() reports it.
bool read_packet_id(Reader& in, std::uint16_t& packet_id, DecodeError& error);

/// A reason code that may stand in packets of this type. A failure of `in` passes.
bool read_reason(Reader& in, PacketType type, ReasonCode& reason, DecodeError& error);

/// The property block of packets that know only reason string and user properties.
bool read_reason_properties(Reader& in, PacketType type, std::optional<std::string>& reason_string,
                            UserProperties& user_properties, DecodeError& error);

inline void add_user_property(const PropertyItem& item, UserProperties& to) {
  to.emplace_back(item.text, item.second);
}

// One decoder per packet, flags already checked. True, or false with `error` set.
bool decode(const Frame& frame, Connect& out, DecodeError& error);
bool decode(const Frame& frame, Version version, Connack& out, DecodeError& error);
bool decode(const Frame& frame, Version version, Ack& out, DecodeError& error);
bool decode(const Frame& frame, Version version, Subscribe& out, DecodeError& error);
bool decode(const Frame& frame, Version version, Suback& out, DecodeError& error);
bool decode(const Frame& frame, Version version, Unsubscribe& out, DecodeError& error);
bool decode(const Frame& frame, Version version, Unsuback& out, DecodeError& error);
bool decode(const Frame& frame, Version version, Disconnect& out, DecodeError& error);
bool decode(const Frame& frame, Auth& out, DecodeError& error);

}  // namespace skald::codec
