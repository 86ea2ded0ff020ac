// Decoded packets as one line of text: what golden files and failing tests show.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mqtt/codec/decoder.h"
#include "mqtt/codec/packets.h"

namespace skald::codec {

/// In quotes; what is not printable ASCII as \xNN.
std::string quoted(std::string_view bytes);

/// Fields that have their default are left out.
std::string print(const ControlPacket& packet);
std::string print(const PublishView& publish, const std::vector<std::uint32_t>& subscription_ids);
std::string print(const DecodeError& error);

}  // namespace skald::codec
