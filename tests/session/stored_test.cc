// Sessions in an inbox: expiry, wills, QoS 2 publishes over reconnects; all of it at random.
#include <boost/test/unit_test.hpp>

#include "config/base/random.h"
#include "mqtt/codec/encoder.h"
#include "mqtt/session/accepted_publishes.h"
#include "mqtt/session/session.h"
#include "mqtt/session/stored_flow.h"
#include "tests/session/lasting.h"
#include "tests/session/peer.h"
#include "tests/session/stored_world.h"

namespace skald::session {
namespace {

using codec::PacketType;
using codec::QoS;
using codec::ReasonCode;
using codec::Version;
using inbox::Seq;
using testing::connect_of;
using testing::Ids;
using testing::Lasting;
using testing::Lines;
using testing::Peer;
using testing::Publish;
using testing::Seqs;

constexpr Version kVersions[] = {Version::v31, Version::v311, Version::v5};
constexpr QoS kQoS0 = QoS::at_most_once;
constexpr QoS kQoS1 = QoS::at_least_once;
constexpr QoS kQoS2 = QoS::exactly_once;

BOOST_AUTO_TEST_SUITE(stored)

// -- life
// -----------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(expiry_granted) {
  constexpr std::uint32_t kNever = inbox::kNeverExpires;
  struct Case {
    Version version;
    bool clean_start;
    std::uint32_t wish, most;
    bool available;
    std::uint32_t granted;
    bool told;
    std::uint32_t least = 0;
  };
  const Case cases[] = {
      {Version::v5, true, 10, kNever, true, 60, true, 60},
      {Version::v5, true, 61, kNever, true, 61, false, 60},
      {Version::v5, true, 0, kNever, true, 0, false, 60},
      {Version::v5, true, 10, 50, true, 50, true, 60},
      {Version::v5, true, 0, kNever, true, 0, false},
      {Version::v5, false, 0, kNever, true, 0, false},
      {Version::v5, true, 100, kNever, true, 100, false},
      {Version::v5, true, kNever, kNever, true, kNever, false},
      {Version::v5, true, 100, 99, true, 99, true},
      {Version::v5, true, kNever, 99, true, 99, true},
      {Version::v5, true, 100, 0, true, 0, true},
      {Version::v5, true, 100, kNever, false, 0, true},
      {Version::v311, true, 0, kNever, true, 0, false},
      {Version::v311, false, 0, kNever, true, kNever, false},
      {Version::v311, false, 0, 99, true, 99, false},
      {Version::v311, false, 0, kNever, false, 0, false},
      {Version::v31, false, 0, kNever, true, kNever, false},
      {Version::v31, true, 0, kNever, true, 0, false},
  };
  for (const Case& one : cases) {
    for (const bool in_inbox : {true, false}) {
      Workspace workspace;
      Limits limits;  // of the tenant: those of the loop do not count
      limits.max_session_expiry_s = one.most;
      limits.min_session_expiry_s = one.least;
      limits.persistent_available = one.available;
      Peer peer(workspace, one.version);
      peer.identity.limits = &limits;
      peer.on_event = [&](Session::Event) {
        BOOST_TEST(peer.session.wished_expiry_s(limits) == one.granted);
        const Resume resume{.first_sequence = 5};
        peer.session.accept(peer.identity, 0, in_inbox ? &resume : nullptr);
      };
      codec::Connect connect = connect_of(one.version);
      connect.clean_start = one.clean_start;
      connect.session_expiry_s = one.wish;
      peer.send(codec::ControlPacket(connect));
      const auto packets = peer.received_packets();
      const auto& connack = std::get<codec::Connack>(std::get<codec::ControlPacket>(packets.at(0)));
      const bool told = in_inbox ? one.told : one.wish != 0;
      BOOST_TEST(connack.session_expiry_s.has_value() == told);
      if (told) BOOST_TEST(*connack.session_expiry_s == (in_inbox ? one.granted : 0));
      BOOST_TEST(peer.session.session_expiry_s() == (in_inbox ? one.granted : 0));
      BOOST_TEST(peer.session.persistent() == in_inbox);
      BOOST_TEST(!peer.session.changed_expiry_s());
    }
  }
}

BOOST_AUTO_TEST_CASE(session_present) {
  for (const Version version : kVersions) {
    for (const bool present : {true, false}) {
      Workspace workspace;
      Lasting client(workspace, version);
      const Resume resume{.session_present = present};
      client.peer.auto_accept = false;
      client.peer.on_event = [&](Session::Event) {
        client.peer.session.accept(client.peer.identity, 0, &resume);
      };
      client.peer.send(codec::ControlPacket(client.connect));
      const auto packets = client.peer.received_packets();
      const auto& connack = std::get<codec::Connack>(std::get<codec::ControlPacket>(packets.at(0)));
      BOOST_TEST(connack.session_present == (present && version != Version::v31));
    }
  }
}

BOOST_AUTO_TEST_CASE(disconnect_changes_the_expiry) {
  using Expiry = std::optional<std::uint32_t>;
  struct Case {
    std::uint32_t wish;
    Expiry disconnect;
    ReasonCode reason;
    Expiry changed;
    bool clean;
    std::string answer;
  };
  const Case cases[] = {
      {100, {}, ReasonCode::success, {}, true, ""},
      {100, 100U, ReasonCode::success, {}, true, ""},
      {100, 0U, ReasonCode::success, 0U, true, ""},
      {100, 7U, ReasonCode::disconnect_with_will, 7U, false, ""},
      {100, 5000U, ReasonCode::success, 1000U, true, ""},
      {100, {}, ReasonCode::disconnect_with_will, {}, false, ""},
      {5000, 2000U, ReasonCode::success, {}, true, ""},  // both more than is granted
      {0, 0U, ReasonCode::success, {}, true, ""},
      {0, 1U, ReasonCode::success, {}, false, "DISCONNECT 0x82"},  // [MQTT-3.14.2-2]
  };
  for (const Case& one : cases) {
    Workspace workspace;
    workspace.limits.max_session_expiry_s = 1000;
    Lasting client(workspace);
    client.connect.session_expiry_s = one.wish;
    client.connect.will =
        codec::Will{.topic = "w", .payload = "", .properties = "", .message_expiry_s = {}};
    client.resumes({});
    codec::Disconnect disconnect;
    disconnect.session_expiry_s = one.disconnect;
    disconnect.reason = one.reason;
    client.peer.send(codec::ControlPacket(disconnect));
    BOOST_TEST((client.peer.session.changed_expiry_s() == one.changed));
    BOOST_TEST(client.peer.session.ended_clean() == one.clean);
    BOOST_TEST(client.peer.received() == (one.answer.empty() ? Lines{} : Lines{one.answer}));
    BOOST_TEST(client.peer.session.take_will().has_value() == !one.clean);
  }
  Workspace workspace;
  for (const Version version : kVersions) {
    Lasting gone(workspace, version);
    gone.resumes({});
    gone.peer.session.connection_lost();
    BOOST_TEST(!gone.peer.session.ended_clean());
    Lasting polite(workspace, version);
    polite.resumes({});
    polite.peer.send(codec::ControlPacket(codec::Disconnect{}));
    BOOST_TEST(polite.peer.session.ended_clean());
    Lasting evicted(workspace, version);
    evicted.resumes({});
    evicted.peer.session.close(ReasonCode::session_taken_over, End::taken_over);
    BOOST_TEST(!evicted.peer.session.ended_clean());
  }
}

BOOST_AUTO_TEST_CASE(will_for_the_inbox) {
  using Expiry = std::optional<std::uint32_t>;
  const std::pair<Expiry, mqtt::TimeMs> expiries[] = {{{}, 0}, {0U, 1}, {9U, 9000}};
  for (const auto& [told, interval_ms] : expiries) {
    Workspace workspace;
    Peer peer(workspace, Version::v5);
    peer.auto_accept = false;
    codec::Connect connect = connect_of(Version::v5);
    connect.will = codec::Will{.topic = "w/t",
                               .payload = "gone",
                               .properties = std::string("\x01\x01", 2),
                               .message_expiry_s = told,
                               .delay_s = 77,
                               .qos = kQoS2,
                               .retain = true};
    peer.send(codec::ControlPacket(connect));
    const std::optional<inbox::Will> will = peer.session.will("tenant");
    BOOST_REQUIRE(will.has_value());
    const mqtt::Publication& publication = *will->publication;
    BOOST_TEST(will->delay_s == 77U);
    BOOST_TEST(publication.tenant() == "tenant");
    BOOST_TEST(publication.topic() == "w/t");
    BOOST_TEST(publication.payload() == "gone");
    BOOST_TEST(publication.properties() == std::string("\x01\x01", 2));
    BOOST_TEST((publication.info().qos == kQoS2));
    BOOST_TEST(publication.info().retain);
    BOOST_TEST(publication.info().stamp_ms == 0U);
    BOOST_TEST(publication.info().expiry_ms == interval_ms);
  }
  Workspace workspace;
  Peer none(workspace, Version::v311);
  none.auto_accept = false;
  none.send(codec::ControlPacket(connect_of(Version::v311)));
  BOOST_TEST(!none.session.will("tenant").has_value());
}

// -- inbound QoS 2
// --------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(publishes_are_committed_before_they_are_acked) {
  for (const Version version : kVersions) {
    Workspace workspace;
    Lasting client(workspace, version);
    client.resumes({.first_sequence = 1000});
    Session& session = client.peer.session;
    BOOST_TEST(session.lowest_open_sequence() == 1000U);
    client.publish(7, "a", kQoS1);
    client.publish(5, "b");
    client.publish(6, "c");
    BOOST_TEST(client.take_noted() == (Lines{"a 1000", "b 1001", "c 1002"}));
    BOOST_TEST(session.lowest_open_sequence() == 1001U);
    client.publish(5, "b");  // again: it is on its way
    BOOST_TEST(client.take_noted() == Lines{});
    BOOST_TEST(client.peer.received() == Lines{});
    session.acknowledge_deferred(client.tickets[2], ReasonCode::success);
    session.acknowledge_deferred(client.tickets[0], ReasonCode::success);
    session.acknowledge_deferred(client.tickets[1], ReasonCode::success);
    BOOST_TEST(client.peer.received() == (Lines{"PUBACK 7", "PUBREC 5", "PUBREC 6"}));
    client.publish(5, "b");
    BOOST_TEST(client.peer.received() == Lines{"PUBREC 5"});
    client.peer.send_ack(PacketType::pubrel, 6);
    client.peer.send_ack(PacketType::pubrel, 5);
    client.peer.send_ack(PacketType::pubrel, 6);
    BOOST_TEST(client.peer.received() == Lines{});
    BOOST_TEST(session.has_uncommitted());
    BOOST_TEST(session.take_releases() == (Ids{6, 5}));
    BOOST_TEST(session.lowest_open_sequence() == 1001U);
    session.released(5);
    BOOST_TEST(session.lowest_open_sequence() == 1002U);
    session.released(6);
    session.released(6);
    BOOST_TEST(session.lowest_open_sequence() == 1003U);
    BOOST_TEST(client.peer.received() == (Lines{"PUBCOMP 5", "PUBCOMP 6"}));
    client.peer.send_ack(PacketType::pubrel, 6);
    BOOST_TEST(client.peer.received() ==
               Lines{version == Version::v5 ? "PUBCOMP 6 0x92" : "PUBCOMP 6"});
    client.publish(5, "d");
    BOOST_TEST(client.take_noted() == Lines{"d 1003"});
  }
}

