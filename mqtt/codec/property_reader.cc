#include "mqtt/codec/property_reader.h"

#include <array>
#include <initializer_list>

#include "mqtt/codec/limits.h"

namespace skald::codec {
namespace {

enum class Type : std::uint8_t {
  none,  // no such property
  boolean,
  u16,
  u16_positive,
  u32,
  u32_positive,
  varint_positive,
  string,
  topic,  // a string that may not be empty nor hold wildcards
  binary,
  pair,
};

struct Rule {
  Type type = Type::none;
  std::uint16_t places = 0;  // bit = PacketType
};

using Table = std::array<Rule, 64>;

constexpr Table make_table() {
  using enum PacketType;
  constexpr PacketType will = kWillProperties;
  Table table;
  const auto add = [&table](Property id, Type type, std::initializer_list<PacketType> places) {
    Rule& rule = table[static_cast<std::size_t>(id)];
    rule.type = type;
    for (const PacketType place : places) {
      rule.places = static_cast<std::uint16_t>(rule.places | 1U << static_cast<unsigned>(place));
    }
  };
  add(Property::payload_format_indicator, Type::boolean, {publish, will});
  add(Property::message_expiry_interval, Type::u32, {publish, will});
  add(Property::content_type, Type::string, {publish, will});
  add(Property::response_topic, Type::topic, {publish, will});
  add(Property::correlation_data, Type::binary, {publish, will});
  add(Property::subscription_identifier, Type::varint_positive, {publish, subscribe});
  add(Property::session_expiry_interval, Type::u32, {connect, connack, disconnect});
  add(Property::assigned_client_identifier, Type::string, {connack});
  add(Property::server_keep_alive, Type::u16, {connack});
  add(Property::authentication_method, Type::string, {connect, connack, auth});
  add(Property::authentication_data, Type::binary, {connect, connack, auth});
  add(Property::request_problem_information, Type::boolean, {connect});
  add(Property::will_delay_interval, Type::u32, {will});
  add(Property::request_response_information, Type::boolean, {connect});
  add(Property::response_information, Type::string, {connack});
  add(Property::server_reference, Type::string, {connack, disconnect});
  add(Property::reason_string, Type::string,
      {connack, puback, pubrec, pubrel, pubcomp, suback, unsuback, disconnect, auth});
  add(Property::receive_maximum, Type::u16_positive, {connect, connack});
  add(Property::topic_alias_maximum, Type::u16, {connect, connack});
  add(Property::topic_alias, Type::u16, {publish});
  add(Property::maximum_qos, Type::boolean, {connack});
  add(Property::retain_available, Type::boolean, {connack});
  add(Property::user_property, Type::pair,
      {connect, connack, publish, will, puback, pubrec, pubrel, pubcomp, subscribe, suback,
       unsubscribe, unsuback, disconnect, auth});
  add(Property::maximum_packet_size, Type::u32_positive, {connect, connack});
  add(Property::wildcard_subscription_available, Type::boolean, {connack});
  add(Property::subscription_identifier_available, Type::boolean, {connack});
  add(Property::shared_subscription_available, Type::boolean, {connack});
  return table;
}

constexpr Table kTable = make_table();

const Rule& rule_of(Property id) { return kTable[static_cast<std::size_t>(id)]; }

}  // namespace

bool PropertyReader::refuse(ReasonCode reason, const char* message) {
  error_ = {reason, message};
  failed_ = true;
  return false;
}

/// May `id` stand here, and for the first time where it must not be repeated (section 2.2.2.2)?
bool PropertyReader::admit(std::uint32_t id) {
  if (id >= kTable.size() || kTable[id].type == Type::none) {
    return refuse(ReasonCode::malformed_packet, "unknown property");
  }
  if ((kTable[id].places >> static_cast<unsigned>(where_) & 1U) == 0) {
    return refuse(ReasonCode::malformed_packet, "property does not belong into this packet");
  }
  const std::uint64_t bit = std::uint64_t{1} << id;
  const auto property = static_cast<Property>(id);
  const bool repeatable =
      property == Property::user_property ||
      (property == Property::subscription_identifier && where_ == PacketType::publish);
  if ((seen_ & bit) != 0 && !repeatable) {
    return refuse(ReasonCode::protocol_error, "property given more than once");
  }
  seen_ |= bit;
  return true;
}

/// Reads the value by its type and judges what every place judges alike.
bool PropertyReader::read_value(PropertyItem& item) {
  const Type type = rule_of(item.id).type;
  switch (type) {
    case Type::boolean:
      item.number = block_.u8();
      if (item.number > 1) {
        return refuse(ReasonCode::protocol_error, "property must be 0 or 1");
      }
      break;
    case Type::u16:
    case Type::u16_positive:
      item.number = block_.u16();
      break;
    case Type::u32:
    case Type::u32_positive:
      item.number = block_.u32();
      break;
    case Type::varint_positive:
      item.number = block_.varint();
      break;
    case Type::string:
    case Type::topic:
      item.text = block_.string();
      break;
    case Type::binary:
      item.text = block_.binary();
      break;
    case Type::pair:
      item.text = block_.string();
      item.second = block_.string();
      break;
    case Type::none:
      break;
  }
  if (!block_.ok()) return refuse(ReasonCode::malformed_packet, block_.why());
  const bool positive =
      type == Type::u16_positive || type == Type::u32_positive || type == Type::varint_positive;
  if (positive && item.number == 0) {
    return refuse(ReasonCode::protocol_error, "property must not be 0");
  }
  if (type == Type::topic && (item.text.empty() || !is_topic_name(item.text))) {
    return refuse(ReasonCode::protocol_error,
                  "response topic is empty or holds wildcards [MQTT-3.3.2-14]");
  }
  return true;
}

bool PropertyReader::check_user_limits(const PropertyItem& item) {
  user_count_ += 1;
  user_bytes_ += item.encoded.size();
  if (user_count_ <= kUserPropertiesMax && user_bytes_ <= kUserPropertyBytesMax) return true;
  return refuse(ReasonCode::quota_exceeded, "too many or too long user properties");
}

bool PropertyReader::next(PropertyItem& item) {
  if (failed_ || block_.empty()) return false;
  const char* const begin = block_.position();
  const std::uint32_t id = block_.varint();
  if (!block_.ok()) return refuse(ReasonCode::malformed_packet, block_.why());
  if (!admit(id)) return false;
  item = PropertyItem{};
  item.id = static_cast<Property>(id);
  if (!read_value(item)) return false;
  item.encoded = {begin, static_cast<std::size_t>(block_.position() - begin)};
  return item.id != Property::user_property || check_user_limits(item);
}

}  // namespace skald::codec
