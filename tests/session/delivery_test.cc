// Publishes to the client: forms, window, queue, aliases, limits, shared messages.
#include <boost/test/unit_test.hpp>

#include "config/base/random.h"
#include "mqtt/codec/encoder.h"
#include "mqtt/session/session.h"
#include "tests/session/peer.h"

namespace skald::session {
namespace {

using codec::PacketType;
using codec::QoS;
using codec::ReasonCode;
using codec::Version;
using testing::connect_of;
using testing::Lines;
using testing::Message;
using testing::Peer;
using testing::Publish;
using Outcome = Session::Outcome;

constexpr Version kVersions[] = {Version::v31, Version::v311, Version::v5};
constexpr QoS kQoS0 = QoS::at_most_once;
constexpr QoS kQoS1 = QoS::at_least_once;
constexpr QoS kQoS2 = QoS::exactly_once;

const GroupKeyRef kGroup = std::make_shared<const GroupKey>(GroupKey{"g", "f"});

Publish numbered(std::uint64_t number, QoS qos = kQoS1) {
  return {.payload = std::to_string(number), .qos = qos};
}

BOOST_AUTO_TEST_SUITE(delivery)

/// A PUBLISH from any version at any QoS, forwarded to any version at any QoS: nothing is lost but
/// what the receiver's version cannot say.
BOOST_AUTO_TEST_CASE(every_version_and_qos_to_every_other) {
  const std::string properties("\x01\x01\x26\x00\x01k\x00\x01v", 9);
  for (const Version from : kVersions) {
    for (const Version to : kVersions) {
      for (int published = 0; published < 3; ++published) {
        for (int granted = 0; granted < 3; ++granted) {
          for (const std::size_t size : {0U, 5U, 2047U, 2048U, 70'000U}) {
            for (const bool expires : {false, true}) {
              const bool rich = from == Version::v5;
              Workspace workspace;
              Peer source(workspace, from);
              Peer sink(workspace, to);
              source.connect();
              sink.connect();
              WireForms forms;
              source.on_event = [&](Session::Event event) {
                BOOST_REQUIRE(event == Session::Event::publish);
                forms.reset(workspace.publication, source.now_ms + 1500);
                BOOST_REQUIRE(sink.session.deliver(forms, {.granted = static_cast<QoS>(granted),
                                                           .retain = true}) == Outcome::sent);
                source.session.acknowledge(ReasonCode::success);
                workspace.publication.shared = {};
              };
              Publish publish{.topic = "a/b",
                              .payload = std::string(size, 'p'),
                              .qos = static_cast<QoS>(published)};
              publish.packet_id = published > 0 ? 0x1234 : 0;
              publish.dup = published > 0;
              if (rich) publish.properties = properties;
              if (rich && expires) publish.expiry_s = 10;
              source.send(publish);
              const auto packets = sink.received_packets();
              BOOST_REQUIRE_EQUAL(sink.inbox.fault(), "");
              BOOST_REQUIRE_EQUAL(packets.size(), 1U);
              const auto& message = std::get<Message>(packets[0]);
              const int qos = std::min(published, granted);
              BOOST_REQUIRE_EQUAL(static_cast<int>(message.qos), qos);
              BOOST_REQUIRE_EQUAL(message.packet_id, qos > 0 ? 1 : 0);
              BOOST_REQUIRE_EQUAL(message.topic, "a/b");
              BOOST_REQUIRE(message.payload == publish.payload);
              BOOST_REQUIRE(!message.dup);  // [MQTT-3.3.1-3]
              BOOST_REQUIRE(message.retain);
              const bool both = rich && to == Version::v5;
              BOOST_REQUIRE(message.properties == (both ? properties : ""));
              // What is left of it, never less [MQTT-3.3.2-6].
              BOOST_REQUIRE_EQUAL(message.expiry_s.value_or(0), both && expires ? 9U : 0U);
            }
          }
        }
      }
    }
  }
}

/// One publication, many receivers: the forms are shared, the patches are not.
BOOST_AUTO_TEST_CASE(receivers_do_not_disturb_each_other) {
  Workspace workspace;
  std::vector<std::unique_ptr<Peer>> peers;
  for (const Version version : kVersions) {
    for (int i = 0; i < 3; ++i) {
      peers.push_back(std::make_unique<Peer>(workspace, version));
      peers.back()->connect();
    }
  }
  for (const std::size_t size : {10U, 5000U}) {
    const std::string payload(size, 'p');
    mqtt::PublicationView publication;
    publication.info.qos = kQoS2;
    publication.tenant = "t";
    publication.topic = "a";
    publication.payload = payload;
    WireForms forms;
    forms.reset(publication, 1);
    for (std::size_t i = 0; i < peers.size(); ++i) {
      peers[i]->session.deliver(forms, {.granted = static_cast<QoS>(i % 3), .retain = i % 2 == 0});
    }
    for (std::size_t i = 0; i < peers.size(); ++i) {
      const auto packets = peers[i]->received_packets();
      BOOST_REQUIRE_EQUAL(packets.size(), 1U);
      const auto& message = std::get<Message>(packets[0]);
      BOOST_TEST(static_cast<std::size_t>(message.qos) == i % 3);
      BOOST_TEST(message.retain == (i % 2 == 0));
      BOOST_TEST((message.payload == payload));
    }
  }
}

BOOST_AUTO_TEST_CASE(subscription_ids) {
  const std::uint32_t ids[] = {1, 200, 268'435'455};
  for (const Version version : kVersions) {
    Workspace workspace;
    Peer peer(workspace, version);
    peer.connect();
    peer.deliver({.topic = "a", .qos = kQoS1}, {.granted = kQoS1, .subscription_ids = ids});
    BOOST_TEST(peer.received() == Lines{version == Version::v5
                                            ? "PUBLISH q1 #1 a=x ids=1,200,268435455"
                                            : "PUBLISH q1 #1 a=x"});
  }
}

BOOST_AUTO_TEST_CASE(topic_aliases_out) {
  Workspace workspace;
  workspace.limits.topic_alias_maximum_out = 2;
  struct Case {
    std::uint16_t maximum;
    Lines expected;
  };
  const Case cases[] = {
      {0, {"PUBLISH q0 a=x", "PUBLISH q0 a=x", "PUBLISH q0 b=x", "PUBLISH q0 c=x"}},
      {1,
       {"PUBLISH q0 a=x alias=1", "PUBLISH q0 a=x by alias=1", "PUBLISH q0 b=x", "PUBLISH q0 c=x"}},
      {9,
       {"PUBLISH q0 a=x alias=1", "PUBLISH q0 a=x by alias=1", "PUBLISH q0 b=x alias=2",
        "PUBLISH q0 c=x"}},
  };
  for (const Case& one : cases) {
    Peer peer(workspace, Version::v5);
    codec::Connect connect = connect_of(Version::v5);
    connect.topic_alias_maximum = one.maximum;
    peer.connect(connect);
    for (const char* topic : {"a", "a", "b", "c"}) peer.deliver({.topic = topic}, {});
    BOOST_TEST(peer.received() == one.expected);
  }
}

/// Maximum Packet Size of the client [MQTT-3.1.2-24], at every size around the border, plain and
/// with aliases and identifiers: never above it, and nothing left out that would have fit.
BOOST_AUTO_TEST_CASE(maximum_packet_size_out) {
  const std::uint32_t ids[] = {77};
  for (const std::uint32_t maximum : {40U, 129U, 130U, 131U, 140U, 300U, 16'386U, 16'390U}) {
    for (const std::uint16_t aliases : {std::uint16_t{0}, std::uint16_t{5}}) {
      for (const bool with_ids : {false, true}) {
        std::size_t largest = 0;
        std::size_t smallest_dropped = SIZE_MAX;
        Workspace workspace;
        for (std::size_t size = maximum - 30; size <= maximum; ++size) {
          Peer peer(workspace, Version::v5);
          codec::Connect connect = connect_of(Version::v5);
          connect.maximum_packet_size = maximum;
          connect.topic_alias_maximum = aliases;
          peer.connect(connect);
          Delivery delivery{.granted = kQoS1};
          if (with_ids) delivery.subscription_ids = ids;
          for (int again = 0; again < 2; ++again) {
            const Outcome outcome = peer.deliver(
                {.topic = "to", .payload = std::string(size, 'p'), .qos = kQoS1}, delivery);
            const auto packets = peer.received_packets();
            BOOST_REQUIRE_EQUAL(peer.inbox.fault(), "");
            BOOST_REQUIRE_EQUAL(packets.size(), outcome == Outcome::sent ? 1U : 0U);
            if (outcome == Outcome::sent) {
              const auto& message = std::get<Message>(packets[0]);
              BOOST_REQUIRE_EQUAL(message.topic, "to");
              BOOST_REQUIRE_LE(message.size, maximum);
              largest = std::max(largest, message.size);
            } else if (again == 0) {
              smallest_dropped = std::min(smallest_dropped, size);
            }
          }
          peer.send(codec::ControlPacket(codec::Pingreq{}));
          BOOST_REQUIRE(peer.received() == Lines{"PINGRESP"});
        }
        BOOST_TEST_CONTEXT("maximum " << maximum << " aliases " << aliases << " ids " << with_ids) {
          // A packet of two more length bytes may be impossible at the border itself.
          BOOST_TEST(largest + 1 >= maximum);
          const std::size_t header = maximum - 2 <= 127 ? 2 : maximum - 3 <= 16'383 ? 3 : 4;
          const std::size_t fixed = header + 4 + 2 + 1 + (with_ids ? 2U : 0U);
          BOOST_TEST(smallest_dropped + fixed + 1 >= maximum);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(reason_strings_only_where_they_fit) {
  for (const std::uint32_t maximum : {2U, 3U, 10U, 20U, 30U, 1000U}) {
    Workspace workspace;
    Peer peer(workspace, Version::v5);
    codec::Connect connect = connect_of(Version::v5);
    connect.maximum_packet_size = maximum;
    peer.auto_accept = false;
    peer.send(codec::ControlPacket(connect));
    peer.session.refuse(ReasonCode::banned, End::administrative, "a reason of some length");
    const std::string bytes = testing::take_bytes(peer.session.output());
    BOOST_TEST(bytes.size() <= maximum);
    if (maximum >= 10) BOOST_TEST(!bytes.empty());
    if (maximum == 1000) BOOST_TEST(bytes.find("a reason of some") != std::string::npos);
    // A client too small for CONNACK or SUBACK is let go, not left waiting.
    Peer second(workspace, Version::v5);
    second.send(codec::ControlPacket(connect));
    BOOST_TEST(second.session.output().size() <= maximum);
    if (second.session.output().empty()) {
      BOOST_TEST((second.session.end() == End::packet_too_large));
      continue;
    }
    second.received();
    second.session.subscribed(1, std::vector<ReasonCode>(40, ReasonCode::success));
    BOOST_TEST(second.session.output().size() <= maximum);
    const bool closed = second.session.state() == Session::State::closed;
    BOOST_TEST(closed == (maximum < 45));
  }
}

BOOST_AUTO_TEST_CASE(qos1_and_qos2_flows) {
  for (const Version version : kVersions) {
    const bool v5 = version == Version::v5;
    Workspace workspace;
    Peer peer(workspace, version);
    peer.connect();
    peer.deliver(numbered(1, kQoS1), {.granted = kQoS2});
    peer.deliver(numbered(2, kQoS2), {.granted = kQoS2});
    BOOST_TEST(peer.received() == (Lines{"PUBLISH q1 #1 t=1", "PUBLISH q2 #2 t=2"}));
    peer.send_ack(PacketType::pubrec, 1);  // the wrong kind
    BOOST_TEST(peer.received() == Lines{v5 ? "PUBREL 1 0x92" : "PUBREL 1"});
    peer.send_ack(PacketType::puback, 2);
    peer.send_ack(PacketType::pubcomp, 2);
    BOOST_TEST(peer.received().empty());
    peer.send_ack(PacketType::puback, 1);
    peer.send_ack(PacketType::puback, 1);
    peer.send_ack(PacketType::pubrec, 2);
    peer.send_ack(PacketType::pubrec, 2);  // again: answered again
    BOOST_TEST(peer.received() == (Lines{"PUBREL 2", "PUBREL 2"}));
    peer.send_ack(PacketType::pubcomp, 2);
    peer.send_ack(PacketType::pubrec, 2);
    BOOST_TEST(peer.received() == Lines{v5 ? "PUBREL 2 0x92" : "PUBREL 2"});
    BOOST_TEST(workspace.counters.unknown_packet_ids == 5U);
  }
}

BOOST_AUTO_TEST_CASE(window_and_queue) {
  for (const Version version : kVersions) {
    Workspace workspace;
    workspace.limits.max_inflight = version == Version::v5 ? 100 : 3;
    Peer peer(workspace, version);
    codec::Connect connect = connect_of(version);
    connect.receive_maximum = 3;
    peer.connect(connect);
    for (std::uint64_t i = 1; i <= 8; ++i) {
      const Outcome outcome =
          peer.deliver(numbered(i, i % 2 == 0 ? kQoS2 : kQoS1), {.granted = kQoS2});
      BOOST_TEST((outcome == (i <= 3 ? Outcome::sent : Outcome::queued)));
    }
    BOOST_TEST((peer.deliver(numbered(99, kQoS0), {}) == Outcome::sent));  // needs no place
    BOOST_TEST(peer.received() == (Lines{"PUBLISH q1 #1 t=1", "PUBLISH q2 #2 t=2",
                                         "PUBLISH q1 #3 t=3", "PUBLISH q0 t=99"}));
    peer.send_ack(PacketType::puback, 3);
    BOOST_TEST(peer.received() == Lines{"PUBLISH q2 #4 t=4"});
    peer.send_ack(PacketType::pubrec, 2);
    BOOST_TEST(peer.received() == Lines{"PUBREL 2"});  // still open
    peer.send_ack(PacketType::pubcomp, 2);
    BOOST_TEST(peer.received() == Lines{"PUBLISH q1 #5 t=5"});
    if (version == Version::v5) {
      peer.send_ack(PacketType::puback, 1, ReasonCode::unspecified_error);  // frees it as well
      peer.send_ack(PacketType::pubrec, 4, ReasonCode::quota_exceeded);
      BOOST_TEST(peer.received() == (Lines{"PUBLISH q2 #6 t=6", "PUBLISH q1 #7 t=7"}));
      BOOST_TEST(workspace.counters.dropped_by_client == 2U);
    }
  }
}

BOOST_AUTO_TEST_CASE(queue_limits) {
  Workspace workspace;
  workspace.limits.max_inflight = 1;
  workspace.limits.max_queued_messages = 4;
  Peer peer(workspace, Version::v311);
  peer.connect();
  for (std::uint64_t i = 1; i <= 7; ++i) {
    const Outcome outcome = peer.deliver(numbered(i), {.granted = kQoS1});
    BOOST_TEST((outcome == (i == 1 ? Outcome::sent : i <= 5 ? Outcome::queued : Outcome::dropped)));
    BOOST_TEST(peer.session.behind() == (i >= 4));
  }
  BOOST_TEST(workspace.counters.dropped_queue_full == 2U);
  BOOST_TEST(workspace.counters.deliveries_queued == 4U);
  for (std::uint16_t id = 1; id <= 4; ++id) peer.send_ack(PacketType::puback, id);
  BOOST_TEST(peer.received().back() == "PUBLISH q1 #5 t=5");
  BOOST_TEST(!peer.session.behind());
  // By bytes.
  workspace.limits.max_queued_messages = 1000;
  workspace.limits.max_queued_bytes = 1000;
  Peer second(workspace, Version::v311);
  second.connect();
  second.deliver(numbered(0), {.granted = kQoS1});
  std::uint64_t queued = 0;
  for (int i = 0; i < 100; ++i) {
    if (second.deliver({.payload = std::string(100, 'p'), .qos = kQoS1}, {.granted = kQoS1}) ==
        Outcome::queued) {
      ++queued;
    }
  }
  BOOST_TEST(queued > 0U);
  BOOST_TEST(queued < 10U);
  BOOST_TEST(second.session.behind());
}

/// Rights that change while messages wait.
struct Rights final : ReceiveRights {
  std::string forbidden;
  bool may_receive(const Session&, std::string_view topic) override { return topic != forbidden; }
};

BOOST_AUTO_TEST_CASE(rights_are_asked_when_a_message_comes_and_when_it_leaves_the_queue) {
  Workspace workspace;
  Rights rights;
  workspace.receive_rights = &rights;
  workspace.limits.max_inflight = 1;
  Peer peer(workspace, Version::v5);
  peer.connect();
  const auto send = [&peer](const std::string& topic) {
    return peer.deliver({.topic = topic, .payload = "x", .qos = kQoS1}, {.granted = kQoS1});
  };
  rights.forbidden = "secret";
  BOOST_TEST((send("secret") == Outcome::sent));  // not restricted: nobody is asked
  peer.session.set_restricted(true);
  BOOST_TEST((send("secret") == Outcome::dropped));
  BOOST_TEST((send("first") == Outcome::queued));
  BOOST_TEST((send("second") == Outcome::queued));
  rights.forbidden = "first";
  peer.received();
  peer.send_ack(PacketType::puback, 1);
  BOOST_TEST(peer.received() == (Lines{"PUBLISH q1 #2 second=x"}));
  BOOST_TEST(workspace.counters.dropped_not_authorized == 2U);
}

BOOST_AUTO_TEST_CASE(expiry_in_the_queue) {
  Workspace workspace;
  workspace.limits.max_inflight = 1;
  Peer peer(workspace, Version::v5);
  peer.connect();
  peer.deliver(numbered(1), {.granted = kQoS1});
  Publish brief = numbered(2);
  brief.expiry_s = 5;
  peer.deliver(brief, {.granted = kQoS1});
  Publish longer = numbered(3);
  longer.expiry_s = 60;
  peer.deliver(longer, {.granted = kQoS1, .retain = true});
  peer.received();
  peer.now_ms += 5000;
  peer.send_ack(PacketType::puback, 1);
  BOOST_TEST(peer.received() == Lines{"PUBLISH q1 #2 t=3 retain expiry=55"});
  BOOST_TEST(workspace.counters.dropped_expired == 1U);
}

BOOST_AUTO_TEST_CASE(slow_receivers_and_qos0) {
  Workspace workspace;
  workspace.limits.output_high_water_bytes = 1000;
  workspace.limits.output_max_bytes = 3000;
  Peer peer(workspace, Version::v311);
  peer.connect();
  const Publish publish{.payload = std::string(400, 'p')};
  for (int i = 0; i < 3; ++i) peer.deliver(publish, {});
  BOOST_TEST(peer.session.behind());
  BOOST_TEST((peer.deliver(publish, {}) == Outcome::sent));  // its publishers wait instead
  peer.session.set_slow(true);
  BOOST_TEST((peer.deliver(publish, {}) == Outcome::dropped));
  peer.session.set_slow(false);
  for (int i = 0; i < 10; ++i) peer.deliver(publish, {});
  BOOST_TEST(peer.session.output().size() < 3500U);
  BOOST_TEST(workspace.counters.dropped_qos0_slow > 3U);
  BOOST_TEST(!peer.received().empty());
  BOOST_TEST(!peer.session.behind());
}

/// Queued because the socket was far behind, with nothing in flight: no ack will come to send it.
BOOST_AUTO_TEST_CASE(queue_moves_when_the_socket_does) {
  Workspace workspace;
  workspace.limits.output_high_water_bytes = 1000;
  workspace.limits.output_max_bytes = 3000;
  Peer peer(workspace, Version::v311);
  peer.connect();
  for (int i = 0; i < 20; ++i) peer.deliver({.payload = std::string(400, 'p')}, {});
  BOOST_TEST((peer.deliver(numbered(1), {.granted = kQoS1}) == Outcome::queued));
  BOOST_TEST((peer.deliver(numbered(2), {.granted = kQoS1}) == Outcome::queued));
  peer.received();
  BOOST_TEST((peer.deliver(numbered(3), {.granted = kQoS1}) == Outcome::queued));  // in its turn
  BOOST_TEST(peer.session.drained(peer.now_ms));
  BOOST_TEST(peer.received() ==
             (Lines{"PUBLISH q1 #1 t=1", "PUBLISH q1 #2 t=2", "PUBLISH q1 #3 t=3"}));
  BOOST_TEST(!peer.session.drained(peer.now_ms));
  BOOST_TEST((peer.deliver(numbered(4), {.granted = kQoS1}) == Outcome::sent));
}

std::vector<std::uint64_t> numbers_of(const std::vector<SharedMessage>& messages) {
  std::vector<std::uint64_t> numbers;
  for (const SharedMessage& message : messages) {
    numbers.push_back(std::stoull(std::string(message.publication->payload())));
    BOOST_TEST((*message.group == *kGroup));
  }
  return numbers;
}

/// [MQTT-4.8.2-4..6]: what another member of the group gets when this one is gone.
BOOST_AUTO_TEST_CASE(shared_messages_unfinished) {
  Workspace workspace;
  workspace.limits.max_inflight = 5;
  Peer peer(workspace, Version::v5);
  peer.connect();
  const auto deliver = [&](std::uint64_t number, QoS qos, bool shared = true) {
    peer.deliver(numbered(number, qos),
                 {.granted = kQoS2, .group = shared ? &kGroup : nullptr, .redispatches = 3});
  };
  deliver(1, kQoS1);         // acked below
  deliver(2, kQoS1);         // refused below: discarded
  deliver(3, kQoS1);         // sent, not acked: goes on
  deliver(4, kQoS2);         // sent: belongs to this client
  deliver(5, kQoS1, false);  // not shared
  deliver(6, kQoS1);         // queued
  deliver(7, kQoS2);         // queued
  deliver(8, kQoS1, false);
  deliver(9, kQoS0);   // sent
  deliver(10, kQoS2);  // queued
  deliver(11, kQoS1);
  peer.send_ack(PacketType::puback, 1);                                 // lets 6 go
  peer.send_ack(PacketType::puback, 2, ReasonCode::unspecified_error);  // lets 7 go
  peer.session.connection_lost();
  const std::vector<SharedMessage> unfinished = peer.session.take_unfinished_shared();
  BOOST_TEST(numbers_of(unfinished) == (std::vector<std::uint64_t>{3, 6, 10, 11}));
  for (const SharedMessage& message : unfinished) BOOST_TEST(message.redispatches == 4U);
  BOOST_TEST(peer.session.take_unfinished_shared().empty());
}

/// Receive Maximum is never exceeded, whatever the client acks, and all comes in order.
BOOST_AUTO_TEST_CASE(random_clients) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      Workspace workspace;
      workspace.limits.max_queued_messages = 100'000;
      Peer peer(workspace, Version::v5);
      codec::Connect connect = connect_of(Version::v5);
      connect.receive_maximum = static_cast<std::uint16_t>(random.between(1, 40));
      connect.topic_alias_maximum = static_cast<std::uint16_t>(random.below(3));
      peer.connect(connect);
      std::uint64_t sent = 0, last[3] = {}, count = 0;
      std::map<std::uint16_t, PacketType> open;
      const auto step = [&](bool more) {
        if (more) {
          ++sent;
          BOOST_REQUIRE(peer.deliver(numbered(sent, static_cast<QoS>(random.below(3))),
                                     {.granted = kQoS2}) != Outcome::dropped);
        } else if (!open.empty()) {
          auto at = open.begin();
          std::advance(at, static_cast<long>(random.below(open.size())));
          const auto [id, type] = *at;
          if (type == PacketType::pubrec) {
            at->second = PacketType::pubcomp;
          } else {
            open.erase(at);
          }
          peer.send_ack(type, id);
        }
        for (const auto& received : peer.received_packets()) {
          const auto* message = std::get_if<Message>(&received);
          if (message == nullptr) continue;
          const std::uint64_t number = std::stoull(message->payload);
          std::uint64_t& before = last[static_cast<int>(message->qos)];
          BOOST_REQUIRE_GT(number, before);
          before = number;
          ++count;
          if (message->packet_id == 0) continue;
          BOOST_REQUIRE(!open.contains(message->packet_id));
          open[message->packet_id] =
              message->qos == kQoS1 ? PacketType::puback : PacketType::pubrec;
          BOOST_REQUIRE_LE(open.size(), connect.receive_maximum);
        }
        if (random.one_in(50)) peer.session.shrink();
      };
      for (int i = 0; i < 3000; ++i) step(random.chance(2, 5));
      while (!open.empty()) step(false);
      BOOST_REQUIRE_EQUAL(count, sent);
      BOOST_REQUIRE_EQUAL(peer.inbox.fault(), "");
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::session
