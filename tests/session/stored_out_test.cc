// Messages from an inbox: ids, windows, order, reads of the queue, what is resumed.
#include <boost/test/unit_test.hpp>

#include "mqtt/codec/encoder.h"
#include "mqtt/session/session.h"
#include "mqtt/session/stored_flow.h"
#include "tests/session/lasting.h"
#include "tests/session/peer.h"

namespace skald::session {
namespace {

using codec::PacketType;
using codec::QoS;
using codec::ReasonCode;
using codec::Version;
using inbox::Seq;
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

BOOST_AUTO_TEST_SUITE(stored_out)

// -- outbound
// -------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(ids_come_from_the_seq) {
  const std::pair<Seq, std::uint16_t> cases[] = {
      {1, 2}, {2, 3}, {65533, 65534}, {65534, 65535}, {65535, 1}, {65536, 2}, {131070, 1}};
  for (const auto& [seq, id] : cases) {
    BOOST_TEST(StoredFlow::packet_id(seq) == id);
    for (const Version version : kVersions) {
      Workspace workspace;
      Lasting client(workspace, version);
      client.resumes({.head = seq, .last = seq - 1});
      BOOST_TEST((client.deliver(seq) == Stored::sent));
      BOOST_TEST((client.deliver(seq + 1, kQoS2) == Stored::sent));
      const std::uint16_t next = StoredFlow::packet_id(seq + 1);
      BOOST_TEST(client.peer.received() == (Lines{"PUBLISH q1 #" + std::to_string(id) + " t=x",
                                                  "PUBLISH q2 #" + std::to_string(next) + " t=x"}));
    }
  }
}

BOOST_AUTO_TEST_CASE(order_gaps_and_repetitions) {
  Workspace workspace;
  Lasting client(workspace);
  client.resumes({.head = 1, .last = 0});
  Session& session = client.peer.session;
  BOOST_TEST(!session.take_fetch(client.peer.now_ms).has_value());
  BOOST_TEST((client.deliver(1) == Stored::sent));
  BOOST_TEST((client.deliver(1) == Stored::seen));
  BOOST_TEST((client.deliver(3) == Stored::no_room));  // 2 is missing
  const std::optional<Fetch> fetch = session.take_fetch(client.peer.now_ms);
  BOOST_REQUIRE(fetch.has_value());
  BOOST_TEST(fetch->from == 2U);
  BOOST_TEST(fetch->max_messages == 255U);
  BOOST_TEST(!session.take_fetch(client.peer.now_ms).has_value());  // one at a time
  BOOST_TEST((client.deliver(2) == Stored::sent));                  // came after all
  BOOST_TEST((client.fetched(2) == Stored::seen));
  BOOST_TEST((client.fetched(3) == Stored::sent));
  BOOST_TEST((client.deliver(5) == Stored::no_room));  // committed after the read
  session.fetch_done(4);
  BOOST_TEST(session.take_fetch(client.peer.now_ms)->from == 4U);
  BOOST_TEST((client.fetched(5) == Stored::sent));  // 4 has gone
  session.fetch_done(6);
  BOOST_TEST(!session.take_fetch(client.peer.now_ms).has_value());
  session.heard_of(6);  // and was lost
  BOOST_TEST(session.take_fetch(client.peer.now_ms)->from == 6U);
  session.fetch_done(0);  // failed
  BOOST_TEST(session.take_fetch(client.peer.now_ms)->from == 6U);
  session.fetch_done(7);  // has gone
  BOOST_TEST(!session.take_fetch(client.peer.now_ms).has_value());
  BOOST_TEST(session.sent_up_to() == 5U);
  BOOST_TEST(client.peer.received().size() == 4U);
}

BOOST_AUTO_TEST_CASE(window) {
  struct Case {
    Version version;
    std::uint16_t receive_maximum, max_inflight, window;
  };
  const Case cases[] = {{Version::v5, 4, 256, 4},
                        {Version::v5, 65535, 6, 6},
                        {Version::v5, 1, 6, 1},
                        {Version::v311, 65535, 5, 5}};
  for (const Case& one : cases) {
    Workspace workspace;
    workspace.limits.max_inflight = one.max_inflight;
    Lasting client(workspace, one.version);
    client.connect.receive_maximum = one.receive_maximum;
    client.resumes({});
    Session& session = client.peer.session;
    Seq seq = 0;
    while (client.deliver(seq + 1) == Stored::sent) ++seq;
    BOOST_TEST(seq == one.window);
    BOOST_TEST(!session.take_fetch(client.peer.now_ms).has_value());
    // Acks in any order, also of less than half of the window: no read before half is free.
    std::size_t acked = 0;
    std::optional<Fetch> fetch;
    for (Seq ack = seq; ack > 0 && !fetch; --ack, ++acked) {
      client.peer.send_ack(PacketType::puback, StoredFlow::packet_id(ack));
      fetch = session.take_fetch(client.peer.now_ms);
    }
    BOOST_REQUIRE(fetch.has_value());
    BOOST_TEST(acked == (one.window + 1U) / 2);
    BOOST_TEST(fetch->from == seq + 1);
    BOOST_TEST(fetch->max_messages == acked);
    BOOST_TEST(session.take_finished().size() == acked);
    for (std::size_t i = 0; i < acked; ++i) {
      BOOST_TEST((client.fetched(seq + 1 + i) == Stored::sent));
    }
    BOOST_TEST((client.fetched(seq + 1 + acked) == Stored::no_room));
    session.fetch_done(seq + 100);  // was cut: not there
    client.peer.now_ms += 20;       // to a slow client one for each ack
    client.peer.send_ack(PacketType::puback, StoredFlow::packet_id(seq + 1));
    fetch = session.take_fetch(client.peer.now_ms);
    BOOST_REQUIRE(fetch.has_value());
    BOOST_TEST(fetch->from == seq + 1 + acked);
    BOOST_TEST(fetch->max_messages == 1U);
    BOOST_TEST(client.peer.inbox.fault() == "");
  }
}

BOOST_AUTO_TEST_CASE(an_open_id_shuts_the_window) {
  Workspace workspace;
  Lasting client(workspace);
  client.connect.receive_maximum = 10;
  const Seq received[] = {7};  // since long ago
  BOOST_TEST(client.resumes({.received = received, .head = 65530, .last = 65529}) ==
             Lines{"PUBREL 8"});
  for (Seq seq = 65530; seq < 65542; ++seq) {
    BOOST_TEST((client.deliver(seq) == Stored::sent));
    client.peer.send_ack(PacketType::puback, StoredFlow::packet_id(seq));
  }
  BOOST_TEST((client.deliver(65542) == Stored::no_room));
  BOOST_TEST(!client.peer.session.take_fetch(client.peer.now_ms + 1000).has_value());
  BOOST_TEST(client.peer.session.take_finished().size() == 12U);
  client.peer.send_ack(PacketType::pubcomp, 8);
  BOOST_TEST(client.peer.session.take_finished() == Seqs{7});
  BOOST_TEST(client.peer.session.take_fetch(client.peer.now_ms)->from == 65542U);
  BOOST_TEST((client.fetched(65542) == Stored::sent));
}

BOOST_AUTO_TEST_CASE(a_full_socket_is_no_room) {
  Workspace workspace;
  workspace.limits.output_high_water_bytes = 4000;
  Lasting client(workspace);
  client.resumes({});
  Session& session = client.peer.session;
  Seq seq = 0;
  while (client.deliver(seq + 1, {.size = 300}) == Stored::sent) ++seq;
  BOOST_TEST(seq == 7U);
  BOOST_TEST(!session.behind());  // publishers need not wait: the inbox keeps it
  BOOST_TEST(!session.take_fetch(client.peer.now_ms + 100).has_value());
  client.peer.received();
  const std::optional<Fetch> fetch = session.take_fetch(client.peer.now_ms);
  BOOST_REQUIRE(fetch.has_value());
  BOOST_TEST(fetch->from == 8U);
  BOOST_TEST(fetch->max_bytes == 2001U);
}

BOOST_AUTO_TEST_CASE(finished_unsent) {
  class Rights : public ReceiveRights {
   public:
    bool may_receive(const Session&, std::string_view) override { return may; }
    bool may = true;
  };
  struct Case {
    mqtt::TimeMs expiry_ms;
    std::size_t size;
    bool may;
    Stored result;
    std::uint64_t Counters::*counter;
  };
  const Case cases[] = {
      {0, 1, true, Stored::sent, &Counters::deliveries},
      {1'000'001, 1, true, Stored::sent, &Counters::deliveries},
      {1'000'000, 1, true, Stored::finished, &Counters::dropped_expired},
      {1, 1, true, Stored::finished, &Counters::dropped_expired},
      {0, 500, true, Stored::finished, &Counters::dropped_too_large},
      {0, 1, false, Stored::finished, &Counters::dropped_not_authorized},
  };
  for (const Case& one : cases) {
    for (const QoS qos : {kQoS1, kQoS2}) {
      Workspace workspace;
      Rights rights;
      rights.may = one.may;
      workspace.receive_rights = &rights;
      Lasting client(workspace);
      client.connect.maximum_packet_size = 400;
      client.connect.receive_maximum = 1;
      client.resumes({.head = 3, .last = 2});
      Session& session = client.peer.session;
      session.set_restricted(true);
      BOOST_TEST((client.deliver(3, {qos, one.expiry_ms, one.size}) == one.result));
      BOOST_TEST((workspace.counters.*one.counter == 1U));
      const bool sent = one.result == Stored::sent;
      BOOST_TEST(session.take_finished() == (sent ? Seqs{} : Seqs{3}));
      BOOST_TEST(session.sent_up_to() == (sent ? 3U : 0U));
      rights.may = true;
      BOOST_TEST((client.deliver(4) == (sent ? Stored::no_room : Stored::sent)));
    }
  }
  // What may have been sent comes to its end although it has expired meanwhile.
  Workspace workspace;
  Lasting client(workspace);
  client.resumes({.session_present = true, .head = 3, .last = 4, .sent_up_to = 3});
  BOOST_TEST((client.give(3, {kQoS2, 1}, true) == Stored::sent));
  BOOST_TEST((client.give(4, {kQoS2, 1}, true) == Stored::finished));
  BOOST_TEST(client.peer.received() == Lines{"PUBLISH q2 #4 t=x dup expiry=0"});
}

BOOST_AUTO_TEST_CASE(resume_receipts_then_repeats_then_new) {
  for (const Version version : kVersions) {
    for (const int aliases : {0, 5}) {
      Workspace workspace;
      Lasting client(workspace, version);
      if (version == Version::v5)
        client.connect.topic_alias_maximum = static_cast<std::uint16_t>(aliases);
      const Seq received[] = {4, 9, 11};
      const Resume resume{
          .session_present = true, .received = received, .head = 5, .last = 13, .sent_up_to = 11};
      BOOST_TEST(client.resumes(resume) == (Lines{"PUBREL 5", "PUBREL 10", "PUBREL 12"}));
      Session& session = client.peer.session;
      BOOST_TEST((client.deliver(14) == Stored::no_room));  // not before those in the queue
      const std::optional<Fetch> fetch = session.take_fetch(client.peer.now_ms);
      BOOST_REQUIRE(fetch.has_value());
      BOOST_TEST(fetch->from == 5U);
      BOOST_TEST(fetch->max_messages == 253U);
      // 6 to 8 and 12 are finished; what a queue might still say of 9 is not sent.
      BOOST_TEST((client.fetched(5) == Stored::sent));
      BOOST_TEST((client.fetched(9) == Stored::seen));
      BOOST_TEST((client.fetched(10, kQoS2) == Stored::sent));
      BOOST_TEST((client.fetched(13) == Stored::sent));
      session.fetch_done(14);
      BOOST_TEST(session.take_fetch(client.peer.now_ms)->from == 14U);
      BOOST_TEST((client.fetched(14) == Stored::sent));
      session.fetch_done(15);
      BOOST_TEST((client.deliver(15) == Stored::sent));
      Lines lines = client.peer.received();
      for (std::string& line : lines) {
        if (const auto at = line.find(" by alias"); at != std::string::npos) line.resize(at);
        if (const auto at = line.find(" alias"); at != std::string::npos) line.resize(at);
      }
      BOOST_TEST(lines ==
                 (Lines{"PUBLISH q1 #6 t=x dup", "PUBLISH q2 #11 t=x dup", "PUBLISH q1 #14 t=x",
                        "PUBLISH q1 #15 t=x", "PUBLISH q1 #16 t=x"}));
      BOOST_TEST(session.sent_up_to() == 15U);
      for (const std::uint16_t id : Ids{12, 5, 10}) client.peer.send_ack(PacketType::pubcomp, id);
      BOOST_TEST(session.take_finished() == (Seqs{11, 4, 9}));
    }
  }
}

/// Messages may be committed between attach and accept: they are read.
BOOST_AUTO_TEST_CASE(noted_while_connecting) {
  Workspace workspace;
  Lasting client(workspace);
  const Resume resume{.head = 1, .last = 0};
  client.peer.on_event = [&](Session::Event event) {
    if (event != Session::Event::connect) return;
    BOOST_TEST((client.deliver(1) == Stored::no_room));
    BOOST_TEST((client.deliver(2) == Stored::no_room));
    client.peer.session.accept(client.peer.identity, client.peer.now_ms, &resume);
  };
  client.peer.send(codec::ControlPacket(client.connect));
  BOOST_TEST(client.peer.received() == Lines{"CONNACK 0x00"});
  BOOST_TEST(client.peer.session.take_fetch(0)->from == 1U);
  Lasting transient(workspace);
  transient.peer.on_event = [&](Session::Event) {
    BOOST_TEST((transient.deliver(1) == Stored::no_room));
    transient.peer.session.accept(transient.peer.identity, 0);
  };
  transient.peer.send(codec::ControlPacket(transient.connect));
  BOOST_TEST(!transient.peer.session.persistent());
  BOOST_TEST((transient.deliver(1) == Stored::no_room));
  BOOST_TEST(!transient.peer.session.take_fetch(0).has_value());
}

BOOST_AUTO_TEST_CASE(acks_of_the_client) {
  struct Case {
    QoS qos;
    PacketType type;
    ReasonCode reason;
    bool finished, received;
    Lines answer;
  };
  const Lines nothing;
  const Lines unknown{"PUBREL 2 0x92"};
  const Case cases[] = {
      {kQoS1, PacketType::puback, ReasonCode::success, true, false, nothing},
      {kQoS1, PacketType::puback, ReasonCode::no_matching_subscribers, true, false, nothing},
      {kQoS1, PacketType::puback, ReasonCode::quota_exceeded, true, false, nothing},
      {kQoS1, PacketType::pubrec, ReasonCode::success, false, false, unknown},
      {kQoS1, PacketType::pubcomp, ReasonCode::success, false, false, nothing},
      {kQoS2, PacketType::puback, ReasonCode::success, false, false, nothing},
      {kQoS2, PacketType::pubrec, ReasonCode::success, false, true, nothing},
      {kQoS2, PacketType::pubrec, ReasonCode::no_matching_subscribers, false, true, nothing},
      {kQoS2, PacketType::pubrec, ReasonCode::not_authorized, true, false, nothing},
      {kQoS2, PacketType::pubcomp, ReasonCode::success, false, false, nothing},
  };
  for (const Case& one : cases) {
    Workspace workspace;
    Lasting client(workspace);
    client.resumes({});
    Session& session = client.peer.session;
    client.deliver(1, one.qos);
    client.peer.received();
    client.peer.send_ack(one.type, 2, one.reason);
    BOOST_TEST(session.has_finished() == one.finished);
    BOOST_TEST(session.has_uncommitted() == one.received);
    BOOST_TEST(session.take_finished() == (one.finished ? Seqs{1} : Seqs{}));
    BOOST_TEST(session.take_received() == (one.received ? Seqs{1} : Seqs{}));
    BOOST_TEST(client.peer.received() == one.answer);
    BOOST_TEST(!session.has_uncommitted());
    const bool refused = codec::is_error(one.reason);
    BOOST_TEST(workspace.counters.dropped_by_client == (refused ? 1U : 0U));
    if (one.finished) {  // once
      client.peer.send_ack(one.type, 2, one.reason);
      BOOST_TEST(!session.has_finished());
    }
  }
}

BOOST_AUTO_TEST_CASE(pubrel_after_the_commit) {
  Workspace workspace;
  Lasting client(workspace);
  client.resumes({});
  Session& session = client.peer.session;
  client.deliver(1, kQoS2);
  client.deliver(2, kQoS2);
  client.peer.received();
  client.peer.send_ack(PacketType::pubrec, 2);
  client.peer.send_ack(PacketType::pubrec, 3);
  client.peer.send_ack(PacketType::pubrec, 2);   // again, before the commit
  client.peer.send_ack(PacketType::pubcomp, 2);  // out of place
  BOOST_TEST(client.peer.received() == Lines{});
  BOOST_TEST(session.take_received() == (Seqs{1, 2}));
  session.received_committed(1);
  session.received_committed(1);
  session.received_committed(77);
  BOOST_TEST(client.peer.received() == Lines{"PUBREL 2"});
  client.peer.send_ack(PacketType::pubrec, 2);
  BOOST_TEST(client.peer.received() == Lines{"PUBREL 2"});
  client.peer.send_ack(PacketType::pubrec, 2, ReasonCode::unspecified_error);  // too late
  BOOST_TEST(!session.has_finished());
  client.peer.send_ack(PacketType::pubcomp, 2);
  BOOST_TEST(session.take_finished() == Seqs{1});
  session.connection_lost();
  session.received_committed(2);
  BOOST_TEST(client.peer.received() == Lines{});
}

/// QoS 0 goes past the inbox.
BOOST_AUTO_TEST_CASE(qos0_is_delivered_directly) {
  Workspace workspace;
  Lasting client(workspace);
  client.resumes({.head = 4, .last = 3});
  BOOST_TEST((client.peer.deliver({.payload = "0"}, {.granted = kQoS2}) == Session::Outcome::sent));
  BOOST_TEST((client.deliver(4) == Stored::sent));
  BOOST_TEST(client.peer.received() == (Lines{"PUBLISH q0 t=0", "PUBLISH q1 #5 t=x"}));
  BOOST_TEST(client.peer.session.has_room(kQoS1));  // for the next piece of a feed
  BOOST_TEST(client.peer.session.has_room(kQoS0));
  client.peer.session.shrink();
  client.peer.session.connection_lost();
  BOOST_TEST(client.peer.session.take_unfinished_shared().empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::session