BOOST_AUTO_TEST_CASE(publishes_over_a_reconnect) {
  for (const Version version : kVersions) {
    Workspace workspace;
    Lasting client(workspace, version);
    const inbox::Accepted accepted[] = {{3, 900, true}, {4, 901, false}, {5, 950, false}};
    client.resumes({.session_present = true, .first_sequence = 1000, .accepted = accepted});
    Session& session = client.peer.session;
    BOOST_TEST(session.lowest_open_sequence() == 900U);
    client.publish(3, "a");
    BOOST_TEST(client.peer.received() == Lines{"PUBREC 3"});  // all have it
    client.publish(4, "b");
    client.publish(6, "new");
    BOOST_TEST(client.take_noted() == (Lines{"b 901 again", "new 1000"}));
    client.publish(4, "b");
    client.publish(3, "a");
    BOOST_TEST(client.take_noted() == Lines{});  // once on a connection
    BOOST_TEST(client.peer.received() == Lines{"PUBREC 3"});
    session.acknowledge_deferred(client.tickets[0], ReasonCode::success);
    session.acknowledge_deferred(client.tickets[1], ReasonCode::success);
    BOOST_TEST(client.peer.received() == (Lines{"PUBREC 4", "PUBREC 6"}));
    // 5 had its PUBREC on the connection before.
    client.peer.send_ack(PacketType::pubrel, 5);
    client.publish(5, "c");  // out of place
    BOOST_TEST(client.take_noted() == Lines{});
    BOOST_TEST(client.peer.received() == Lines{"PUBREC 5"});
    client.peer.send_ack(PacketType::pubrel, 3);
    BOOST_TEST(session.take_releases() == (Ids{5, 3}));
    session.released(5);
    session.released(3);
    BOOST_TEST(client.peer.received() == (Lines{"PUBCOMP 5", "PUBCOMP 3"}));
    BOOST_TEST(session.lowest_open_sequence() == 901U);
  }
}

