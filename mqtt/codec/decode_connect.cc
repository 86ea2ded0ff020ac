// CONNECT (MQTT 5.0 section 3.1).
#include "mqtt/codec/decode_parts.h"

namespace skald::codec {
namespace {

constexpr unsigned kReservedFlag = 0x01;
constexpr unsigned kCleanStart = 0x02;
constexpr unsigned kWillFlag = 0x04;
constexpr unsigned kWillRetain = 0x20;
constexpr unsigned kPasswordFlag = 0x40;
constexpr unsigned kUserNameFlag = 0x80;
constexpr unsigned kWillQosAndRetain = 0x38;
constexpr unsigned kBridgeBit = 0x80;

/// Protocol name and level. A name or level that nobody here speaks is not malformed: the peer may
/// be answered in the version it knows (3.1.2.1, 3.1.2.2).
bool read_version(Reader& in, Connect& out, DecodeError& error) {
  const std::string_view protocol = in.binary();
  const unsigned level = in.u8();
  if (!in.ok()) return malformed(error, in.why());
  out.bridge = (level & kBridgeBit) != 0;
  const unsigned plain = level & ~kBridgeBit;
  if (protocol == "MQIsdp" && plain == 3) {
    out.version = Version::v31;
  } else if (protocol == "MQTT" && plain == 4) {
    out.version = Version::v311;
  } else if (protocol == "MQTT" && level == 5) {
    out.version = Version::v5;
  } else {
    return refuse(error, ReasonCode::unsupported_protocol_version,
                  "unknown protocol name or level [MQTT-3.1.2-1] [MQTT-3.1.2-2]");
  }
  return true;
}

bool check_flags(unsigned flags, Version version, DecodeError& error) {
  const unsigned will_qos = flags >> 3 & 3U;
  if ((flags & kWillFlag) != 0 && will_qos == 3) {
    return malformed(error, "will QoS 3 [MQTT-3.1.2-12]");
  }
  const bool password_alone = (flags & (kUserNameFlag | kPasswordFlag)) == kPasswordFlag;
  if (version != Version::v5 && password_alone) {
    return malformed(error, "password without user name [MQTT-3.1.2-22 of 3.1.1]");
  }
  if (version == Version::v31) return true;  // 3.1 disregards unused flags
  if ((flags & kReservedFlag) != 0) {
    return malformed(error, "reserved connect flag [MQTT-3.1.2-3]");
  }
  if ((flags & kWillFlag) == 0 && (flags & kWillQosAndRetain) != 0) {
    return malformed(error, "will QoS or retain without will [MQTT-3.1.2-11] [MQTT-3.1.2-13]");
  }
  return true;
}

bool read_properties(Reader& in, Connect& out, DecodeError& error) {
  PropertyReader properties(in, PacketType::connect, error);
  for (PropertyItem item; properties.next(item);) {
    switch (item.id) {
      case Property::session_expiry_interval:
        out.session_expiry_s = item.number;
        break;
      case Property::receive_maximum:
        out.receive_maximum = item.u16();
        break;
      case Property::maximum_packet_size:
        out.maximum_packet_size = item.number;
        break;
      case Property::topic_alias_maximum:
        out.topic_alias_maximum = item.u16();
        break;
      case Property::request_response_information:
        out.request_response_information = item.flag();
        break;
      case Property::request_problem_information:
        out.request_problem_information = item.flag();
        break;
      case Property::authentication_method:
        out.authentication_method.emplace(item.text);
        break;
      case Property::authentication_data:
        out.authentication_data.emplace(item.text);
        break;
      default:
        add_user_property(item, out.user_properties);
        break;
    }
  }
  if (properties.failed()) return false;
  if (out.authentication_data && !out.authentication_method) {
    return protocol_error(error, "authentication data without method (3.1.2.11.10)");
  }
  return true;
}

bool read_will_properties(Reader& in, Will& will, DecodeError& error) {
  PropertyReader properties(in, kWillProperties, error);
  for (PropertyItem item; properties.next(item);) {
    switch (item.id) {
      case Property::will_delay_interval:
        will.delay_s = item.number;
        break;
      case Property::message_expiry_interval:
        will.message_expiry_s = item.number;
        break;
      case Property::payload_format_indicator:
        will.payload_is_utf8 = item.flag();
        will.properties.append(item.encoded);
        break;
      default:
        will.properties.append(item.encoded);
        break;
    }
  }
  return !properties.failed();
}

bool read_will(Reader& in, unsigned flags, Version version, Will& will, DecodeError& error) {
  will.qos = static_cast<QoS>(flags >> 3 & 3U);
  will.retain = (flags & kWillRetain) != 0;
  if (version == Version::v5 && !read_will_properties(in, will, error)) return false;
  const std::string_view topic = in.binary();
  const std::string_view payload = in.binary();
  if (!in.ok()) return malformed(error, in.why());
  if (!is_topic_name(topic)) return refuse_topic(topic, error);
  if (topic.empty()) {
    return refuse(error, ReasonCode::topic_name_invalid, "empty will topic [MQTT-4.7.3-1]");
  }
  will.topic = topic;
  will.payload = payload;
  return true;
}

/// In 3.1 the packet may end before the user name or password that its flags announce (3.1,
/// section 3.1 "CONNECT", user name and password flags); they then count as absent.
bool announced(const Reader& in, unsigned flags, unsigned flag, Version version) {
  return (flags & flag) != 0 && !(version == Version::v31 && in.ok() && in.empty());
}

}  // namespace

bool decode(const Frame& frame, Connect& out, DecodeError& error) {
  Reader in(frame.body);
  if (!read_version(in, out, error)) return false;
  const unsigned flags = in.u8();
  if (!check_flags(flags, out.version, error)) return false;
  out.clean_start = (flags & kCleanStart) != 0;
  out.keep_alive_s = in.u16();
  if (out.version == Version::v5 && !read_properties(in, out, error)) return false;
  out.client_id = in.string();
  if ((flags & kWillFlag) != 0 && !read_will(in, flags, out.version, out.will.emplace(), error)) {
    return false;
  }
  if (announced(in, flags, kUserNameFlag, out.version)) out.user_name.emplace(in.string());
  if (announced(in, flags, kPasswordFlag, out.version)) out.password.emplace(in.binary());
  return finish(in, error);
}

std::optional<Version> connect_version(const Frame& frame) {
  Reader in(frame.body);
  Connect connect;
  DecodeError error;
  if (frame.type() != PacketType::connect || !read_version(in, connect, error)) return {};
  return connect.version;
}

}  // namespace skald::codec
