// Publishes from the client by tables: acks, refusals, limits, aliases, waiting.
#include <boost/test/unit_test.hpp>

#include "mqtt/codec/encoder.h"
#include "mqtt/codec/reasons.h"
#include "mqtt/session/session.h"
#include "tests/session/peer.h"

namespace skald::session {
namespace {

using codec::PacketType;
using codec::QoS;
using codec::ReasonCode;
using codec::Version;
using testing::ack_of;
using testing::bytes_of;
using testing::connect_of;
using testing::Lines;
using testing::Peer;
using testing::Publish;
using testing::subscribe_of;

constexpr Version kVersions[] = {Version::v31, Version::v311, Version::v5};
constexpr QoS kQoS0 = QoS::at_most_once;
constexpr QoS kQoS1 = QoS::at_least_once;
constexpr QoS kQoS2 = QoS::exactly_once;

BOOST_AUTO_TEST_SUITE(inbound)

BOOST_AUTO_TEST_CASE(acks_by_qos) {
  for (const Version version : kVersions) {
    Workspace workspace;
    Peer peer(workspace, version);
    peer.connect();
    peer.send(Publish{.qos = kQoS0});
    BOOST_TEST(peer.received().empty());
    peer.send(Publish{.qos = kQoS1, .packet_id = 5});
    BOOST_TEST(peer.received() == Lines{"PUBACK 5"});
    peer.send(Publish{.qos = kQoS2, .packet_id = 6});
    BOOST_TEST(peer.received() == Lines{"PUBREC 6"});
    peer.send(Publish{.payload = "again", .qos = kQoS2, .packet_id = 6, .dup = true});
    BOOST_TEST(peer.received() == Lines{"PUBREC 6"});
    peer.send_ack(PacketType::pubrel, 6);
    BOOST_TEST(peer.received() == Lines{"PUBCOMP 6"});
    peer.send_ack(PacketType::pubrel, 6);
    BOOST_TEST(peer.received() == Lines{version == Version::v5 ? "PUBCOMP 6 0x92" : "PUBCOMP 6"});
    peer.send(Publish{.payload = "new", .qos = kQoS2, .packet_id = 6});
    BOOST_TEST(peer.received() == Lines{"PUBREC 6"});
    BOOST_TEST(peer.noted ==
               (Lines{"PUBLISH q0 t=x", "PUBLISH q1 t=x", "PUBLISH q2 t=x", "PUBLISH q2 t=new"}));
  }
}

struct RefusedCase {
  Publish publish;
  ReasonCode v5;
  bool closes_v5;
  bool closes_v3;
};

BOOST_AUTO_TEST_CASE(refusals) {
  const RefusedCase cases[] = {
      {{.topic = "$SYS/a"}, ReasonCode::not_authorized, false, false},
      {{.topic = "$share/g/a"}, ReasonCode::not_authorized, false, false},
      {{.topic = "a/b/c/d/e/f"}, ReasonCode::topic_name_invalid, false, true},
      {{.topic = std::string(101, 'a')}, ReasonCode::topic_name_invalid, false, true},
      {{.retain = true}, ReasonCode::retain_not_supported, true, true},
      {{.payload = "\xC0", .properties = std::string("\x01\x01", 2)},
       ReasonCode::payload_format_invalid,
       false,
       false},
      {{.topic = "a+"}, ReasonCode::topic_name_invalid, true, true},
  };
  for (const Version version : {Version::v311, Version::v5}) {
    for (const RefusedCase& one : cases) {
      for (const QoS qos : {kQoS0, kQoS1, kQoS2}) {
        BOOST_TEST_CONTEXT(codec::name(version)
                           << " " << one.publish.topic << " " << static_cast<int>(qos)) {
          const bool v5 = version == Version::v5;
          if (!v5 && !one.publish.properties.empty()) continue;
          Workspace workspace;
          workspace.limits.max_topic_levels = 5;
          workspace.limits.max_topic_bytes = 100;
          workspace.limits.retain_available = false;
          workspace.limits.receive_maximum = 1;
          Peer peer(workspace, version);
          peer.connect();
          Publish publish = one.publish;
          publish.qos = qos;
          publish.packet_id = qos == kQoS0 ? 0 : 3;
          for (int i = 0; i < 3; ++i) peer.send(publish);
          const auto packets = peer.received_packets();
          BOOST_TEST(testing::wrong_reason(packets) == "");
          BOOST_TEST(peer.noted.empty());
          const bool closes = v5 ? one.closes_v5 : one.closes_v3;
          BOOST_TEST((peer.session.state() == Session::State::closed) == closes);
          if (closes) continue;
          // Each is answered and takes no place of Receive Maximum for long.
          BOOST_TEST(packets.size() == (qos == kQoS0 ? 0U : 3U));
          peer.send(Publish{.qos = kQoS1, .packet_id = 4});
          BOOST_TEST(peer.received() == Lines{"PUBACK 4"});
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(receive_maximum_in) {
  Workspace workspace;
  workspace.limits.receive_maximum = 3;
  Peer peer(workspace, Version::v5);
  peer.connect();
  for (std::uint16_t id = 1; id <= 3; ++id) peer.send(Publish{.qos = kQoS2, .packet_id = id});
  BOOST_TEST(peer.received().size() == 3U);
  peer.send(Publish{.qos = kQoS0});                               // not counted
  peer.send(Publish{.qos = kQoS2, .packet_id = 2, .dup = true});  // known
  BOOST_TEST(peer.received() == Lines{"PUBREC 2"});
  peer.send_ack(PacketType::pubrel, 2);
  peer.send(Publish{.qos = kQoS1, .packet_id = 9});  // done at once
  peer.send(Publish{.qos = kQoS2, .packet_id = 2});
  BOOST_TEST(peer.received() == (Lines{"PUBCOMP 2", "PUBACK 9", "PUBREC 2"}));
  peer.send(Publish{.qos = kQoS1, .packet_id = 9});
  BOOST_TEST(peer.received() == Lines{"DISCONNECT 0x93"});
  BOOST_TEST((peer.session.end() == End::receive_maximum));
}

BOOST_AUTO_TEST_CASE(receive_maximum_is_not_for_3) {
  Workspace workspace;
  workspace.limits.receive_maximum = 1;
  Peer peer(workspace, Version::v311);
  peer.connect();
  for (std::uint16_t id = 1; id <= 500; ++id) peer.send(Publish{.qos = kQoS2, .packet_id = id});
  BOOST_TEST(peer.received().size() == 500U);
}

BOOST_AUTO_TEST_CASE(negative_acks_end_the_flow) {
  Workspace workspace;
  workspace.limits.receive_maximum = 1;
  Peer peer(workspace, Version::v5);
  peer.connect();
  peer.ack_reason = ReasonCode::not_authorized;
  for (int i = 0; i < 3; ++i) peer.send(Publish{.qos = kQoS2, .packet_id = 1});
  for (int i = 0; i < 3; ++i) peer.send(Publish{.qos = kQoS1, .packet_id = 1});
  BOOST_TEST(peer.received() == (Lines{"PUBREC 1 0x87", "PUBREC 1 0x87", "PUBREC 1 0x87",
                                       "PUBACK 1 0x87", "PUBACK 1 0x87", "PUBACK 1 0x87"}));
  peer.ack_reason = ReasonCode::no_matching_subscribers;
  peer.send(Publish{.qos = kQoS1, .packet_id = 1});
  peer.send(Publish{.qos = kQoS2, .packet_id = 1});
  peer.send_ack(PacketType::pubrel, 1);
  BOOST_TEST(peer.received() == (Lines{"PUBACK 1 0x10", "PUBREC 1 0x10", "PUBCOMP 1"}));
}

/// Acks leave in the order of their publishes [MQTT-4.6.0-2], whenever they are decided.
BOOST_AUTO_TEST_CASE(deferred_acks_in_order) {
  Workspace workspace;
  Peer peer(workspace, Version::v5);
  peer.connect();
  std::vector<std::uint32_t> tickets;
  bool defer = true;
  peer.on_event = [&](Session::Event event) {
    if (event != Session::Event::publish) return;
    if (defer) {
      tickets.push_back(peer.session.defer_acknowledge());
    } else {
      peer.session.acknowledge(ReasonCode::success);
    }
  };
  peer.send(Publish{.qos = kQoS1, .packet_id = 1});
  peer.send(Publish{.qos = kQoS2, .packet_id = 2});
  peer.send(Publish{.qos = kQoS0});
  defer = false;
  peer.send(Publish{.qos = kQoS1, .packet_id = 3});  // done at once, waits for its turn
  peer.send(Publish{.qos = kQoS0});
  defer = true;
  peer.send(Publish{.qos = kQoS1, .packet_id = 4});
  BOOST_TEST(peer.received().empty());
  peer.session.acknowledge_deferred(tickets[1], ReasonCode::success);
  BOOST_TEST(peer.received().empty());
  peer.session.acknowledge_deferred(tickets[0], ReasonCode::not_authorized);
  BOOST_TEST(peer.received() == (Lines{"PUBACK 1 0x87", "PUBREC 2"}));
  peer.session.acknowledge_deferred(tickets[2], ReasonCode::success);
  BOOST_TEST(peer.received() == Lines{"PUBACK 3"});
  peer.session.shrink();
  peer.session.acknowledge_deferred(tickets[3], ReasonCode::success);
  BOOST_TEST(peer.received() == Lines{"PUBACK 4"});
  defer = false;
  peer.session.shrink();
  peer.send(Publish{.qos = kQoS1, .packet_id = 5});
  BOOST_TEST(peer.received() == Lines{"PUBACK 5"});
}

/// A QoS 2 publish that comes twice, or is released, before its result is known.
BOOST_AUTO_TEST_CASE(deferred_and_impatient) {
  for (const ReasonCode result : {ReasonCode::success, ReasonCode::not_authorized}) {
    Workspace workspace;
    workspace.limits.receive_maximum = 2;
    Peer peer(workspace, Version::v5);
    peer.connect();
    std::vector<std::uint32_t> tickets;
    peer.on_event = [&](Session::Event event) {
      if (event == Session::Event::publish) tickets.push_back(peer.session.defer_acknowledge());
    };
    peer.send(Publish{.qos = kQoS2, .packet_id = 1});
    peer.send(Publish{.qos = kQoS2, .packet_id = 1, .dup = true});
    BOOST_TEST(peer.received().empty());  // no promise before it is done
    BOOST_TEST(tickets.size() == 1U);
    peer.send_ack(PacketType::pubrel, 1);
    peer.received();
    peer.session.acknowledge_deferred(tickets[0], result);
    peer.send_ack(PacketType::pubrel, 1);
    peer.received();
    // The count of open publishes has not gone wrong.
    peer.on_event = nullptr;
    for (std::uint16_t id = 5; id <= 6; ++id) peer.send(Publish{.qos = kQoS2, .packet_id = id});
    BOOST_TEST(peer.received() == (Lines{"PUBREC 5", "PUBREC 6"}));
    peer.send(Publish{.qos = kQoS2, .packet_id = 7});
    BOOST_TEST(peer.received() == Lines{"DISCONNECT 0x93"});
  }
}

BOOST_AUTO_TEST_CASE(topic_aliases_in) {
  struct Case {
    Publish publish;
    std::string noted;   // empty: refused
    std::string answer;  // then
  };
  const Case cases[] = {
      {{.topic = "a", .topic_alias = 1}, "PUBLISH q0 a=x", ""},
      {{.topic = "", .topic_alias = 1}, "PUBLISH q0 a=x", ""},
      {{.topic = "b", .topic_alias = 1}, "PUBLISH q0 b=x", ""},
      {{.topic = "", .topic_alias = 1}, "PUBLISH q0 b=x", ""},
      {{.topic = "c", .topic_alias = 3}, "PUBLISH q0 c=x", ""},
      {{.topic = "", .topic_alias = 3}, "PUBLISH q0 c=x", ""},
      {{.topic = "", .topic_alias = 2}, "", "DISCONNECT 0x82"},
      {{.topic = "d", .topic_alias = 4}, "", "DISCONNECT 0x94"},
      {{.topic = "", .topic_alias = 4}, "", "DISCONNECT 0x94"},
      {{.topic = ""}, "", "DISCONNECT 0x82"},
  };
  Workspace workspace;
  workspace.limits.topic_alias_maximum_in = 3;
  auto peer = std::make_unique<Peer>(workspace, Version::v5);
  peer->connect();
  for (const Case& one : cases) {
    peer->send(one.publish);
    BOOST_TEST(peer->noted == (one.noted.empty() ? Lines{} : Lines{one.noted}));
    BOOST_TEST(peer->received() == (one.answer.empty() ? Lines{} : Lines{one.answer}));
    peer->noted.clear();
    if (one.answer.empty()) continue;
    peer = std::make_unique<Peer>(workspace, Version::v5);
    peer->connect();
  }
  // Off: every alias is over the maximum.
  workspace.limits.topic_alias_maximum_in = 0;
  peer->send(Publish{.topic = "a", .topic_alias = 1});
  BOOST_TEST(peer->received() == Lines{"DISCONNECT 0x94"});
}

BOOST_AUTO_TEST_CASE(maximum_packet_size_in) {
  for (const Version version : kVersions) {
    Workspace workspace;
    workspace.limits.max_packet_size = 200;
    Peer peer(workspace, version);
    peer.connect();
    Publish publish{.payload = {}};
    publish.payload.assign(200 - bytes_of(publish, version).size() - 1, 'p');
    BOOST_REQUIRE_EQUAL(bytes_of(publish, version).size(), 200U);
    peer.send(publish);
    BOOST_TEST(peer.noted.size() == 1U);
    publish.payload.push_back('p');
    peer.feed(bytes_of(publish, version).substr(0, 3));  // known from the length
    BOOST_TEST((peer.session.end() == End::packet_too_large));
    BOOST_TEST(peer.received() == (version == Version::v5 ? Lines{"DISCONNECT 0x95"} : Lines{}));
  }
}

BOOST_AUTO_TEST_CASE(expiry_and_properties_go_through) {
  Workspace workspace;
  Peer peer(workspace, Version::v5);
  peer.connect();
  const std::string properties("\x03\x00\x01x", 4);  // content type
  peer.send(Publish{.expiry_s = 30, .properties = properties});
  BOOST_TEST(peer.noted == Lines{"PUBLISH q0 t=x expiry=30 properties=4"});
}

/// A blocked publisher is not read further, but its acks and pings go on.
BOOST_AUTO_TEST_CASE(blocked_publisher) {
  for (const Version version : kVersions) {
    Workspace workspace;
    Peer peer(workspace, version);
    peer.connect();
    BOOST_TEST((peer.deliver({.qos = kQoS1}, {.granted = kQoS1}) == Session::Outcome::sent));
    BOOST_TEST((peer.deliver({.qos = kQoS2}, {.granted = kQoS2}) == Session::Outcome::sent));
    peer.received();
    peer.session.set_publish_blocked(true);
    const std::string publish = bytes_of(Publish{.qos = kQoS1, .packet_id = 1}, version);
    peer.feed(bytes_of(codec::ControlPacket(codec::Pingreq{}), version) + publish);
    BOOST_TEST(peer.received() == Lines{"PINGRESP"});
    BOOST_TEST(peer.rest == publish);
    std::string& buffered = peer.rest;
    std::size_t scan = 0;
    const std::string late = bytes_of(codec::ControlPacket(subscribe_of("a")), version);
    buffered += bytes_of(codec::ControlPacket(ack_of(PacketType::puback, 1)), version) + publish +
                bytes_of(codec::ControlPacket(ack_of(PacketType::pubrec, 2)), version) + late;
    // However it comes in, acks are taken out and the rest stays in its order.
    std::string whole = std::exchange(buffered, {});
    for (const char byte : whole) {
      buffered.push_back(byte);
      peer.session.receive_past_block(buffered, scan, peer.now_ms);
    }
    BOOST_TEST(peer.received() == Lines{"PUBREL 2"});
    BOOST_TEST(buffered == publish + publish + late);
    BOOST_TEST(peer.noted.empty());
    peer.session.set_publish_blocked(false);
    peer.feed("");
    BOOST_TEST(peer.noted == (Lines{"PUBLISH q1 t=x", "PUBLISH q1 t=x", "SUBSCRIBE"}));
    BOOST_TEST(peer.received() == (Lines{"PUBACK 1", "PUBACK 1"}));
  }
}

/// A client that sends and never reads: what waits for it has a limit.
BOOST_AUTO_TEST_CASE(answers_to_a_deaf_client_are_bounded) {
  for (const Version version : kVersions) {
    Workspace workspace;
    Peer peer(workspace, version);
    peer.connect();
    const std::string ping = bytes_of(codec::ControlPacket(codec::Pingreq{}), version);
    std::string many;
    for (int i = 0; i < 1000; ++i) many += ping;
    for (int i = 0; i < 10'000 && peer.session.state() != Session::State::closed; ++i) {
      std::string_view left = many;
      while (!left.empty()) {
        const Session::Step step = peer.session.receive(left, peer.now_ms);
        if (step.consumed == 0) break;
        left.remove_prefix(step.consumed);
      }
    }
    BOOST_TEST((peer.session.end() == End::quota));
    BOOST_TEST(peer.session.output().size() < 2U * 1024 * 1024);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::session