/// [MQTT-4.6.0-2]: also what is answered at once waits for the acks before it.
BOOST_AUTO_TEST_CASE(acks_stay_in_order) {
  Workspace workspace;
  Lasting client(workspace);
  const inbox::Accepted accepted[] = {{3, 900, true}};
  client.resumes({.first_sequence = 1000, .accepted = accepted});
  client.publish(1, "a", kQoS1);
  client.publish(3, "b");
  BOOST_TEST(client.peer.received() == Lines{});
  client.publish(3, "b");
  BOOST_TEST(client.peer.received() == Lines{});
  client.peer.session.acknowledge_deferred(client.tickets[0], ReasonCode::success);
  BOOST_TEST(client.peer.received() == (Lines{"PUBACK 1", "PUBREC 3"}));
}

/// Publishes of earlier connections count when they come again; releases of others do not.
BOOST_AUTO_TEST_CASE(receive_maximum) {
  Workspace workspace;
  workspace.limits.receive_maximum = 2;
  const inbox::Accepted accepted[] = {{1, 900, true}, {2, 901, true}, {3, 902, false}};
  const Resume resume{.first_sequence = 1000, .accepted = accepted};
  Lasting client(workspace);
  client.resumes(resume);
  client.peer.send_ack(PacketType::pubrel, 1);
  client.peer.session.take_releases();
  client.peer.session.released(1);
  client.publish(2, "b");
  client.publish(3, "c");
  client.peer.session.acknowledge_deferred(client.tickets[0], ReasonCode::success);
  client.peer.received();
  for (const std::uint16_t id : Ids{2, 3}) {
    client.peer.send_ack(PacketType::pubrel, id);
    client.peer.session.released(id);
  }
  client.publish(4, "d");
  client.publish(5, "e");
  BOOST_TEST(client.peer.received() == (Lines{"PUBCOMP 2", "PUBCOMP 3"}));
  client.publish(6, "f");
  BOOST_TEST(client.peer.received() == Lines{"DISCONNECT 0x93"});
  Lasting other(workspace);
  other.resumes(resume);
  other.publish(4, "d");
  other.publish(5, "e");
  other.publish(3, "c");
  BOOST_TEST(other.peer.received() == Lines{"DISCONNECT 0x93"});
}

