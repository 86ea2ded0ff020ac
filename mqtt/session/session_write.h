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
/// [MQTT-3.2.2-19]: it is then written without them. What is too large even so is not sent
/// [MQTT-3.1.2-24], and the session ends: the client would wait for it in vain.
template <class Packet>
void Session::write_control(Packet packet) {
  std::string& scratch = workspace_->encode_scratch;
  scratch.clear();
  encode_for(packet, version_, scratch);
  if constexpr (requires { packet.reason_string; }) {
    if (scratch.size() > maximum_packet_size_ && packet.reason_string) {
      packet.reason_string.reset();
      scratch.clear();
      encode_for(packet, version_, scratch);
    }
  }
  if (scratch.size() <= maximum_packet_size_) {
    write(scratch);
  } else if (state_ == State::connecting) {
    connection_lost(End::packet_too_large);
  } else {
    close(codec::ReasonCode::packet_too_large, End::packet_too_large,
          "answer larger than the client takes");
  }
}

}  // namespace skald::session
