// Takes MQTT's data types (section 1.5) off a run of bytes, never reading beyond it.
//
// The first piece that does not fit makes the Reader fail for good: every later piece reads as zero
// or empty, and the caller asks once. Internal to the codec.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mqtt/codec/utf8.h"

namespace skald::codec {

class Reader {
 public:
  explicit Reader(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

  bool ok() const { return why_ == nullptr; }
  /// Why it failed, in static storage; null while ok.
  const char* why() const { return why_; }
  const char* position() const { return at_; }
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  bool empty() const { return at_ == end_; }

  std::uint8_t u8() {
    if (left() < 1) return short_of<std::uint8_t>(0);
    return static_cast<std::uint8_t>(*at_++);
  }

  std::uint16_t u16() {
    if (left() < 2) return short_of<std::uint8_t>(0);
    const auto value = static_cast<std::uint16_t>(byte(0) << 8 | byte(1));
    at_ += 2;
    return value;
  }

  std::uint32_t u32() {
    if (left() < 4) return short_of<std::uint8_t>(0);
    const std::uint32_t value = byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
    at_ += 4;
    return value;
  }

  /// Variable Byte Integer: at most four bytes, the fewest possible [MQTT-1.5.5-1].
  std::uint32_t varint() {
    std::uint32_t value = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
      const std::uint8_t next = u8();
      if (!ok()) return 0;
      value |= (next & 0x7FU) << shift;
      if (next >= 0x80) continue;
      if (next == 0 && shift != 0) break;
      return value;
    }
    fail("variable byte integer over four bytes or not minimal [MQTT-1.5.5-1]");
    return 0;
  }

  std::string_view take(std::size_t size) {
    if (left() < size) return short_of(std::string_view());
    const std::string_view value(at_, size);
    at_ += size;
    return value;
  }

  /// Binary Data: a length of two bytes, then the bytes.
  std::string_view binary() { return take(u16()); }

  /// UTF-8 Encoded String: as binary, checked.
  std::string_view string() {
    const std::string_view value = binary();
    if (is_mqtt_string(value)) return value;
    fail("string is ill-formed UTF-8 or holds U+0000 [MQTT-1.5.4]");
    return {};
  }

  std::string_view rest() { return take(left()); }

  void fail(const char* why) {
    if (why_ == nullptr) why_ = why;
    at_ = end_;
  }

 private:
  std::uint32_t byte(std::size_t i) const { return static_cast<unsigned char>(at_[i]); }

  template <class T>
  T short_of(T nothing) {
    fail("field reaches beyond the end of the packet");
    return nothing;
  }

  const char* at_;
  const char* end_;
  const char* why_ = nullptr;
};

}  // namespace skald::codec
