// Publications for the tests of this folder, and when two of them are the same.
#pragma once

#include <string_view>

#include "mqtt/publication.h"

namespace skald::retain {

struct Sample {
  std::string_view tenant = "t";
  std::string_view topic = "a";
  std::string_view payload = "x";
  std::string_view properties{};
  mqtt::TimeMs expiry_ms = 0;
  std::uint64_t sequence = 1;
  codec::QoS qos = codec::QoS::at_least_once;
  bool retain = true;
};

inline mqtt::PublicationRef make(const Sample& sample) {
  mqtt::PublicationInfo info;
  info.publisher = {{NodeId{3}, LifeNumber{5}}, 7};
  info.sequence = sample.sequence;
  info.stamp_ms = 1000 + sample.sequence;
  info.expiry_ms = sample.expiry_ms;
  info.qos = sample.qos;
  info.retain = sample.retain;
  return mqtt::Publication::make(info, sample.tenant, sample.topic, sample.properties,
                                 sample.payload);
}

inline bool same(const mqtt::Publication& a, const mqtt::Publication& b) {
  const mqtt::PublicationInfo& x = a.info();
  const mqtt::PublicationInfo& y = b.info();
  return a.tenant() == b.tenant() && a.topic() == b.topic() && a.payload() == b.payload() &&
         a.properties() == b.properties() && x.publisher == y.publisher &&
         x.sequence == y.sequence && x.stamp_ms == y.stamp_ms && x.expiry_ms == y.expiry_ms &&
         x.qos == y.qos && x.retain == y.retain;
}

}  // namespace skald::retain
