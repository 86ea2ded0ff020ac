#include "tests/codec/print.h"

#include <optional>

#include "mqtt/codec/reasons.h"

namespace skald::codec {
namespace {

std::string text(const std::string& value) { return quoted(value); }
std::string text(std::string_view value) { return quoted(value); }
std::string text(std::uint16_t value) { return std::to_string(value); }
std::string text(std::uint32_t value) { return std::to_string(value); }
std::string text(bool value) { return value ? "true" : "false"; }
std::string text(QoS value) { return std::to_string(static_cast<int>(value)); }
std::string text(ReasonCode value) { return name(value); }

/// Collects ` name=value` pairs.
class Line {
 public:
  explicit Line(std::string head) : text_(std::move(head)) {}

  template <class T>
  Line& field(const char* label, const T& value) {
    text_ += std::string(" ") + label + "=" + codec::text(value);
    return *this;
  }
  template <class T>
  Line& field(const char* label, const std::optional<T>& value) {
    return value ? field(label, *value) : *this;
  }
  /// Left out when it is `usual`.
  template <class T>
  Line& field(const char* label, const T& value, const T& usual) {
    return value == usual ? *this : field(label, value);
  }
  Line& flag(const char* label, bool set) {
    if (set) text_ += std::string(" ") + label;
    return *this;
  }
  Line& users(const UserProperties& properties) {
    for (const auto& [key, value] : properties) {
      text_ += " user{" + quoted(key) + ": " + quoted(value) + "}";
    }
    return *this;
  }
  Line& raw(const std::string& more) {
    text_ += more;
    return *this;
  }
  std::string str() const { return text_; }

