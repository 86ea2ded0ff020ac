// The life of a session driven by tables: what a client sends, what it gets, how it ends.
#include "mqtt/session/session.h"

#include <boost/test/unit_test.hpp>

#include "mqtt/codec/encoder.h"
#include "mqtt/codec/reasons.h"
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

codec::Will will_of(std::string topic) {
  codec::Will will;
  will.topic = std::move(topic);
  will.payload = "bye";
  return will;
}

codec::Unsubscribe unsubscribe_of(std::string filter) {
  codec::Unsubscribe unsubscribe;
  unsubscribe.packet_id = 9;
  unsubscribe.filters.push_back(std::move(filter));
  return unsubscribe;
}

/// One valid packet of each type. AUTH only exists in v5.
std::vector<std::string> one_of_each(Version version) {
  std::vector<std::string> packets;
  const auto add = [&](const codec::ControlPacket& packet) {
    packets.push_back(bytes_of(packet, version));
  };
  add(connect_of(version));
  add(codec::Connack{});
  packets.push_back(bytes_of(Publish{.qos = kQoS0}, version));
  for (const auto type :
       {PacketType::puback, PacketType::pubrec, PacketType::pubrel, PacketType::pubcomp}) {
    add(ack_of(type, 7));
  }
  add(subscribe_of("a"));
  codec::Suback suback;
  suback.packet_id = 9;
  suback.reasons = {ReasonCode::success};
  add(suback);
  add(unsubscribe_of("a"));
  codec::Unsuback unsuback;
  unsuback.packet_id = 9;
  unsuback.reasons = {ReasonCode::success};
  add(unsuback);
  add(codec::Pingreq{});
  add(codec::Pingresp{});
  add(codec::Disconnect{});
  if (version == Version::v5) {
    codec::Auth auth;
    auth.reason = ReasonCode::continue_authentication;
    auth.authentication_method = "m";
    add(auth);
  }
  return packets;
}

BOOST_AUTO_TEST_SUITE(life)

BOOST_AUTO_TEST_CASE(first_packet_must_be_connect) {  // [MQTT-3.1.0-1]
  for (const Version version : kVersions) {
    for (const std::string& packet : one_of_each(version)) {
      if ((packet[0] & 0xF0) == 0x10) continue;
      Workspace workspace;
      Peer peer(workspace, version);
      peer.feed(packet.substr(0, 1));  // not waited for
      BOOST_TEST((peer.session.state() == Session::State::closed));
      BOOST_TEST((peer.session.end() == End::protocol_error));
      BOOST_TEST(peer.received().empty());
      BOOST_TEST(!peer.session.take_will());
    }
  }
}

