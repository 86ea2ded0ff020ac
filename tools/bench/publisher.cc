#include "tools/bench/publisher.h"

#include <algorithm>
#include <bit>

#include "config/base/assert.h"

namespace skald::bench {

using codec::PacketType;
using codec::QoS;

Publisher::Publisher(const Options& options, const PayloadFormat& format, std::uint32_t number,
                     const std::string& topic, std::uint32_t run_id)
    : format_(format),
      head_(publish_head(options.version, options.qos, topic, 0, options.payload_bytes,
                         packet_id_at_)),
      head_bytes_max_(head_.size()),
      payload_bytes_(options.payload_bytes),
      number_(number),
      run_id_(run_id),
      version_(options.version),
      qos_(options.qos),
      window_(options.window) {
  SKALD_ASSERT(payload_bytes_ >= kPayloadHeadBytes);
  SKALD_ASSERT(window_ > 0 && window_ < 32768);
  if (qos_ != QoS::at_most_once) slots_.resize(std::bit_ceil(2 * window_));
}

void Publisher::limit_window(std::uint16_t receive_maximum) {
  if (qos_ != QoS::at_most_once) window_ = std::min<std::uint32_t>(window_, receive_maximum);
}

void Publisher::use_alias(const std::string& topic) {
  first_head_ = publish_head(version_, qos_, topic, 1, payload_bytes_, first_packet_id_at_);
  head_ = publish_head(version_, qos_, {}, 1, payload_bytes_, packet_id_at_);
  head_bytes_max_ = first_head_.size();
}

Publisher::Slot& Publisher::free_slot() {
  for (;;) {
    const std::uint16_t id = next_id_;
    next_id_ = id == 65535 ? 1 : static_cast<std::uint16_t>(id + 1);
    Slot& slot = slots_[id & (slots_.size() - 1)];
    if (slot.awaits != PacketType::reserved) continue;  // at most window of 2 * window are taken
    slot.packet_id = id;
    return slot;
  }
}

char* Publisher::fill(char* to, std::size_t room, std::int64_t now_ns, const Pace& pace) {
  PayloadHead payload{run_id_, number_, 0, static_cast<std::uint64_t>(now_ns)};
  const char* end = to + room;
  while (may_send() && static_cast<std::size_t>(end - to) >= frame_bytes()) {
    const bool first = !first_head_.empty();
    const std::string& head = first ? first_head_ : head_;
    std::memcpy(to, head.data(), head.size());
    if (qos_ != QoS::at_most_once) {
      Slot& slot = free_slot();
      slot.sent_ns = now_ns;
      slot.awaits = qos_ == QoS::at_least_once ? PacketType::puback : PacketType::pubrec;
      char* id = to + (first ? first_packet_id_at_ : packet_id_at_);
      id[0] = static_cast<char>(slot.packet_id >> 8);
      id[1] = static_cast<char>(slot.packet_id & 0xFF);
      ++in_flight_;
    }
    to += head.size();
    payload.sequence = sent_++;
    if (pace.step_ns > 0) {
      payload.stamp_ns = static_cast<std::uint64_t>(pace.due_ns(payload.sequence, number_));
    }
    format_.write(payload, payload_bytes_, to);
    to += payload_bytes_;
    if (first) first_head_.clear();
  }
  return to;
}

Publisher::Acked Publisher::on_ack(PacketType type, std::uint16_t packet_id, std::uint8_t reason) {
  Acked out;
  Slot* slot = slots_.empty() ? nullptr : &slots_[packet_id & (slots_.size() - 1)];
  if (slot == nullptr || slot->awaits != type || slot->packet_id != packet_id) {
    ++unmatched_;
    return out;
  }
  const bool refused = reason >= 0x80;
  if (type == PacketType::pubrec && !refused) {
    slot->awaits = PacketType::pubcomp;
    out.release = true;
    return out;
  }
  slot->awaits = PacketType::reserved;
  --in_flight_;
  ++(refused ? refused_ : acked_);
  out.done = true;
  out.sent_ns = slot->sent_ns;
  return out;
}

}  // namespace skald::bench