/// PUBREC with an error ends the flow: the id is free, and what was accepted is not judged again.
BOOST_AUTO_TEST_CASE(refusals) {
  Workspace workspace;
  workspace.limits.max_topic_bytes = 5;
  Lasting client(workspace);
  const inbox::Accepted accepted[] = {{3, 900, false}};
  client.resumes({.first_sequence = 1000, .accepted = accepted});
  Session& session = client.peer.session;
  client.peer.send(Publish{.topic = "too/long", .payload = "a", .qos = kQoS2, .packet_id = 1});
  BOOST_TEST(client.peer.received() == Lines{"PUBREC 1 0x90"});
  client.peer.send(Publish{.topic = "too/long", .payload = "b", .qos = kQoS2, .packet_id = 3});
  client.publish(2, "c");
  BOOST_TEST(client.take_noted() == (Lines{"b 900 again", "c 1000"}));
  session.acknowledge_deferred(client.tickets[0], ReasonCode::quota_exceeded);
  session.acknowledge_deferred(client.tickets[1], ReasonCode::quota_exceeded);
  BOOST_TEST(client.peer.received() == (Lines{"PUBREC 3 0x97", "PUBREC 2 0x97"}));
  BOOST_TEST(session.lowest_open_sequence() == 1001U);
  for (const std::uint16_t id : Ids{1, 2, 3}) client.peer.send_ack(PacketType::pubrel, id);
  BOOST_TEST(client.peer.received() ==
             (Lines{"PUBCOMP 1 0x92", "PUBCOMP 2 0x92", "PUBCOMP 3 0x92"}));
  client.publish(2, "d");
  BOOST_TEST(client.take_noted() == Lines{"d 1001"});
}

