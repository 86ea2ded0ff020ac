// Finds whole packets in a stream of bytes (MQTT 5.0 section 2.1).
#include "mqtt/codec/decoder.h"

namespace skald::codec {

FrameResult next_frame(std::string_view in, std::size_t max_packet_size) {
  FrameResult result;
  std::uint32_t remaining = 0;
  std::size_t header = 1;
  for (unsigned shift = 0;; shift += 7) {
    if (in.size() <= header) {
      result.needed = header + 1;
      break;
    }
    const auto byte = static_cast<unsigned char>(in[header++]);
    remaining |= (byte & 0x7FU) << shift;
    if (byte >= 0x80) {
      if (shift < 21) continue;
      result.status = FrameStatus::malformed;
      return result;
    }
    if (byte == 0 && shift != 0) {
      result.status = FrameStatus::malformed;
      return result;
    }
    const std::size_t size = header + remaining;
    if (size > max_packet_size) {
      result.status = FrameStatus::too_large;
      return result;
    }
    result.needed = size;
    if (in.size() < size) break;
    result.status = FrameStatus::complete;
    result.frame.bytes = in.substr(0, size);
    result.frame.body = in.substr(header, remaining);
    result.frame.first = static_cast<std::uint8_t>(in[0]);
    return result;
  }
  return result;
}

}  // namespace skald::codec
