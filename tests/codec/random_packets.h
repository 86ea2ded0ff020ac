// Seeded random packets of every kind: only such as the version can carry and the decoder accepts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/base/random.h"
#include "mqtt/codec/packets.h"

namespace skald::codec {

/// Any control packet that `version` knows.
ControlPacket random_packet(Random& random, Version version);

/// What decode_publish gives back, owned.
struct OwnedPublish {
  std::string topic;
  std::string payload;
  std::string forward_properties;
  std::vector<std::uint32_t> subscription_ids;
  std::optional<std::uint32_t> message_expiry_s;
  std::uint16_t packet_id = 0;
  std::uint16_t topic_alias = 0;
  QoS qos = QoS::at_most_once;
  bool dup = false;
  bool retain = false;
  bool payload_is_utf8 = false;

  bool operator==(const OwnedPublish&) const = default;
};

OwnedPublish random_publish(Random& random, Version version);

}  // namespace skald::codec