/// Every packet in every state: what goes on, what ends, never a packet that must not be sent.
BOOST_AUTO_TEST_CASE(every_packet_when_connected) {
  for (const Version version : kVersions) {
    const bool v5 = version == Version::v5;
    const std::string gone = v5 ? "DISCONNECT 0x82" : "";
    const std::pair<std::string, std::string> expected[] = {
        {gone, ""},                                 // second CONNECT [MQTT-3.1.0-2]
        {gone, ""},                                 // CONNACK
        {"", "PUBLISH q0 t=x"},                     // PUBLISH
        {"", ""},                                   // PUBACK of nothing
        {v5 ? "PUBREL 7 0x92" : "PUBREL 7", ""},    // PUBREC of nothing
        {v5 ? "PUBCOMP 7 0x92" : "PUBCOMP 7", ""},  // PUBREL of nothing
        {"", ""},                                   // PUBCOMP of nothing
        {"", "SUBSCRIBE"},
        {gone, ""},
        {"", "UNSUBSCRIBE"},
        {gone, ""},
        {"PINGRESP", ""},
        {gone, ""},
        {"", ""},
        {"", "AUTH"},
    };
    const std::vector<std::string> packets = one_of_each(version);
    for (std::size_t i = 0; i < packets.size(); ++i) {
      BOOST_TEST_CONTEXT(codec::name(version) << " packet " << i) {
        Workspace workspace;
        Peer peer(workspace, version);
        peer.connect();
        peer.feed(packets[i]);
        const Lines received = peer.received();
        BOOST_TEST(received == (expected[i].first.empty() ? Lines{} : Lines{expected[i].first}));
        BOOST_TEST(peer.noted ==
                   (expected[i].second.empty() ? Lines{} : Lines{expected[i].second}));
        const bool ends = i == 0 || i == 1 || i == 8 || i == 10 || i == 12 || i == 13;
        BOOST_TEST((peer.session.state() == Session::State::closed) == ends);
        BOOST_TEST((peer.session.end() == End::by_client) == (i == 13));
        // Closed: nothing is written any more, whatever comes.
        if (!ends) peer.session.close(ReasonCode::administrative_action, End::administrative);
        peer.received();
        for (const std::string& late : packets) peer.feed(late);
        peer.session.acknowledge(ReasonCode::success);
        peer.session.subscribed(1, {ReasonCode::success});
        peer.session.unsubscribed(1, {ReasonCode::success});
        peer.session.close(ReasonCode::unspecified_error, End::internal);
        BOOST_TEST((peer.deliver({.qos = kQoS1}, {.granted = kQoS1}) == Session::Outcome::dropped));
        BOOST_TEST(peer.received().empty());
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(packets_while_connecting) {
  for (const Version version : kVersions) {
    for (const std::string& packet : one_of_each(version)) {
      Workspace workspace;
      Peer peer(workspace, version);
      peer.auto_accept = false;
      peer.send(codec::ControlPacket(connect_of(version)));
      peer.feed(packet);
      if ((packet[0] & 0xF0) == 0xF0) continue;  // AUTH is the shell's to judge
      BOOST_TEST((peer.session.state() == Session::State::closed));
      BOOST_TEST(testing::wrong_reason(peer.received_packets()) == "");
    }
  }
}

struct ConnectCase {
  const char* name;
  Version version;
  std::function<void(codec::Connect&)> change;
  std::string answer;  // empty: none
  End end = End::none;
};

BOOST_AUTO_TEST_CASE(connect_rules) {
  const auto nothing = [](codec::Connect&) {};
  const auto no_id = [](codec::Connect& connect) { connect.client_id.clear(); };
  const auto no_id_kept = [](codec::Connect& connect) {
    connect.client_id.clear();
    connect.clean_start = false;
  };
  const auto long_id = [](codec::Connect& connect) { connect.client_id.assign(51, 'i'); };
  const auto method = [](codec::Connect& connect) { connect.authentication_method = "SCRAM"; };
  const auto will_on = [](std::string topic) {
    return [topic](codec::Connect& connect) { connect.will = will_of(topic); };
  };
  const auto will_retained = [](codec::Connect& connect) {
    connect.will = will_of("w");
    connect.will->retain = true;
  };
  const auto will_text = [](codec::Connect& connect) {
    connect.will = will_of("w");
    connect.will->payload = "\xFF";
    connect.will->properties = std::string("\x01\x01", 2);
  };
  const End protocol = End::protocol_error;
  const ConnectCase cases[] = {
      {"plain", Version::v31, nothing, "CONNACK 0x00"},
      {"plain", Version::v311, nothing, "CONNACK 0x00"},
      {"plain", Version::v5, nothing, "CONNACK 0x00"},
      {"no id", Version::v31, no_id, "CONNACK 0x00"},
      {"no id", Version::v311, no_id, "CONNACK 0x00"},
      {"no id", Version::v5, no_id, "CONNACK 0x00"},
      {"no id, not clean [MQTT-3.1.3-8]", Version::v311, no_id_kept, "CONNACK 0x85",
       End::client_id_invalid},
      {"no id, not clean", Version::v5, no_id_kept, "CONNACK 0x00"},
      {"long id", Version::v311, long_id, "CONNACK 0x85", End::client_id_invalid},
      {"long id", Version::v5, long_id, "CONNACK 0x85", End::client_id_invalid},
      {"method nobody has", Version::v5, method, "CONNACK 0x8c", End::bad_credentials},
      {"will", Version::v5, will_on("w"), "CONNACK 0x00"},
      {"will on a topic of ours", Version::v5, will_on("$SYS/x"), "CONNACK 0x87",
       End::not_authorized},
      {"will on a topic of ours", Version::v311, will_on("$SYS/x"), "CONNACK 0x87",
       End::not_authorized},
      {"will too deep", Version::v5, will_on("a/b/c/d/e/f"), "CONNACK 0x90", protocol},
      {"will retained [MQTT-3.2.2-13]", Version::v5, will_retained, "CONNACK 0x9a", protocol},
      {"will not UTF-8", Version::v5, will_text, "CONNACK 0x99", protocol},
  };
  for (const ConnectCase& one : cases) {
    BOOST_TEST_CONTEXT(one.name << " " << codec::name(one.version)) {
      Workspace workspace;
      workspace.limits.max_client_id_bytes = 50;
      workspace.limits.max_topic_levels = 5;
      workspace.limits.retain_available = false;
      Peer peer(workspace, one.version);
      codec::Connect connect = connect_of(one.version);
      one.change(connect);
      peer.send(codec::ControlPacket(connect));
      BOOST_TEST(peer.received() == Lines{one.answer});
      BOOST_TEST((peer.session.end() == one.end));
      const bool connected = peer.session.state() == Session::State::connected;
      BOOST_TEST(connected == (one.end == End::none));
      // The will of a client that was never let in is not published.
      if (!connected) BOOST_TEST(!peer.session.take_will());
    }
  }
}

BOOST_AUTO_TEST_CASE(unknown_level_is_told_in_words_of_3) {
  Workspace workspace;
  Peer peer(workspace, Version::v311);
  std::string connect = bytes_of(codec::ControlPacket(connect_of(Version::v311)), Version::v311);
  connect[8] = 6;
  peer.feed(connect);
  BOOST_TEST(peer.received() == Lines{"CONNACK 0x84"});
  BOOST_TEST((peer.session.state() == Session::State::closed));
}

codec::Connack connack_of(Peer& peer, const codec::Connect& connect) {
  peer.send(codec::ControlPacket(connect));
  const auto packets = peer.received_packets();
  BOOST_REQUIRE_EQUAL(packets.size(), 1U);
  return std::get<codec::Connack>(std::get<codec::ControlPacket>(packets[0]));
}

BOOST_AUTO_TEST_CASE(connack_tells_the_limits) {
  Workspace workspace;
  workspace.limits.receive_maximum = 17;
  workspace.limits.max_packet_size = 5000;
  workspace.limits.topic_alias_maximum_in = 3;
  workspace.limits.retain_available = false;
  workspace.limits.shared_available = false;
  workspace.limits.wildcard_available = false;
  Peer peer(workspace, Version::v5);
  codec::Connect connect = connect_of(Version::v5, "");
  connect.session_expiry_s = 100;
  connect.request_response_information = true;
  const codec::Connack connack = connack_of(peer, connect);
  BOOST_TEST(!connack.session_present);
  BOOST_TEST(*connack.receive_maximum == 17);
  BOOST_TEST(*connack.maximum_packet_size == 5000U);
  BOOST_TEST(*connack.topic_alias_maximum == 3);
  BOOST_TEST(*connack.session_expiry_s == 0U);
  BOOST_TEST(*connack.assigned_client_id == "assigned");
  BOOST_TEST(!*connack.retain_available);
  BOOST_TEST(!*connack.shared_subscription_available);
  BOOST_TEST(!*connack.wildcard_subscription_available);
  BOOST_TEST(*connack.response_information == "response/information");
  Peer plain(workspace, Version::v5);
  const codec::Connack less = connack_of(plain, connect_of(Version::v5));
  BOOST_TEST(!less.assigned_client_id);
  BOOST_TEST(!less.response_information);
  BOOST_TEST(!less.session_expiry_s);
}

BOOST_AUTO_TEST_CASE(server_keep_alive) {
  struct Case {
    Version version;
    std::uint16_t wish, most, always, told, held;  // told 0: nothing
  };
  const Case cases[] = {
      {Version::v5, 60, 0, 0, 0, 60},     {Version::v5, 60, 60, 0, 0, 60},
      {Version::v5, 61, 60, 0, 60, 60},   {Version::v5, 0, 60, 0, 60, 60},
      {Version::v5, 10, 60, 20, 20, 20},  {Version::v5, 0, 0, 20, 20, 20},
      {Version::v311, 61, 60, 20, 0, 61}, {Version::v31, 0, 60, 20, 0, 0},
  };
  for (const Case& one : cases) {
    Workspace workspace;
    workspace.limits.max_keep_alive_s = one.most;
    workspace.limits.server_keep_alive_s = one.always;
    Peer peer(workspace, one.version);
    codec::Connect connect = connect_of(one.version);
    connect.keep_alive_s = one.wish;
    const codec::Connack connack = connack_of(peer, connect);
    BOOST_TEST(connack.server_keep_alive_s.value_or(0) == one.told);
    BOOST_TEST(peer.session.keep_alive_s() == one.held);
  }
}

/// The server's ends while the client waits for CONNACK and later: only codes that v5 has there.
BOOST_AUTO_TEST_CASE(ends_by_the_server) {
  const std::pair<ReasonCode, End> ends[] = {
      {ReasonCode::session_taken_over, End::taken_over},
      {ReasonCode::server_shutting_down, End::shutting_down},
      {ReasonCode::keep_alive_timeout, End::keep_alive},
      {ReasonCode::unspecified_error, End::connect_timeout},
      {ReasonCode::administrative_action, End::administrative},
  };
  for (const Version version : kVersions) {
    for (const auto& [reason, end] : ends) {
      for (const bool accepted : {false, true}) {
        Workspace workspace;
        Peer peer(workspace, version);
        peer.auto_accept = accepted;
        peer.send(codec::ControlPacket(connect_of(version)));
        peer.received();
        peer.session.close(reason, end, "why");
        BOOST_TEST((peer.session.end() == end));
        const auto packets = peer.received_packets();
        BOOST_TEST(packets.size() == (version == Version::v5 || !accepted ? 1U : 0U));
        BOOST_TEST(testing::wrong_reason(packets) == "");
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(will_by_kind_of_end) {
  codec::Disconnect with_will;
  with_will.reason = ReasonCode::disconnect_with_will;
  codec::Disconnect error;
  error.reason = ReasonCode::unspecified_error;
  codec::Disconnect normal;
  for (const Version version : kVersions) {
    const bool v5 = version == Version::v5;
    const auto will_after = [&](const std::function<void(Peer&)>& end) {
      Workspace workspace;
      Peer peer(workspace, version);
      codec::Connect connect = connect_of(version);
      connect.will = will_of("w");
      peer.connect(connect);
      end(peer);
      BOOST_TEST((peer.session.state() == Session::State::closed));
      const auto will = peer.session.take_will();
      if (will) BOOST_TEST(will->payload == "bye");
      BOOST_TEST(!peer.session.take_will());  // at most once
      return will.has_value();
    };
    BOOST_TEST(!will_after([&](Peer& peer) { peer.send(codec::ControlPacket(normal)); }));
    if (v5) {
      BOOST_TEST(will_after([&](Peer& peer) { peer.send(codec::ControlPacket(with_will)); }));
      // Only 0x00 takes the will away [MQTT-3.1.2-10].
      BOOST_TEST(will_after([&](Peer& peer) { peer.send(codec::ControlPacket(error)); }));
    }
    BOOST_TEST(will_after([](Peer& peer) { peer.session.connection_lost(); }));
    BOOST_TEST(will_after([](Peer& peer) { peer.feed(std::string("\x10\x00", 2)); }));
    BOOST_TEST(will_after([](Peer& peer) { peer.feed(std::string("\xF8\x00", 2)); }));
    for (const End end : {End::keep_alive, End::taken_over, End::shutting_down}) {
      BOOST_TEST(will_after(
          [end](Peer& peer) { peer.session.close(ReasonCode::unspecified_error, end); }));
    }
  }
}

BOOST_AUTO_TEST_CASE(disconnect_rules) {
  struct Case {
    std::uint32_t connect_expiry, expiry;
    ReasonCode reason;
    std::string answer;
    End end;
  };
  const Case cases[] = {
      {0, 0, ReasonCode::success, "", End::by_client},
      // [MQTT-3.14.2-2]: zero in CONNECT must stay zero, whatever CONNACK said.
      {0, 5, ReasonCode::success, "DISCONNECT 0x82", End::protocol_error},
      {100, 5, ReasonCode::success, "", End::by_client},
      {0, 0, ReasonCode::server_shutting_down, "DISCONNECT 0x82", End::protocol_error},
      {0, 0, ReasonCode::session_taken_over, "DISCONNECT 0x82", End::protocol_error},
      {0, 0, ReasonCode::quota_exceeded, "", End::by_client},
  };
  for (const Case& one : cases) {
    Workspace workspace;
    Peer peer(workspace, Version::v5);
    codec::Connect connect = connect_of(Version::v5);
    connect.session_expiry_s = one.connect_expiry;
    peer.connect(connect);
    codec::Disconnect disconnect;
    disconnect.session_expiry_s = one.expiry;
    disconnect.reason = one.reason;
    peer.send(codec::ControlPacket(disconnect));
    BOOST_TEST(peer.received() == (one.answer.empty() ? Lines{} : Lines{one.answer}));
    BOOST_TEST((peer.session.end() == one.end));
  }
}

/// A second CONNECT that does not even decode: its reason has no place in DISCONNECT.
BOOST_AUTO_TEST_CASE(broken_second_connect) {
  Workspace workspace;
  Peer peer(workspace, Version::v5);
  peer.connect();
  std::string connect = bytes_of(codec::ControlPacket(connect_of(Version::v311)), Version::v311);
  connect[8] = 6;
  peer.feed(connect);
  BOOST_TEST(peer.received() == Lines{"DISCONNECT 0x82"});
}

/// Whatever the cuts, the same answers.
BOOST_AUTO_TEST_CASE(any_chunks) {
  for (const Version version : kVersions) {
    std::string stream = bytes_of(codec::ControlPacket(connect_of(version)), version);
    for (std::uint16_t id = 1; id < 20; ++id) {
      const QoS qos = static_cast<QoS>(id % 3);
      stream += bytes_of(Publish{.payload = std::string(id * 10U, 'p'),
                                 .qos = qos,
                                 .packet_id = qos == kQoS0 ? std::uint16_t{0} : id},
                         version);
      stream += bytes_of(codec::ControlPacket(codec::Pingreq{}), version);
    }
    const auto run = [&](std::size_t chunk) {
      Workspace workspace;
      Peer peer(workspace, version);
      for (std::size_t at = 0; at < stream.size(); at += chunk) {
        peer.feed(std::string_view(stream).substr(at, chunk));
        if (!peer.rest.empty()) BOOST_REQUIRE_GT(peer.session.needed(), peer.rest.size());
      }
      return std::make_pair(peer.received(), peer.noted);
    };
    const auto whole = run(stream.size());
    BOOST_TEST(whole.second.size() == 19U);
    for (std::size_t chunk = 1; chunk < 300; chunk += 7) BOOST_REQUIRE(run(chunk) == whole);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::session