 private:
  std::string text_;
};

std::string line(const Will& will) {
  return Line(" will{")
      .field("topic", will.topic)
      .field("payload", will.payload)
      .field("qos", will.qos)
      .flag("retain", will.retain)
      .field("delay", will.delay_s, 0U)
      .field("expiry", will.message_expiry_s)
      .flag("payload_is_utf8", will.payload_is_utf8)
      .field("properties", will.properties, std::string())
      .raw("}")
      .str();
}

std::string line(const Connect& packet) {
  const Connect usual;
  return Line(std::string("CONNECT ") + name(packet.version))
      .flag("bridge", packet.bridge)
      .flag("clean_start", packet.clean_start)
      .field("keep_alive", packet.keep_alive_s)
      .field("client_id", packet.client_id)
      .field("user_name", packet.user_name)
      .field("password", packet.password)
      .raw(packet.will ? line(*packet.will) : "")
      .field("session_expiry", packet.session_expiry_s, usual.session_expiry_s)
      .field("receive_maximum", packet.receive_maximum, usual.receive_maximum)
      .field("maximum_packet_size", packet.maximum_packet_size, usual.maximum_packet_size)
      .field("topic_alias_maximum", packet.topic_alias_maximum, usual.topic_alias_maximum)
      .flag("request_response_information", packet.request_response_information)
      .flag("no_problem_information", !packet.request_problem_information)
      .users(packet.user_properties)
      .field("authentication_method", packet.authentication_method)
      .field("authentication_data", packet.authentication_data)
      .str();
}

std::string line(const Connack& packet) {
  return Line("CONNACK")
      .flag("session_present", packet.session_present)
      .field("reason", packet.reason)
      .field("session_expiry", packet.session_expiry_s)
      .field("receive_maximum", packet.receive_maximum)
      .field("maximum_qos", packet.maximum_qos)
      .field("retain_available", packet.retain_available)
      .field("maximum_packet_size", packet.maximum_packet_size)
      .field("assigned_client_id", packet.assigned_client_id)
      .field("topic_alias_maximum", packet.topic_alias_maximum)
      .field("reason_string", packet.reason_string)
      .users(packet.user_properties)
      .field("wildcards", packet.wildcard_subscription_available)
      .field("subscription_identifiers", packet.subscription_identifiers_available)
      .field("shared", packet.shared_subscription_available)
      .field("server_keep_alive", packet.server_keep_alive_s)
      .field("response_information", packet.response_information)
      .field("server_reference", packet.server_reference)
      .field("authentication_method", packet.authentication_method)
      .field("authentication_data", packet.authentication_data)
      .str();
}

std::string line(const Ack& packet) {
  return Line(name(packet.type))
      .field("id", packet.packet_id)
      .field("reason", packet.reason)
      .field("reason_string", packet.reason_string)
      .users(packet.user_properties)
      .str();
}

std::string line(const Subscribe& packet) {
  Line line("SUBSCRIBE");
  line.field("id", packet.packet_id).field("subscription_id", packet.subscription_id, 0U);
  for (const auto& [filter, options] : packet.entries) {
    line.raw(" {" + quoted(filter))
        .field("qos", options.qos)
        .flag("no_local", options.no_local)
        .flag("retain_as_published", options.retain_as_published)
        .field("retain_handling", static_cast<std::uint32_t>(options.retain_handling), 0U)
        .raw("}");
  }
  return line.users(packet.user_properties).str();
}

std::string line(const Unsubscribe& packet) {
  Line line("UNSUBSCRIBE");
  line.field("id", packet.packet_id);
  for (const std::string& filter : packet.filters) line.raw(" " + quoted(filter));
  return line.users(packet.user_properties).str();
}

template <class Packet>
std::string line_of_reasons(const char* label, const Packet& packet) {
  Line line(label);
  line.field("id", packet.packet_id);
  for (const ReasonCode reason : packet.reasons) line.raw(std::string(" ") + name(reason));
  return line.field("reason_string", packet.reason_string).users(packet.user_properties).str();
}

std::string line(const Suback& packet) { return line_of_reasons("SUBACK", packet); }
std::string line(const Unsuback& packet) { return line_of_reasons("UNSUBACK", packet); }
std::string line(const Pingreq&) { return "PINGREQ"; }
std::string line(const Pingresp&) { return "PINGRESP"; }

std::string line(const Disconnect& packet) {
  return Line("DISCONNECT")
      .field("reason", packet.reason)
      .field("session_expiry", packet.session_expiry_s)
      .field("reason_string", packet.reason_string)
      .users(packet.user_properties)
      .field("server_reference", packet.server_reference)
      .str();
}

std::string line(const Auth& packet) {
  return Line("AUTH")
      .field("reason", packet.reason)
      .field("authentication_method", packet.authentication_method)
      .field("authentication_data", packet.authentication_data)
      .field("reason_string", packet.reason_string)
      .users(packet.user_properties)
      .str();
}

}  // namespace

std::string quoted(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F && c != '"' && c != '\\') {
      out += c;
    } else {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out + '"';
}

std::string print(const ControlPacket& packet) {
  return std::visit([](const auto& value) { return line(value); }, packet);
}

std::string print(const PublishView& publish, const std::vector<std::uint32_t>& subscription_ids) {
  Line line("PUBLISH");
  line.flag("dup", publish.dup)
      .field("qos", publish.qos)
      .flag("retain", publish.retain)
      .field("id", publish.packet_id, std::uint16_t{0})
      .field("topic", publish.topic)
      .field("payload", publish.payload)
      .field("topic_alias", publish.topic_alias, std::uint16_t{0})
      .field("expiry", publish.message_expiry_s)
      .flag("payload_is_utf8", publish.payload_is_utf8)
      .field("properties", publish.forward_properties, std::string_view())
      .flag("plain", publish.frame_is_plain);
  for (const std::uint32_t id : subscription_ids) line.field("subscription_id", id);
  return line.str();
}

std::string print(const DecodeError& error) {
  return std::string("error ") + name(error.reason) + ": " + error.message;
}

}  // namespace skald::codec
