// SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK and the four publish acks (MQTT 5.0 sections 3.4
// to 3.11).
//
// The syntax of topic filters is mqtt/topic's; here they are strings that are not empty.
#include "mqtt/codec/decode_parts.h"

namespace skald::codec {
namespace {

bool read_filter(Reader& in, std::string& filter, DecodeError& error) {
  filter = in.string();
  if (!in.ok()) return malformed(error, in.why());
  if (!filter.empty()) return true;
  return refuse(error, ReasonCode::topic_filter_invalid, "empty topic filter [MQTT-4.7.3-1]");
}

/// Requested QoS (3.x) or subscription options (v5, 3.8.3.1).
bool read_options(Reader& in, Version version, SubscriptionOptions& out, DecodeError& error) {
  const unsigned bits = in.u8();
  if (!in.ok()) return malformed(error, in.why());
  const unsigned qos = bits & 3U;
  if (qos == 3) {
    const bool v5 = version == Version::v5;
    return refuse(error, v5 ? ReasonCode::protocol_error : ReasonCode::malformed_packet,
                  "subscription with QoS 3 (3.8.3.1)");
  }
  out.qos = static_cast<QoS>(qos);
  if (version == Version::v31) return true;  // upper bits are "not used"
  const unsigned reserved = version == Version::v5 ? 0xC0 : 0xFC;
  if ((bits & reserved) != 0) {
    return malformed(error, "reserved bits of subscription options [MQTT-3.8.3-5]");
  }
  out.no_local = (bits & 4U) != 0;
  out.retain_as_published = (bits & 8U) != 0;
  const unsigned retain_handling = bits >> 4 & 3U;
  if (retain_handling == 3) return protocol_error(error, "retain handling 3 (3.8.3.1)");
  out.retain_handling = static_cast<RetainHandling>(retain_handling);
  return true;
}

bool read_entry(Reader& in, Version version, Subscribe::Entry& entry, DecodeError& error) {
  if (!read_filter(in, entry.filter, error)) return false;
  if (!read_options(in, version, entry.options, error)) return false;
  if (entry.options.no_local && entry.filter.starts_with("$share/")) {
    return protocol_error(error, "shared subscription with no local [MQTT-3.8.3-4]");
  }
  return true;
}

bool read_subscribe_properties(Reader& in, Subscribe& out, DecodeError& error) {
  PropertyReader properties(in, PacketType::subscribe, error);
  for (PropertyItem item; properties.next(item);) {
    if (item.id == Property::subscription_identifier) {
      out.subscription_id = item.number;
    } else {
      add_user_property(item, out.user_properties);
    }
  }
  return !properties.failed();
}

/// The reason codes of SUBACK and v5 UNSUBACK: all that is left.
bool read_reasons(Reader& in, PacketType type, std::vector<ReasonCode>& reasons,
                  DecodeError& error) {
  if (!in.ok()) return malformed(error, in.why());
  if (in.empty()) return protocol_error(error, "SUBACK or UNSUBACK without reason code");
  reasons.reserve(in.left());
  while (!in.empty()) {
    ReasonCode reason{};
    if (!read_reason(in, type, reason, error)) return false;
    reasons.push_back(reason);
  }
  return true;
}

/// Return codes of a 3.x SUBACK. 3.1 knows no failure; brokers send it 0x80 all the same.
bool read_return_codes(Reader& in, std::vector<ReasonCode>& reasons, DecodeError& error) {
  if (!read_reasons(in, PacketType::suback, reasons, error)) return false;
  for (const ReasonCode reason : reasons) {
    if (reason > ReasonCode::unspecified_error) {
      return malformed(error, "reserved SUBACK return code [MQTT-3.9.3-2 of 3.1.1]");
    }
  }
  return true;
}

}  // namespace

bool decode(const Frame& frame, Version version, Ack& out, DecodeError& error) {
  Reader in(frame.body);
  out.type = frame.type();
  if (!read_packet_id(in, out.packet_id, error)) return false;
  if (version != Version::v5 || in.empty()) return finish(in, error);
  if (!read_reason(in, out.type, out.reason, error)) return false;
  if (in.empty()) return finish(in, error);  // under four bytes: no properties (3.4.2.2.1)
  return read_reason_properties(in, out.type, out.reason_string, out.user_properties, error) &&
         finish(in, error);
}

bool decode(const Frame& frame, Version version, Subscribe& out, DecodeError& error) {
  Reader in(frame.body);
  if (!read_packet_id(in, out.packet_id, error)) return false;
  if (version == Version::v5 && !read_subscribe_properties(in, out, error)) return false;
  while (!in.empty()) {
    if (!read_entry(in, version, out.entries.emplace_back(), error)) return false;
  }
  if (in.ok() && out.entries.empty()) {
    return protocol_error(error, "SUBSCRIBE without topic filter [MQTT-3.8.3-2]");
  }
  return finish(in, error);
}

bool decode(const Frame& frame, Version version, Suback& out, DecodeError& error) {
  Reader in(frame.body);
  if (!read_packet_id(in, out.packet_id, error)) return false;
  if (version != Version::v5) return read_return_codes(in, out.reasons, error);
  return read_reason_properties(in, PacketType::suback, out.reason_string, out.user_properties,
                                error) &&
         read_reasons(in, PacketType::suback, out.reasons, error);
}

bool decode(const Frame& frame, Version version, Unsubscribe& out, DecodeError& error) {
  Reader in(frame.body);
  if (!read_packet_id(in, out.packet_id, error)) return false;
  if (version == Version::v5) {
    PropertyReader properties(in, PacketType::unsubscribe, error);
    for (PropertyItem item; properties.next(item);) add_user_property(item, out.user_properties);
    if (properties.failed()) return false;
  }
  while (!in.empty()) {
    if (!read_filter(in, out.filters.emplace_back(), error)) return false;
  }
  if (in.ok() && out.filters.empty()) {
    return protocol_error(error, "UNSUBSCRIBE without topic filter [MQTT-3.10.3-2]");
  }
  return finish(in, error);
}

bool decode(const Frame& frame, Version version, Unsuback& out, DecodeError& error) {
  Reader in(frame.body);
  if (!read_packet_id(in, out.packet_id, error)) return false;
  if (version != Version::v5) return finish(in, error);
  return read_reason_properties(in, PacketType::unsuback, out.reason_string, out.user_properties,
                                error) &&
         read_reasons(in, PacketType::unsuback, out.reasons, error);
}

}  // namespace skald::codec
