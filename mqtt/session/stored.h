// What a session that outlives its connection and its inbox tell each other.
//
// The session core has no queue for it: messages of QoS 1 and 2 lie in the inbox, in order of their
// seq, and come to the session as they are committed (`deliver_stored`) for as long as it takes
// them at once. When it does not, it is *behind*: it then reads its queue (`take_fetch`) until it
// is at the end again.
#pragma once

#include <cstdint>
#include <span>

#include "mqtt/inbox/types.h"

namespace skald::session {

/// What `accept` must know of a session in an inbox. The spans only live for the call.
struct Resume {
  bool session_present = false;
  /// Publishes of this connection are numbered from here: above all of earlier connections.
  std::uint64_t first_sequence = 1;
  std::span<const inbox::Accepted> accepted{};  // QoS 2 publishes that the client has not released
  std::span<const inbox::Seq> received{};       // in order; PUBREC came, PUBCOMP has not
  inbox::Seq head = 1;                          // no message below it is unfinished
  inbox::Seq last = 0;                          // the newest message
  inbox::Seq sent_up_to = 0;                    // messages up to here may have been sent: DUP

  /// Requires: `state` outlives the result.
  static Resume of(const inbox::SessionState& state, bool session_present) {
    return {.session_present = session_present,
            .first_sequence = state.incarnation,
            .accepted = state.accepted,
            .received = state.received,
            .head = state.head,
            .last = state.last,
            .sent_up_to = state.sent_up_to};
  }
};

/// A piece of the queue to be read: unfinished messages in order, those in Resume::received left
/// out. The limits are what the session may take now; the first message counts as in them.
struct Fetch {
  inbox::Seq from = 0;
  std::uint32_t max_messages = 0;
  std::size_t max_bytes = 0;
};

/// What became of a stored message.
enum class Stored : std::uint8_t {
  sent,      // on its way; in take_finished() when the client is done with it
  finished,  // expired, or larger than the client takes: not sent, in take_finished()
  seen,      // had been handed over on this connection: nothing to do
  no_room,   // or a gap before it: nothing kept, the session is behind
};

}  // namespace skald::session
