// The QoS 1 and 2 publishes towards one client that it has not finished [MQTT-4.4, 4.9].
//
// Packet ids are given in sequence, so the window is a ring indexed by id: finding an ack's entry
// is one load. A place whose id is still open after a whole turn of the ring holds the window shut,
// which is stricter than Receive Maximum and only met by clients that ack far out of order.
// The table is made when first needed and dropped when the session has been idle.
#pragma once

#include <cstdint>
#include <memory>

#include "mqtt/codec/types.h"
#include "mqtt/session/delivery.h"

namespace skald::session {

class SendWindow {
 public:
  enum class Stage : std::uint8_t { free, awaits_puback, awaits_pubrec, awaits_pubcomp };

  /// `size`: how many may be open at once, at least 1.
  void set_size(std::uint16_t size) { size_ = size; }
  std::uint16_t size() const { return size_; }
  std::uint16_t open() const { return open_; }

  /// A packet id for a new publish, or 0 when the window is shut. `qos` is 1 or 2.
  std::uint16_t take(codec::QoS qos);
  /// Remembers a message that may have to go to another member of its group.
  void keep(std::uint16_t packet_id, SharedMessage message);

  Stage stage(std::uint16_t packet_id) const;
  /// PUBREC came: the id now awaits PUBCOMP. Requires: stage awaits_pubrec.
  void received(std::uint16_t packet_id);
  /// The flow is over. Requires: stage is not free.
  void release(std::uint16_t packet_id);

  /// The kept messages whose flow is not over, oldest first, with their stages; empties the window.
  template <class F>
  void drain_kept(F&& take_message);

  /// Gives the table back when nothing is open.
  void shrink() {
    if (open_ == 0) ring_.reset();
  }

 private:
  struct Ring {
    explicit Ring(std::uint32_t capacity);
    std::uint32_t mask;
    std::unique_ptr<Stage[]> stages;
    std::unique_ptr<std::uint16_t[]> ids;
    std::unique_ptr<SharedMessage[]> kept;  // only when a shared message went through
  };

  void enlarge();

  std::unique_ptr<Ring> ring_;
  std::uint16_t size_ = 1;
  std::uint16_t open_ = 0;
  std::uint16_t last_id_ = 0;
};

template <class F>
void SendWindow::drain_kept(F&& take_message) {
  if (ring_ && ring_->kept) {
    for (std::uint32_t i = 0; i <= ring_->mask; ++i) {
      const std::uint32_t at = (last_id_ + 1U + i) & ring_->mask;  // oldest first
      if (ring_->stages[at] != Stage::free && ring_->kept[at].publication) {
        take_message(std::move(ring_->kept[at]), ring_->stages[at]);
      }
    }
  }
  ring_.reset();
  open_ = 0;
}

}  // namespace skald::session
