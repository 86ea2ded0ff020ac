#include "mqtt/session/send_window.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "config/base/assert.h"

namespace skald::session {

SendWindow::Ring::Ring(std::uint32_t capacity)
    : mask(capacity - 1),
      stages(std::make_unique<Stage[]>(capacity)),
      ids(std::make_unique<std::uint16_t[]>(capacity)) {
  SKALD_ASSERT(std::has_single_bit(capacity));
}

std::uint16_t SendWindow::take(codec::QoS qos) {
  if (open_ >= size_) return 0;
  if (!ring_) ring_ = std::make_unique<Ring>(16);
  const std::uint16_t id = last_id_ == 65535 ? 1 : static_cast<std::uint16_t>(last_id_ + 1);
  if (ring_->stages[id & ring_->mask] != Stage::free) {
    if (ring_->mask + 1 >= std::bit_ceil(std::uint32_t{size_})) return 0;
    enlarge();
    if (ring_->stages[id & ring_->mask] != Stage::free) return 0;
  }
  const std::uint32_t at = id & ring_->mask;
  ring_->stages[at] =
      qos == codec::QoS::at_least_once ? Stage::awaits_puback : Stage::awaits_pubrec;
  ring_->ids[at] = id;
  last_id_ = id;
  ++open_;
  return id;
}

void SendWindow::enlarge() {
  auto larger = std::make_unique<Ring>((ring_->mask + 1) * 4);
  if (ring_->kept) larger->kept = std::make_unique<SharedMessage[]>(larger->mask + 1);
  for (std::uint32_t i = 0; i <= ring_->mask; ++i) {
    if (ring_->stages[i] == Stage::free) continue;
    const std::uint32_t at = ring_->ids[i] & larger->mask;
    larger->stages[at] = ring_->stages[i];
    larger->ids[at] = ring_->ids[i];
    if (ring_->kept) larger->kept[at] = std::move(ring_->kept[i]);
  }
  ring_ = std::move(larger);
}

void SendWindow::keep(std::uint16_t packet_id, SharedMessage message) {
  SKALD_ASSERT(stage(packet_id) != Stage::free);
  if (!ring_->kept) ring_->kept = std::make_unique<SharedMessage[]>(ring_->mask + 1);
  ring_->kept[packet_id & ring_->mask] = std::move(message);
}

SendWindow::Stage SendWindow::stage(std::uint16_t packet_id) const {
  if (!ring_) return Stage::free;
  const std::uint32_t at = packet_id & ring_->mask;
  return ring_->ids[at] == packet_id ? ring_->stages[at] : Stage::free;
}

void SendWindow::received(std::uint16_t packet_id) {
  SKALD_ASSERT(stage(packet_id) == Stage::awaits_pubrec);
  const std::uint32_t at = packet_id & ring_->mask;
  ring_->stages[at] = Stage::awaits_pubcomp;
  if (ring_->kept) ring_->kept[at] = {};
}

void SendWindow::release(std::uint16_t packet_id) {
  SKALD_ASSERT(stage(packet_id) != Stage::free);
  const std::uint32_t at = packet_id & ring_->mask;
  ring_->stages[at] = Stage::free;
  if (ring_->kept) ring_->kept[at] = {};
  --open_;
}

}  // namespace skald::session
