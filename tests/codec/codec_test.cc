// Round trips of random packets, the property table, limits, and the promises of the headers.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <set>
#include <string>

#include "mqtt/codec/decoder.h"
#include "mqtt/codec/encoder.h"
#include "mqtt/codec/limits.h"
#include "mqtt/codec/reasons.h"
#include "tests/codec/oracle.h"
#include "tests/codec/print.h"
#include "tests/codec/random_packets.h"

namespace skald::codec {
namespace {

using namespace std::string_literals;

constexpr Version kVersions[] = {Version::v31, Version::v311, Version::v5};

Frame frame_of(std::string_view bytes) {
  const FrameResult result = next_frame(bytes, kMaxVarint);
  BOOST_REQUIRE(result.status == FrameStatus::complete);
  BOOST_REQUIRE(result.frame.bytes == bytes);
  return result.frame;
}

PublishHead head_of(const OwnedPublish& publish) {
  PublishHead head;
  head.topic = publish.topic;
  head.forward_properties = publish.forward_properties;
  head.subscription_ids = publish.subscription_ids;
  head.message_expiry_s = publish.message_expiry_s;
  head.topic_alias = publish.topic_alias;
  head.packet_id = publish.packet_id;
  head.qos = publish.qos;
  head.dup = publish.dup;
  head.retain = publish.retain;
  return head;
}

OwnedPublish owned(const PublishView& view, std::vector<std::uint32_t> subscription_ids) {
  OwnedPublish publish;
  publish.topic = view.topic;
  publish.payload = view.payload;
  publish.forward_properties = view.forward_properties;
  publish.subscription_ids = std::move(subscription_ids);
  publish.message_expiry_s = view.message_expiry_s;
  publish.packet_id = view.packet_id;
  publish.topic_alias = view.topic_alias;
  publish.qos = view.qos;
  publish.dup = view.dup;
  publish.retain = view.retain;
  publish.payload_is_utf8 = view.payload_is_utf8;
  return publish;
}

/// A packet of `first` with `body`.
std::string packet(unsigned first, const std::string& body) {
  std::string out(1, static_cast<char>(first));
  put_varint(static_cast<std::uint32_t>(body.size()), out);
  return out + body;
}

std::string with_length(const std::string& block) {
  std::string out;
  put_varint(static_cast<std::uint32_t>(block.size()), out);
  return out + block;
}

/// A v5 PUBLISH to "t" with this property block.
std::string publish_with(const std::string& properties, unsigned first = 0x30) {
  const std::string id = (first & 6U) != 0 ? "\0\x01"s : "";
  return packet(first, "\0\x01t"s + id + with_length(properties));
}

std::string user_property(const std::string& name, const std::string& value) {
  std::string out = "\x26";
  put_string(name, out);
  put_string(value, out);
  return out;
}

/// The decoder's judgement as print() words it; "ok" for what it accepts.
std::string outcome(const std::string& bytes, Version version = Version::v5) {
  const Verdict verdict = judge(bytes, version, Side::server);
  BOOST_TEST(verdict.fault == "");
  return verdict.decoded.starts_with("error") ? verdict.decoded : "ok";
}

BOOST_AUTO_TEST_SUITE(codec)

BOOST_AUTO_TEST_CASE(random_control_packets_round_trip) {
  std::set<std::size_t> kinds;
  for (const Version version : kVersions) {
    Random random(7 + static_cast<std::uint64_t>(version));
    for (int round = 0; round < 20000; ++round) {
      const ControlPacket packet = random_packet(random, version);
      kinds.insert(packet.index());
      std::string bytes;
      encode(packet, version, bytes);
      const auto decoded = decode_control(frame_of(bytes), version);
      const ControlPacket* back = std::get_if<ControlPacket>(&decoded);
      if (back != nullptr && *back == packet) continue;
      BOOST_ERROR(
          "round " << round << " of " << name(version) << ": " << print(packet) << " -> "
                   << (back == nullptr ? print(std::get<DecodeError>(decoded)) : print(*back)));
    }
  }
  BOOST_TEST(kinds.size() == std::variant_size_v<ControlPacket>);
}

BOOST_AUTO_TEST_CASE(random_publishes_round_trip) {
  for (const Version version : kVersions) {
    Random random(11 + static_cast<std::uint64_t>(version));
    for (int round = 0; round < 20000; ++round) {
      const OwnedPublish publish = random_publish(random, version);
      std::string bytes = "x";
      const std::size_t at =
          encode_publish_head(head_of(publish), publish.payload.size(), version, bytes);
      bytes += publish.payload;
      bytes.erase(0, 1);
      PublishView view;
      std::string scratch;
      std::vector<std::uint32_t> ids;
      DecodeError error;
      const bool ok = decode_server_publish(frame_of(bytes), version, view, scratch, ids, error);
      if (!ok || !(owned(view, ids) == publish)) {
        BOOST_ERROR("round " << round << " of " << name(version) << ": " << error.message);
      }
      BOOST_TEST(view.packet_id_offset == (at == 0 ? 0 : at - 1));
      const bool plain =
          publish.topic_alias == 0 && publish.subscription_ids.empty() && !publish.message_expiry_s;
      BOOST_TEST(view.frame_is_plain == plain);
    }
  }
}

/// Table 2-4 of MQTT 5.0, typed in anew: where each property may stand, with a value for it.
struct PropertyRow {
  int id;
  std::string value;
  std::string places;  // C CONNECT, c CONNACK, P PUBLISH, W will, 4-7 acks, S, s, U, u, D, A
};

const std::vector<PropertyRow>& property_rows() {
  static const std::vector<PropertyRow> kRows = {{0x01, "\x01", "PW"},
                                                 {0x02, "\0\0\0\x01"s, "PW"},
                                                 {0x03, "\0\x01x"s, "PW"},
                                                 {0x08, "\0\x01x"s, "PW"},
                                                 {0x09, "\0\x01x"s, "PW"},
                                                 {0x0B, "\x01", "PS"},
                                                 {0x11, "\0\0\0\x01"s, "CcD"},
                                                 {0x12, "\0\x01x"s, "c"},
                                                 {0x13, "\0\x01"s, "c"},
                                                 {0x15, "\0\x01x"s, "CcA"},
                                                 {0x16, "\0\x01x"s, "CcA"},
                                                 {0x17, "\x01", "C"},
                                                 {0x18, "\0\0\0\x01"s, "W"},
                                                 {0x19, "\x01", "C"},
                                                 {0x1A, "\0\x01x"s, "c"},
                                                 {0x1C, "\0\x01x"s, "cD"},
                                                 {0x1F, "\0\x01x"s, "c4567suDA"},
                                                 {0x21, "\0\x01"s, "Cc"},
                                                 {0x22, "\0\x01"s, "Cc"},
                                                 {0x23, "\0\x01"s, "P"},
                                                 {0x24, "\x01", "c"},
                                                 {0x25, "\x01", "c"},
                                                 {0x26, "\0\x01x\0\x01y"s, "CcPW4567SsUuDA"},
                                                 {0x27, "\0\0\0\x01"s, "Cc"},
                                                 {0x28, "\x01", "c"},
                                                 {0x29, "\x01", "c"},
                                                 {0x2A, "\x01", "c"}};
  return kRows;
}

/// A packet of the given place with this property block. AUTH and data need a method beside them.
std::string packet_with(char place, const std::string& block) {
  const std::string p = with_length(block);
  switch (place) {
    case 'C':
      return packet(0x10, "\0\x04MQTT\x05\x02\0\0"s + p + "\0\x01"s + "c");
    case 'W':
      return packet(0x10, "\0\x04MQTT\x05\x06\0\0\0\0\x01"s + "c" + p + "\0\x01w\0\0"s);
    case 'c':
      return packet(0x20, "\0\0"s + p);
    case 'P':
      return publish_with(block);
    case 'S':
      return packet(0x82, "\0\x01"s + p + "\0\x01x\0"s);
    case 's':
      return packet(0x90, "\0\x01"s + p + "\0"s);
    case 'U':
      return packet(0xA2, "\0\x01"s + p + "\0\x01x"s);
    case 'u':
      return packet(0xB0, "\0\x01"s + p + "\0"s);
    case 'D':
      return packet(0xE0, "\0"s + p);
    case 'A':
      return packet(0xF0, "\0"s + p);
    default:  // '4' to '7'
      return packet((static_cast<unsigned>(place - '0') << 4) | (place == '6' ? 2U : 0U),
                    "\0\x01\0"s + p);
  }
}

BOOST_AUTO_TEST_CASE(each_property_in_each_packet) {
  for (int id = 0; id < 128; ++id) {
    const auto& rows = property_rows();
    const auto row =
        std::find_if(rows.begin(), rows.end(), [id](const PropertyRow& r) { return r.id == id; });
    for (const char place : "CcPW4567SsUuDA"s) {
      BOOST_TEST_CONTEXT("property " << id << " in " << place) {
        const std::string method =
            id != 0x15 && (place == 'A' || id == 0x16) && (place == 'A' || place == 'C')
                ? "\x15\0\x01m"s
                : "";
        const bool known = row != rows.end();
        const std::string one = static_cast<char>(id) + (known ? row->value : "\0"s);
        const bool allowed = known && row->places.find(place) != std::string::npos;
        const std::string once = outcome(packet_with(place, method + one));
        const std::string twice = outcome(packet_with(place, method + one + one));
        if (!allowed) {
          BOOST_TEST(once.starts_with("error malformed_packet: "));
          BOOST_TEST(once.find(known ? "does not belong" : "unknown") != std::string::npos);
          continue;
        }
        BOOST_TEST(once == "ok");
        const bool repeatable = id == 0x26 || (id == 0x0B && place == 'P');
        BOOST_TEST(twice ==
                   (repeatable ? "ok" : "error protocol_error: property given more than once"));
      }
    }
  }
}

/// A block that ends within a property never takes what follows for the rest of it.
BOOST_AUTO_TEST_CASE(each_property_cut_at_each_byte) {
  for (const PropertyRow& row : property_rows()) {
    const std::string whole = static_cast<char>(row.id) + row.value;
    for (const char place : row.places) {
      for (std::size_t size = 1; size < whole.size(); ++size) {
        BOOST_TEST_CONTEXT("property " << row.id << " in " << place << " cut to " << size) {
          const std::string said = outcome(packet_with(place, whole.substr(0, size)));
          BOOST_TEST(said.starts_with("error malformed_packet: field reaches beyond"));
        }
      }
    }
  }
}

/// Tables 3-1, 3-4 to 3-11 of MQTT 5.0, typed in anew; DISCONNECT of both sides, 0x8C by table 2-6.
BOOST_AUTO_TEST_CASE(each_reason_code_in_each_packet) {
  const std::set<int> publish_acks = {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99};
  const std::set<int> release_acks = {0x00, 0x92};
  const struct {
    PacketType type;
    std::set<int> codes;
  } tables[] = {
      {PacketType::connack, {0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
                             0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F}},
      {PacketType::puback, publish_acks},
      {PacketType::pubrec, publish_acks},
      {PacketType::pubrel, release_acks},
      {PacketType::pubcomp, release_acks},
      {PacketType::suback,
       {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2}},
      {PacketType::unsuback, {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91}},
      {PacketType::disconnect,
       {0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x93,
        0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2}},
      {PacketType::auth, {0x00, 0x18, 0x19}}};
  for (const auto& [type, codes] : tables) {
    for (int code = 0; code < 256; ++code) {
      BOOST_TEST_CONTEXT(name(type) << " " << code) {
        BOOST_TEST(reason_allowed(type, static_cast<std::uint8_t>(code)) == codes.contains(code));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(user_properties_have_limits) {
  std::string block;
  for (std::size_t i = 0; i < kUserPropertiesMax; ++i) block += user_property("k", "");
  BOOST_TEST(outcome(publish_with(block)) == "ok");
  BOOST_TEST(outcome(packet_with('C', block)) == "ok");
  block += user_property("k", "");
  BOOST_TEST(outcome(publish_with(block)).starts_with("error quota_exceeded: "));
  BOOST_TEST(outcome(packet_with('C', block)).starts_with("error quota_exceeded: "));
  const std::string longest = user_property(std::string(65535, 'k'), std::string(65535, 'v'));
  BOOST_TEST(outcome(publish_with(longest)) == "ok");
  BOOST_TEST(outcome(publish_with(longest + longest)).starts_with("error quota_exceeded: "));
}

BOOST_AUTO_TEST_CASE(forwarded_properties_are_views_while_they_adjoin) {
  const std::string user = user_property("k", "v");
  const std::string expiry = "\x02\0\0\0\x05"s;
  const std::string alias = "\x23\0\x07"s;
  const struct {
    std::string block;
    bool plain;
    bool copied;
  } cases[] = {{"", true, false},
               {user, true, false},
               {user + user, true, false},
               {expiry + user, false, false},
               {user + expiry, false, false},
               {alias + user + user + expiry, false, false},
               {user + expiry + user, false, true},
               {user + alias + user + expiry + user, false, true}};
  for (const auto& [block, plain, copied] : cases) {
    const std::string bytes = publish_with(block, 0x32);
    PublishView view;
    std::string scratch = "old";
    DecodeError error;
    BOOST_REQUIRE(decode_publish(frame_of(bytes), Version::v5, view, scratch, error));
    BOOST_TEST(view.frame_is_plain == plain);
    BOOST_TEST((scratch != "old") == copied);
    std::string want;
    for (std::size_t i = 0; (i = block.find(user, i)) != std::string::npos; i += user.size()) {
      want += user;
    }
    BOOST_TEST(view.forward_properties == want);
    const std::less_equal<const char*> not_behind;
    const char* const at = view.forward_properties.data();
    const bool inside = not_behind(bytes.data(), at) && not_behind(at, bytes.data() + bytes.size());
    if (!want.empty()) BOOST_TEST(inside == !copied);
  }
}

BOOST_AUTO_TEST_CASE(framing_tells_how_much_is_missing) {
  const std::string bytes = packet(0x30, "\0\x01t"s + std::string(300, 'x'));
  BOOST_TEST(next_frame("", 1000).needed == 2);
  BOOST_TEST(next_frame(bytes.substr(0, 1), 1000).needed == 2);
  BOOST_TEST(next_frame(bytes.substr(0, 2), 1000).needed == 3);
  BOOST_TEST(next_frame(bytes.substr(0, 3), 1000).needed == bytes.size());
  // Refused as soon as the length is known, and not before.
  BOOST_CHECK(next_frame(bytes.substr(0, 2), 10).status == FrameStatus::need_more);
  BOOST_CHECK(next_frame(bytes.substr(0, 3), 10).status == FrameStatus::too_large);
  BOOST_CHECK(next_frame(bytes.substr(0, 3), bytes.size() - 1).status == FrameStatus::too_large);
  BOOST_CHECK(next_frame(bytes, bytes.size()).status == FrameStatus::complete);
  // What follows is left alone.
  const std::string two = bytes + bytes;
  const FrameResult first = next_frame(two, 1000);
  BOOST_TEST(first.frame.bytes == bytes);
  BOOST_TEST(first.frame.body == bytes.substr(3));
  BOOST_TEST(static_cast<int>(first.frame.first) == 0x30);
}

BOOST_AUTO_TEST_CASE(connack_codes_of_3x) {
  const auto code = [](ReasonCode reason) { return static_cast<int>(connack_return_code(reason)); };
  BOOST_TEST(code(ReasonCode::success) == 0);
  BOOST_TEST(code(ReasonCode::unsupported_protocol_version) == 1);
  BOOST_TEST(code(ReasonCode::client_identifier_not_valid) == 2);
  BOOST_TEST(code(ReasonCode::server_unavailable) == 3);
  BOOST_TEST(code(ReasonCode::server_busy) == 3);
  BOOST_TEST(code(ReasonCode::quota_exceeded) == 3);
  BOOST_TEST(code(ReasonCode::malformed_packet) == 3);
  BOOST_TEST(code(ReasonCode::bad_user_name_or_password) == 4);
  BOOST_TEST(code(ReasonCode::not_authorized) == 5);
  BOOST_TEST(code(ReasonCode::banned) == 5);
  for (int wire = 0; wire <= 5; ++wire) {
    BOOST_TEST(code(connack_reason(static_cast<std::uint8_t>(wire))) == wire);
  }
}

/// What v5 knows and 3.x does not is left out or turned into what 3.x has.
BOOST_AUTO_TEST_CASE(version_3_gets_what_it_knows) {
  const auto bytes = [](const ControlPacket& packet, Version version) {
    std::string out;
    encode(packet, version, out);
    return out;
  };
  Connack connack;
  connack.reason = ReasonCode::quota_exceeded;
  connack.session_present = true;
  connack.reason_string = "full";
  BOOST_TEST(bytes(connack, Version::v311) == "\x20\x02\0\x03"s);
  BOOST_TEST(bytes(connack, Version::v5) == "\x20\x0A\0\x97\x07\x1F\0\x04"s + "full");
  connack.reason = ReasonCode::success;
  BOOST_TEST(bytes(connack, Version::v31) == "\x20\x02\0\0"s);
  BOOST_TEST(bytes(connack, Version::v311) == "\x20\x02\x01\0"s);
  Suback suback;
  suback.packet_id = 1;
  suback.reasons = {ReasonCode::granted_qos2, ReasonCode::not_authorized};
  suback.user_properties = {{"k", "v"}};
  BOOST_TEST(bytes(suback, Version::v311) == "\x90\x04\0\x01\x02\x80"s);
  BOOST_TEST(bytes(suback, Version::v31) == "\x90\x04\0\x01\x02\x80"s);
  Ack ack;
  ack.packet_id = 1;
  ack.reason = ReasonCode::no_matching_subscribers;
  BOOST_TEST(bytes(ack, Version::v311) == "\x40\x02\0\x01"s);
  BOOST_TEST(bytes(ack, Version::v5) == "\x40\x03\0\x01\x10"s);
  Disconnect disconnect;
  disconnect.reason = ReasonCode::server_shutting_down;
  BOOST_TEST(bytes(disconnect, Version::v311) == "\xE0\0"s);
  BOOST_TEST(bytes(disconnect, Version::v5) == "\xE0\x01\x8B"s);
}

BOOST_AUTO_TEST_CASE(what_is_too_long_loses_its_explanations) {
  Ack ack;
  ack.packet_id = 1;
  ack.reason = ReasonCode::not_authorized;
  ack.reason_string = "because";
  ack.user_properties = {{"key", "value"}};
  const auto within = [&ack](std::size_t limit) {
    std::string out = ">";
    const bool fits = encode_within(ack, Version::v5, limit, out);
    return fits ? print(std::get<ControlPacket>(
                      decode_control(frame_of(std::string_view(out).substr(1)), Version::v5)))
                : "too long, " + out;
  };
  BOOST_TEST(
      within(29) ==
      "PUBACK id=1 reason=not_authorized reason_string=\"because\" user{\"key\": \"value\"}");
  BOOST_TEST(within(28) == "PUBACK id=1 reason=not_authorized reason_string=\"because\"");
  BOOST_TEST(within(16) == "PUBACK id=1 reason=not_authorized reason_string=\"because\"");
  BOOST_TEST(within(15) == "PUBACK id=1 reason=not_authorized");
  BOOST_TEST(within(5) == "PUBACK id=1 reason=not_authorized");
  BOOST_TEST(within(4) == "too long, >");
}

BOOST_AUTO_TEST_CASE(the_version_of_a_bad_connect) {
  std::string bytes = packet(0x10, "\0\x04MQTT\x05\x01\0\0\0\0\0"s);  // reserved flag
  BOOST_TEST(outcome(bytes).starts_with("error malformed_packet: "));
  BOOST_CHECK(connect_version(frame_of(bytes)) == Version::v5);
  bytes[8] = '\x04';
  BOOST_CHECK(connect_version(frame_of(bytes)) == Version::v311);
  bytes[8] = '\x84';
  BOOST_CHECK(connect_version(frame_of(bytes)) == Version::v311);
  bytes[8] = '\x07';
  BOOST_CHECK(!connect_version(frame_of(bytes)));
  BOOST_CHECK(!connect_version(frame_of("\xC0\0"s)));
  BOOST_CHECK(!connect_version(frame_of("\x10\0"s)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::codec