/// What the client said before the end is still worth a commit.
BOOST_AUTO_TEST_CASE(after_the_end) {
  Workspace workspace;
  Lasting client(workspace);
  client.resumes({.first_sequence = 1000});
  Session& session = client.peer.session;
  client.deliver(1);
  client.deliver(2, kQoS2);
  client.publish(9, "a");
  session.acknowledge_deferred(client.tickets[0], ReasonCode::success);
  client.peer.send_ack(PacketType::puback, 2);
  client.peer.send_ack(PacketType::pubrec, 3);
  client.peer.send_ack(PacketType::pubrel, 9);
  session.connection_lost();
  BOOST_TEST((client.deliver(3) == Stored::no_room));
  BOOST_TEST((client.fetched(3) == Stored::no_room));
  BOOST_TEST(!session.take_fetch(client.peer.now_ms).has_value());
  BOOST_TEST(session.take_finished() == Seqs{1});
  BOOST_TEST(session.take_received() == Seqs{2});
  BOOST_TEST(session.take_releases() == Ids{9});
  session.released(9);
  session.received_committed(2);
  session.fetch_done(9);
  BOOST_TEST(session.sent_up_to() == 2U);
  BOOST_TEST(client.peer.received() == Lines{});
}

BOOST_AUTO_TEST_CASE(against_models_at_random) {
  testing::StoredWorld::Tally sum;
  for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
    Random random(seed);
    testing::StoredWorld world(
        [&random](std::uint32_t n) { return static_cast<std::uint32_t>(random.below(n)); });
    for (int i = 0; i < 1500 && world.fault().empty(); ++i) world.step();
    world.heal();
    BOOST_REQUIRE_MESSAGE(world.fault().empty(), "seed " << seed << ": " << world.fault());
    const testing::StoredWorld::Tally& tally = world.tally();
    sum.connections += tally.connections;
    sum.resumed_receipts += tally.resumed_receipts;
    sum.repeats += tally.repeats;
    sum.fetches += tally.fetches;
    sum.no_room += tally.no_room;
    sum.got += tally.got;
    sum.published += tally.published;
    sum.dups += tally.dups;
  }
  BOOST_TEST_MESSAGE(sum.connections << " connections, " << sum.resumed_receipts
                                     << " PUBREL again, " << sum.repeats << " handed out again, "
                                     << sum.fetches << " fetches, " << sum.no_room << " no room, "
                                     << sum.got << " got, " << sum.published << " published, "
                                     << sum.dups << " duplicates");
  for (const int met : {sum.connections, sum.resumed_receipts, sum.repeats, sum.fetches,
                        sum.no_room, sum.got, sum.published, sum.dups}) {
    BOOST_TEST(met > 1000);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::session
