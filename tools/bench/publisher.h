// One publisher's side of the protocol: what it may send, under which packet id, and what was
// acknowledged. Writes whole frames into a buffer; knows no socket.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/bench/frames.h"
#include "tools/bench/options.h"
#include "tools/bench/payload.h"

namespace skald::bench {

/// When messages are due in a paced run: message k of all is due at start + k * step, and belongs
/// to publisher k % publishers. step 0: full speed.
struct Pace {
  std::int64_t start_ns = 0;
  double step_ns = 0;
  std::uint32_t publishers = 1;

  std::int64_t due_ns(std::uint64_t sequence, std::uint32_t publisher) const {
    const auto k = static_cast<double>(sequence * publishers + publisher);
    return start_ns + static_cast<std::int64_t>(k * step_ns);
  }
};

class Publisher {
 public:
  Publisher(const Options& options, const PayloadFormat& format, std::uint32_t number,
            const std::string& topic, std::uint32_t run_id);

  /// What the CONNACK said.
  void limit_window(std::uint16_t receive_maximum);
  void use_alias(const std::string& topic);

  /// Messages below this sequence may be sent now.
  void allow_until(std::uint64_t sequence) { allowed_ = sequence; }
  std::uint64_t allowed_until() const { return allowed_; }
  bool may_send() const { return sent_ < allowed_ && in_flight_ < window_; }

  /// Upper bound of one frame.
  std::size_t frame_bytes() const { return head_bytes_max_ + payload_bytes_; }
  /// Appends frames at `to` until `room` or the allowance is used up; returns the new end.
  char* fill(char* to, std::size_t room, std::int64_t now_ns, const Pace& pace);

  struct Acked {
    bool release = false;  // answer with PUBREL
    bool done = false;     // this ended a message that was sent at sent_ns
    std::int64_t sent_ns = 0;
  };
  Acked on_ack(codec::PacketType type, std::uint16_t packet_id, std::uint8_t reason);

  std::uint32_t number() const { return number_; }
  std::uint64_t sent() const { return sent_; }
  std::uint64_t acked() const { return acked_; }  // without the refused ones
  std::uint64_t refused() const { return refused_; }
  std::uint64_t in_flight() const { return in_flight_; }
  /// Acks that no message was waiting for.
  std::uint64_t unmatched() const { return unmatched_; }

 private:
  struct Slot {
    std::int64_t sent_ns = 0;
    std::uint16_t packet_id = 0;
    codec::PacketType awaits = codec::PacketType::reserved;  // reserved: free
  };

  Slot& free_slot();

  const PayloadFormat& format_;
  std::size_t packet_id_at_ = 0;  // within head_, and set by what makes it: stays before it
  std::string head_;
  std::string first_head_;  // with topic and alias; empty once sent, or without alias
  std::size_t first_packet_id_at_ = 0;
  std::size_t head_bytes_max_ = 0;
  std::uint32_t payload_bytes_;
  std::uint32_t number_;
  std::uint32_t run_id_;
  codec::Version version_;
  codec::QoS qos_;
  std::uint32_t window_;
  std::uint16_t next_id_ = 1;
  std::vector<Slot> slots_;  // by packet id, modulo a power of two above the window
  std::uint64_t allowed_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t acked_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t unmatched_ = 0;
  std::uint32_t in_flight_ = 0;
};

}  // namespace skald::bench
