#include "tests/codec/random_packets.h"

#include <optional>

#include "mqtt/codec/encoder.h"
#include "mqtt/codec/reasons.h"

namespace skald::codec {
namespace {

bool coin(Random& random) { return random.one_in(2); }

std::uint16_t any_u16(Random& random) { return static_cast<std::uint16_t>(random.next()); }
std::uint32_t any_u32(Random& random) { return static_cast<std::uint32_t>(random.next()); }
std::uint16_t positive_u16(Random& random) {
  return static_cast<std::uint16_t>(random.between(1, 65535));
}

QoS any_qos(Random& random) { return static_cast<QoS>(random.below(3)); }

/// Mostly short, sometimes long enough for lengths of two and three bytes.
std::size_t any_size(Random& random) {
  if (random.one_in(200)) return random.below(65536);
  return random.one_in(10) ? random.below(400) : random.below(12);
}

std::string any_bytes(Random& random) {
  std::string bytes(any_size(random), '\0');
  for (char& c : bytes) c = static_cast<char>(random.next());
  return bytes;
}

std::string any_topic(Random& random) {
  static const char* const kPieces[] = {"a",
                                        "Z",
                                        "/",
                                        "$",
                                        " ",
                                        "\x01",
                                        "\x7F",
                                        "\xC3\xA9",
                                        "\xE6\xB8\xA9",
                                        "\xEF\xBB\xBF",
                                        "\xF0\x9F\x8C\xA1"};
  std::string text = "t";
  for (std::size_t n = any_size(random) / 4; n > 0; --n) text += kPieces[random.below(11)];
  return text;
}

/// A string: a topic's characters and wildcards, or empty.
std::string any_string(Random& random) {
  if (random.one_in(8)) return "";
  return any_topic(random) + (random.one_in(4) ? "/+/#" : "");
}

template <class Make>
auto maybe(Random& random, const Make& make) {
  std::optional<decltype(make(random))> value;
  if (coin(random)) value = make(random);
  return value;
}

UserProperties any_users(Random& random) {
  UserProperties users;
  if (coin(random)) return users;
  for (std::size_t n = random.below(4); n > 0; --n) {
    users.emplace_back(any_string(random), any_string(random));
  }
  return users;
}

ReasonCode any_reason(Random& random, PacketType type) {
  for (;;) {
    const auto code = static_cast<std::uint8_t>(random.next());
    if (reason_allowed(type, code)) return static_cast<ReasonCode>(code);
  }
}

/// Forwarded properties, encoded, and whether they say that the payload is UTF-8.
std::string any_forwarded(Random& random, bool& payload_is_utf8) {
  std::string out;
  const auto id = [&out](Property property) { out += static_cast<char>(property); };
  if (coin(random)) {
    payload_is_utf8 = coin(random);
    id(Property::payload_format_indicator);
    out += static_cast<char>(payload_is_utf8 ? 1 : 0);
  }
  if (coin(random)) {
    id(Property::content_type);
    put_string(any_string(random), out);
  }
  if (coin(random)) {
    id(Property::response_topic);
    put_string(any_topic(random), out);
  }
  if (coin(random)) {
    id(Property::correlation_data);
    put_string(any_bytes(random), out);
  }
  for (const auto& [name, value] : any_users(random)) {
    id(Property::user_property);
    put_string(name, out);
    put_string(value, out);
  }
  return out;
}

Will any_will(Random& random, Version version) {
  Will will;
  will.topic = any_topic(random);
  will.payload = any_bytes(random);
  will.qos = any_qos(random);
  will.retain = coin(random);
  if (version != Version::v5) return will;
  will.properties = any_forwarded(random, will.payload_is_utf8);
  will.message_expiry_s = maybe(random, any_u32);
  if (coin(random)) will.delay_s = any_u32(random);
  return will;
}

Connect any_connect(Random& random, Version version) {
  Connect packet;
  packet.version = version;
  packet.bridge = version != Version::v5 && random.one_in(4);
  packet.clean_start = coin(random);
  packet.keep_alive_s = any_u16(random);
  packet.client_id = any_string(random);
  packet.user_name = maybe(random, any_string);
  if (packet.user_name || version == Version::v5) packet.password = maybe(random, any_bytes);
  if (coin(random)) packet.will = any_will(random, version);
  if (version != Version::v5) return packet;
  if (coin(random)) packet.session_expiry_s = any_u32(random);
  if (coin(random)) packet.receive_maximum = positive_u16(random);
  if (coin(random)) packet.maximum_packet_size = any_u32(random) | 1U;
  if (coin(random)) packet.topic_alias_maximum = any_u16(random);
  packet.request_response_information = coin(random);
  packet.request_problem_information = coin(random);
  packet.user_properties = any_users(random);
  packet.authentication_method = maybe(random, any_string);
  if (packet.authentication_method) packet.authentication_data = maybe(random, any_bytes);
  return packet;
}

Connack any_connack(Random& random, Version version) {
  Connack packet;
  if (version != Version::v5) {
    packet.reason = connack_reason(static_cast<std::uint8_t>(random.below(6)));
  } else {
    packet.reason = any_reason(random, PacketType::connack);
  }
  packet.session_present =
      version != Version::v31 && packet.reason == ReasonCode::success && coin(random);
  if (version != Version::v5) return packet;
  packet.session_expiry_s = maybe(random, any_u32);
  packet.receive_maximum = maybe(random, positive_u16);
  packet.maximum_qos = maybe(random, [](Random& r) { return static_cast<QoS>(r.below(2)); });
  packet.retain_available = maybe(random, coin);
  packet.maximum_packet_size = maybe(random, [](Random& r) { return any_u32(r) | 1U; });
  packet.assigned_client_id = maybe(random, any_string);
  packet.topic_alias_maximum = maybe(random, any_u16);
  packet.reason_string = maybe(random, any_string);
  packet.user_properties = any_users(random);
  packet.wildcard_subscription_available = maybe(random, coin);
  packet.subscription_identifiers_available = maybe(random, coin);
  packet.shared_subscription_available = maybe(random, coin);
  packet.server_keep_alive_s = maybe(random, any_u16);
  packet.response_information = maybe(random, any_string);
  packet.server_reference = maybe(random, any_string);
  packet.authentication_method = maybe(random, any_string);
  packet.authentication_data = maybe(random, any_bytes);
  return packet;
}

Ack any_ack(Random& random, Version version) {
  Ack packet;
  packet.type = static_cast<PacketType>(random.between(4, 7));
  packet.packet_id = positive_u16(random);
  if (version != Version::v5 || coin(random)) return packet;
  packet.reason = any_reason(random, packet.type);
  packet.reason_string = maybe(random, any_string);
  packet.user_properties = any_users(random);
  return packet;
}

Subscribe any_subscribe(Random& random, Version version) {
  Subscribe packet;
  packet.packet_id = positive_u16(random);
  for (std::size_t n = random.between(1, 5); n > 0; --n) {
    Subscribe::Entry& entry = packet.entries.emplace_back();
    entry.filter = "f" + any_string(random);
    entry.options.qos = any_qos(random);
    if (version != Version::v5) continue;
    entry.options.no_local = coin(random);
    entry.options.retain_as_published = coin(random);
    entry.options.retain_handling = static_cast<RetainHandling>(random.below(3));
  }
  if (version != Version::v5) return packet;
  if (coin(random)) {
    packet.subscription_id = static_cast<std::uint32_t>(random.between(1, kMaxVarint));
  }
  packet.user_properties = any_users(random);
  return packet;
}

std::vector<ReasonCode> any_reasons(Random& random, PacketType type) {
  std::vector<ReasonCode> reasons;
  for (std::size_t n = random.between(1, 5); n > 0; --n) {
    reasons.push_back(any_reason(random, type));
  }
  return reasons;
}

Suback any_suback(Random& random, Version version) {
  Suback packet;
  packet.packet_id = positive_u16(random);
  packet.reasons = any_reasons(random, PacketType::suback);
  if (version != Version::v5) {
    for (ReasonCode& reason : packet.reasons) {
      if (is_error(reason)) reason = ReasonCode::unspecified_error;
    }
    return packet;
  }
  packet.reason_string = maybe(random, any_string);
  packet.user_properties = any_users(random);
  return packet;
}

Unsubscribe any_unsubscribe(Random& random, Version version) {
  Unsubscribe packet;
  packet.packet_id = positive_u16(random);
  for (std::size_t n = random.between(1, 5); n > 0; --n) {
    packet.filters.push_back("f" + any_string(random));
  }
  if (version == Version::v5) packet.user_properties = any_users(random);
  return packet;
}

Unsuback any_unsuback(Random& random, Version version) {
  Unsuback packet;
  packet.packet_id = positive_u16(random);
  if (version != Version::v5) return packet;
  packet.reasons = any_reasons(random, PacketType::unsuback);
  packet.reason_string = maybe(random, any_string);
  packet.user_properties = any_users(random);
  return packet;
}

Disconnect any_disconnect(Random& random, Version version) {
  Disconnect packet;
  if (version != Version::v5 || random.one_in(4)) return packet;
  packet.reason = any_reason(random, PacketType::disconnect);
  packet.session_expiry_s = maybe(random, any_u32);
  packet.reason_string = maybe(random, any_string);
  packet.server_reference = maybe(random, any_string);
  packet.user_properties = any_users(random);
  return packet;
}

Auth any_auth(Random& random) {
  Auth packet;
  if (random.one_in(8)) return packet;
  packet.reason = any_reason(random, PacketType::auth);
  packet.authentication_method = any_string(random);
  packet.authentication_data = maybe(random, any_bytes);
  packet.reason_string = maybe(random, any_string);
  packet.user_properties = any_users(random);
  return packet;
}

}  // namespace

ControlPacket random_packet(Random& random, Version version) {
  switch (random.below(version == Version::v5 ? 11 : 10)) {
    case 0:
      return any_connect(random, version);
    case 1:
      return any_connack(random, version);
    case 2:
      return any_ack(random, version);
    case 3:
      return any_subscribe(random, version);
    case 4:
      return any_suback(random, version);
    case 5:
      return any_unsubscribe(random, version);
    case 6:
      return any_unsuback(random, version);
    case 7:
      return Pingreq{};
    case 8:
      return Pingresp{};
    case 9:
      return any_disconnect(random, version);
    default:
      return any_auth(random);
  }
}

OwnedPublish random_publish(Random& random, Version version) {
  OwnedPublish publish;
  publish.topic = any_topic(random);
  publish.payload = any_bytes(random);
  publish.qos = any_qos(random);
  publish.retain = coin(random);
  if (publish.qos != QoS::at_most_once) {
    publish.packet_id = positive_u16(random);
    publish.dup = coin(random);
  }
  if (version != Version::v5) return publish;
  publish.forward_properties = any_forwarded(random, publish.payload_is_utf8);
  publish.message_expiry_s = maybe(random, any_u32);
  if (coin(random)) publish.topic_alias = positive_u16(random);
  if (publish.topic_alias != 0 && coin(random)) publish.topic.clear();
  if (random.one_in(4)) {
    for (std::size_t n = random.below(4); n > 0; --n) {
      publish.subscription_ids.push_back(static_cast<std::uint32_t>(random.between(1, kMaxVarint)));
    }
  }
  return publish;
}

}  // namespace skald::codec
