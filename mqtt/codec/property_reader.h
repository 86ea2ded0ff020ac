// The property table of MQTT 5.0 (table 2-4) and the one loop that reads property blocks.
//
// The table knows where each property may stand, its type, and whether it may be repeated; so the
// decoders only say where a value goes. Internal to the codec.
#pragma once

#include <cstdint>
#include <string_view>

#include "mqtt/codec/decoder.h"
#include "mqtt/codec/reader.h"
#include "mqtt/codec/types.h"

namespace skald::codec {

/// Where a property block stands. PacketType::reserved stands for the will's block in CONNECT.
inline constexpr PacketType kWillProperties = PacketType::reserved;

/// One property as read. Views point into the packet.
struct PropertyItem {
  Property id{};
  std::uint32_t number = 0;  // byte, boolean, two and four byte integer, variable byte integer
  std::string_view text;     // string, binary data, the name of a pair
  std::string_view second;   // the value of a pair
  std::string_view encoded;  // identifier and value as they came

  bool flag() const { return number != 0; }
  std::uint16_t u16() const { return static_cast<std::uint16_t>(number); }
};

class PropertyReader {
 public:
  /// Takes the Property Length and the block off `in`; a failure of `in` itself reads as an empty
  /// block. `error` must outlive the reader.
  PropertyReader(Reader& in, PacketType where, DecodeError& error)
      : block_(in.take(in.varint())), where_(where), error_(error) {}

  /// False at the end, and on a refusal: then `failed()`, and the error is set.
  bool next(PropertyItem& item);
  bool failed() const { return failed_; }

 private:
  bool refuse(ReasonCode reason, const char* message);
  bool admit(std::uint32_t id);
  bool read_value(PropertyItem& item);
  bool check_user_limits(const PropertyItem& item);

  Reader block_;
  PacketType where_;
  DecodeError& error_;
  std::uint64_t seen_ = 0;  // bit = identifier
  std::size_t user_count_ = 0;
  std::size_t user_bytes_ = 0;
  bool failed_ = false;
};

}  // namespace skald::codec
