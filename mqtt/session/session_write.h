// How a session writes a control packet: encoded for its version, kept to the client's limits.
// Internal to mqtt/session.
#pragma once

#include <string>
#include <type_traits>

#include "mqtt/codec/encoder.h"
#include "mqtt/session/session.h"

namespace skald::session {

template <class Packet>
void encode_for(const Packet& packet, codec::Version version, std::string& out) {
  if constexpr (std::is_same_v<Packet, codec::Pingresp>) {
    codec::encode(packet, out);
  } else {
    codec::encode(packet, version, out);
  }
}

/// Reason strings and user properties must not make a packet too large for the client
/// [MQTT-3.2.2-19]: it is then written without them.
template <class Packet>
void write_control(Session& session, Packet packet) {
  std::string& scratch = session.workspace().encode_scratch;
  scratch.clear();
  encode_for(packet, session.version(), scratch);
  if constexpr (requires { packet.reason_string; }) {
    if (scratch.size() > session.maximum_packet_size() && packet.reason_string) {
      packet.reason_string.reset();
      scratch.clear();
      encode_for(packet, session.version(), scratch);
    }
  }
  session.output().append_control(scratch);
}

}  // namespace skald::session
