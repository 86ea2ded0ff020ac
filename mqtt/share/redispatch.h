// What becomes of a shared group's message when its member cannot finish it: MQTT 5.0
// section 4.8.2.
//
// The publisher's node keeps the message until the member's client has acknowledged it; when the
// member reports a setback instead, this table says who owns the message from then on.
#pragma once

#include <cstdint>

#include "mqtt/codec/types.h"

namespace skald::share {

/// How far the delivery to the member's client has come.
enum class Stage : std::uint8_t {
  unsent,    // in a queue, or on its way to the member's node
  sent,      // PUBLISH written to the socket, not acknowledged
  received,  // QoS 2: PUBREC has come, PUBCOMP has not
};

enum class Setback : std::uint8_t {
  disconnected,   // the connection broke, the session lives on
  session_ended,  // also: the member's node has died with a transient session
  unsubscribed,   // the client has left the group
  overflow,       // the member's queue is full
  rejected,       // PUBACK or PUBREC with a reason of 0x80 or more
};

enum class Fate : std::uint8_t {
  redispatch,  // another member gets it
  keep,        // it stays with this member, which will finish it
  discard,     // nobody gets it
};

/// A message that has moved this often is discarded and counted: groups whose members all fail one
/// after the other must not keep a message going round for ever.
inline constexpr std::uint32_t kMaxRedispatches = 16;

/// `qos`: of the delivery, the lower of the message's and the subscription's [MQTT-4.8.2-3].
/// `redispatches`: how often the message has moved so far.
constexpr Fate fate_of(codec::QoS qos, Stage stage, Setback setback, std::uint32_t redispatches) {
  if (setback == Setback::rejected) return Fate::discard;  // [MQTT-4.8.2-6]
  const Fate move = redispatches < kMaxRedispatches ? Fate::redispatch : Fate::discard;
  if (stage == Stage::unsent) return move;
  if (qos == codec::QoS::at_most_once) return Fate::discard;  // sent once, as promised
  if (setback != Setback::session_ended) return Fate::keep;   // [MQTT-4.8.2-4], [MQTT-3.10.4-3]
  // QoS 1: another member may see it again. QoS 2: it belongs to the client that has gone.
  return qos == codec::QoS::at_least_once ? move : Fate::discard;  // [MQTT-4.8.2-5]
}

}  // namespace skald::share
