#include "mqtt/codec/writer.h"

#include "config/base/assert.h"

namespace skald::codec {

void put_u16(std::uint16_t value, std::string& out) {
  const char bytes[2] = {static_cast<char>(value >> 8), static_cast<char>(value)};
  out.append(bytes, sizeof bytes);
}

void put_u32(std::uint32_t value, std::string& out) {
  const char bytes[4] = {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
                         static_cast<char>(value >> 8), static_cast<char>(value)};
  out.append(bytes, sizeof bytes);
}

void put_varint(std::uint32_t value, std::string& out) {
  SKALD_ASSERT(value <= kMaxVarint);
  while (value >= 0x80) {
    out.push_back(static_cast<char>((value & 0x7F) | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void put_string(std::string_view value, std::string& out) {
  SKALD_ASSERT(value.size() <= 0xFFFF);
  put_u16(static_cast<std::uint16_t>(value.size()), out);
  out.append(value);
}

std::size_t varint_size(std::uint32_t value) {
  SKALD_ASSERT(value <= kMaxVarint);
  return value < 0x80 ? 1U : value < 0x4000 ? 2U : value < 0x20'0000 ? 3U : 4U;
}

LengthPrefixed::~LengthPrefixed() {
  const std::size_t size = out_.size() - begin_;
  SKALD_ASSERT(size <= kMaxVarint);
  if (size < 0x80) {
    out_[begin_ - 1] = static_cast<char>(size);
    return;
  }
  std::string length;
  put_varint(static_cast<std::uint32_t>(size), length);
  out_.replace(begin_ - 1, 1, length);
}

void put_user_properties(const UserProperties& properties, std::string& out) {
  for (const auto& [name, value] : properties) {
    put_id(Property::user_property, out);
    put_string(name, out);
    put_string(value, out);
  }
}

}  // namespace skald::codec
