// Writes a packet whose lengths are known only at its end. Internal to the codec.
//
// Remaining Length and Property Length get one byte in advance, which fits nearly always; a longer
// one moves what was written behind it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mqtt/codec/encoder.h"
#include "mqtt/codec/packets.h"

namespace skald::codec {

/// A run of bytes with its length in front, as a variable byte integer; closed by the destructor.
class LengthPrefixed {
 public:
  explicit LengthPrefixed(std::string& out) : out_(out) {
    out_.push_back('\0');
    begin_ = out_.size();
  }
  ~LengthPrefixed();
  LengthPrefixed(const LengthPrefixed&) = delete;
  LengthPrefixed& operator=(const LengthPrefixed&) = delete;

 private:
  std::string& out_;
  std::size_t begin_;
};

/// A packet: the fixed header's first byte, then a LengthPrefixed body.
class PacketWriter {
 public:
  PacketWriter(PacketType type, unsigned flags, std::string& out)
      : body_(put_first(type, flags, out)) {}

 private:
  static std::string& put_first(PacketType type, unsigned flags, std::string& out) {
    out.push_back(static_cast<char>(static_cast<unsigned>(type) << 4 | flags));
    return out;
  }

  LengthPrefixed body_;
};

inline void put_u8(unsigned value, std::string& out) { out.push_back(static_cast<char>(value)); }

inline void put_id(Property id, std::string& out) { put_u8(static_cast<unsigned>(id), out); }

// One property each; the optional ones write nothing when there is nothing.
inline void put_byte_property(Property id, unsigned value, std::string& out) {
  put_id(id, out);
  put_u8(value, out);
}
inline void put_u16_property(Property id, std::uint16_t value, std::string& out) {
  put_id(id, out);
  put_u16(value, out);
}
inline void put_u32_property(Property id, std::uint32_t value, std::string& out) {
  put_id(id, out);
  put_u32(value, out);
}
inline void put(Property id, const std::optional<bool>& value, std::string& out) {
  if (value) put_byte_property(id, *value ? 1 : 0, out);
}
inline void put(Property id, const std::optional<std::uint16_t>& value, std::string& out) {
  if (value) put_u16_property(id, *value, out);
}
inline void put(Property id, const std::optional<std::uint32_t>& value, std::string& out) {
  if (value) put_u32_property(id, *value, out);
}
inline void put(Property id, const std::optional<std::string>& value, std::string& out) {
  if (!value) return;
  put_id(id, out);
  put_string(*value, out);
}
void put_user_properties(const UserProperties& properties, std::string& out);

}  // namespace skald::codec
