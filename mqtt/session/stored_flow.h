// The messages of an inbox that one connection has open: window, packet ids, place in the queue.
//
// The packet id derives from the message's seq, so that giving one needs no commit and a client
// that comes back finds its ids again. A message whose id is still open from 65,535 messages ago
// holds the window shut. Messages that the client has received, and not completed, since an earlier
// connection keep their place in the window: MQTT would let them go uncounted (5.0, 4.9), but then
// a client that never completes would make its inbox grow with each connection.
//
// Invariants: at most `size` messages are sent at once; seqs are sent in rising order, each at most
// once on a connection; no two open messages have the same id.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <optional>

#include "mqtt/codec/types.h"
#include "mqtt/publication.h"
#include "mqtt/session/stored.h"

namespace skald::session {

class StoredFlow {
 public:
  enum class Stage : std::uint8_t {
    awaits_puback,
    awaits_pubrec,
    awaits_commit,  // PUBREC came: PUBREL leaves when the inbox has it
    awaits_pubcomp,
  };
  struct Open {
    inbox::Seq seq = 0;
    Stage stage = Stage::awaits_puback;
  };

  /// 1 to 65535.
  static constexpr std::uint16_t packet_id(inbox::Seq seq) {
    return static_cast<std::uint16_t>(seq % kIds + 1);
  }

  /// `size`: how many may be open at once, at least 1.
  void resume(const Resume& resume, std::uint16_t size);

  // -- the queue
  // ------------------------------------------------------------------------------------

  /// There is a message of this seq.
  void heard_of(inbox::Seq seq) { known_ = std::max(known_, seq); }
  /// The next message to send has this seq, or a greater one.
  inbox::Seq next() const { return next_; }
  /// No message below `seq` is to be sent any more.
  void skip_to(inbox::Seq seq) { next_ = std::max(next_, seq); }
  /// There are messages that have not been handed over.
  bool behind() const { return next_ <= known_; }

  bool has_room(inbox::Seq seq) const;
  /// Room enough for a read of the queue to be worth it: half of the window, or any when the client
  /// is so slow that waiting would cost it time.
  bool worth_reading(mqtt::TimeMs now_ms) const;
  std::uint32_t free() const {
    return open_.size() < size_ ? size_ - static_cast<std::uint32_t>(open_.size()) : 0;
  }

  /// At most one read at a time.
  bool reading() const { return reading_; }
  void start_reading() {
    reading_ = true;
    cut_ = false;
  }
  /// Something that was read did not fit: the rest of it is void.
  void cut() { cut_ = true; }
  /// All messages below `end` have been handed over, unless the reading was cut.
  void end_reading(inbox::Seq end) {
    reading_ = false;
    if (!cut_) skip_to(end);
  }

  // -- messages
  // -------------------------------------------------------------------------------------

  bool is_open(inbox::Seq seq) const { return open_.contains(seq); }
  /// The message may have reached the client on an earlier connection.
  bool sent_before(inbox::Seq seq) const { return seq <= dup_up_to_; }
  /// No message above it has been sent on any connection.
  inbox::Seq sent_up_to() const { return sent_up_to_; }
  /// The message was written. Requires: has_room(seq), seq >= next().
  void sent(inbox::Seq seq, codec::QoS qos, mqtt::TimeMs now_ms);

  /// The open message with this id.
  std::optional<Open> find(std::uint16_t packet_id) const;
  std::optional<Stage> stage(inbox::Seq seq) const;
  void set_stage(inbox::Seq seq, Stage stage);
  void release(inbox::Seq seq) { open_.erase(seq); }
  std::size_t open() const { return open_.size(); }

 private:
  static constexpr std::uint64_t kIds = 65535;
  /// A client that has been sent nothing for so long gets one message for one ack.
  static constexpr mqtt::TimeMs kPatienceMs = 20;

  absl::btree_map<inbox::Seq, Stage> open_;
  inbox::Seq next_ = 1;
  inbox::Seq known_ = 0;  // the highest seq that we have heard of
  inbox::Seq dup_up_to_ = 0;
  inbox::Seq sent_up_to_ = 0;
  mqtt::TimeMs last_sent_ms_ = 0;
  std::uint16_t size_ = 1;
  bool reading_ = false;
  bool cut_ = false;
};

}  // namespace skald::session
