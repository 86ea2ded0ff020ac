// The parts of the load generator one by one: flows, histogram, payload, frames, plan.
#define BOOST_TEST_MODULE bench
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <set>
#include <string>
#include <vector>

#include "config/base/random.h"
#include "mqtt/codec/decoder.h"
#include "tools/bench/flow.h"
#include "tools/bench/frames.h"
#include "tools/bench/histogram.h"
#include "tools/bench/payload.h"
#include "tools/bench/plan.h"
#include "tools/bench/publisher.h"

namespace skald::bench {
namespace {

using codec::PacketType;
using codec::QoS;
using codec::Version;

/// What Flow counts, the slow and obvious way.
struct NaiveFlow {
  std::set<std::uint64_t> seen;
  std::uint64_t duplicates = 0;
  std::uint64_t disordered = 0;

  bool take(std::uint64_t sequence) {
    const bool late = !seen.empty() && sequence < *seen.rbegin();
    if (!seen.insert(sequence).second) {
      ++duplicates;
      return false;
    }
    disordered += late ? 1 : 0;
    return true;
  }
};

void expect_equal(const Flow& flow, const NaiveFlow& naive, std::uint64_t sent) {
  BOOST_TEST(flow.unique() == naive.seen.size());
  BOOST_TEST(flow.duplicates() == naive.duplicates);
  BOOST_TEST(flow.disordered() == naive.disordered);
  BOOST_TEST(flow.lost(sent) == sent - naive.seen.size());
  BOOST_TEST(flow.end() == (naive.seen.empty() ? 0 : *naive.seen.rbegin() + 1));
}

BOOST_AUTO_TEST_CASE(flow_counts_as_the_naive_one) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Random random(seed);
    Flow flow;
    NaiveFlow naive;
    const std::uint64_t sent = random.between(1, 5000);
    const std::uint64_t one_in = random.between(2, 200);
    std::vector<std::uint64_t> order;
    for (std::uint64_t i = 0; i < sent; ++i) {
      if (!random.one_in(one_in)) order.push_back(i);                   // else lost
      if (random.one_in(one_in)) order.push_back(random.below(i + 1));  // twice, or early
      if (random.one_in(one_in) && order.size() > 9) {
        std::swap(order[order.size() - 1], order[order.size() - 1 - random.below(9)]);
      }
    }
    for (const std::uint64_t sequence : order) {
      BOOST_TEST_REQUIRE(flow.take(sequence) == naive.take(sequence));
    }
    BOOST_TEST_CONTEXT("seed " << seed) { expect_equal(flow, naive, sent); }
  }
}

BOOST_AUTO_TEST_CASE(flow_recovers_from_one_long_gap) {
  Flow flow;
  NaiveFlow naive;
  const auto take = [&flow, &naive](std::uint64_t sequence) {
    BOOST_TEST_REQUIRE(flow.take(sequence) == naive.take(sequence));
  };
  for (std::uint64_t i = 1; i < 300'000; ++i) take(i);  // 0 is late, and all behind it waits
  expect_equal(flow, naive, 300'000);
  take(0);
  take(150'000);
  for (std::uint64_t i = 300'000; i < 300'100; ++i) take(i);
  take(300'200);
  take(300'150);
  expect_equal(flow, naive, 300'201);
}

BOOST_AUTO_TEST_CASE(flow_may_begin_anywhere) {
  Flow flow;
  flow.begin_anywhere();
  BOOST_TEST(flow.lost(0) == 0U);
  BOOST_TEST(flow.take(1000));
  BOOST_TEST(flow.take(1002));
  BOOST_TEST(flow.unique() == 2U);
  BOOST_TEST(flow.lost(flow.end()) == 1U);
}

BOOST_AUTO_TEST_CASE(histogram_is_right_to_a_hundredth) {
  Random random(7);
  Histogram histogram;
  Histogram other;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t value = random.below(std::uint64_t{1} << random.between(1, 36));
    values.push_back(value);
    (i % 2 == 0 ? histogram : other).record(static_cast<std::int64_t>(value));
  }
  histogram.merge(other);
  std::sort(values.begin(), values.end());
  BOOST_TEST(histogram.count() == values.size());
  BOOST_TEST(histogram.max_ns() == values.back());
  for (const double share : {0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = std::max<std::size_t>(
        1, static_cast<std::size_t>(share * static_cast<double>(values.size())));
    const auto exact = static_cast<double>(values[rank - 1]);
    const auto found = static_cast<double>(histogram.percentile_ns(share));
    BOOST_TEST_CONTEXT("share " << share << " exact " << exact) {
      BOOST_TEST(found >= exact);
      BOOST_TEST(found <= exact * 1.008 + 1);
    }
  }
}

BOOST_AUTO_TEST_CASE(histogram_bears_the_extremes) {
  Histogram histogram;
  BOOST_TEST(histogram.percentile_ns(0.5) == 0U);
  histogram.record(-5);
  histogram.record(INT64_MAX);
  BOOST_TEST(histogram.percentile_ns(0.5) == 0U);
  BOOST_TEST(histogram.percentile_ns(1) > std::uint64_t{1'000'000'000'000});
}

BOOST_AUTO_TEST_CASE(every_changed_byte_of_a_payload_is_found) {
  const PayloadFormat format(256);
  for (const std::size_t size :
       {std::size_t{kPayloadHeadBytes}, std::size_t{64}, std::size_t{256}}) {
    std::string payload(size, '\0');
    format.write({7, 3, 123456, 99}, size, payload.data());
    PayloadHead head;
    BOOST_TEST((format.read(payload, head) == PayloadFormat::Verdict::good));
    BOOST_TEST(head.run_id == 7U);
    BOOST_TEST(head.publisher == 3U);
    BOOST_TEST(head.sequence == 123456U);
    BOOST_TEST(head.stamp_ns == 99U);
    for (std::size_t i = 0; i < size; ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string changed = payload;
        changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
        const auto expected = i < kPayloadHeadBytes ? PayloadFormat::Verdict::bad_head
                                                    : PayloadFormat::Verdict::bad_filler;
        BOOST_TEST_REQUIRE((format.read(changed, head) == expected));
      }
    }
    const std::string_view shorter = std::string_view(payload).substr(0, size - 1);
    BOOST_TEST((format.read(shorter, head) == PayloadFormat::Verdict::bad_head));
  }
}

/// The codec's view of bytes that the generator wrote.
codec::Frame frame_of(const std::string& bytes) {
  const codec::FrameResult result = codec::next_frame(bytes, bytes.size());
  BOOST_TEST_REQUIRE((result.status == codec::FrameStatus::complete));
  BOOST_TEST_REQUIRE(result.frame.bytes.size() == bytes.size());
  return result.frame;
}

template <class Packet>
Packet decode_as(const std::string& bytes, Version version) {
  const auto decoded = codec::decode_control(frame_of(bytes), version);
  const auto* packet = std::get_if<codec::ControlPacket>(&decoded);
  BOOST_TEST_REQUIRE(packet != nullptr);
  BOOST_TEST_REQUIRE(std::holds_alternative<Packet>(*packet));
  return std::get<Packet>(*packet);
}

BOOST_AUTO_TEST_CASE(the_codec_reads_what_is_written) {
  for (const Version version : {Version::v31, Version::v311, Version::v5}) {
    std::string out;
    put_connect({version, "me", 60, false, 120, 9}, out);
    const auto connect = decode_as<codec::Connect>(out, version);
    BOOST_TEST((connect.version == version));
    BOOST_TEST(connect.client_id == "me");
    BOOST_TEST(connect.keep_alive_s == 60);
    BOOST_TEST(!connect.clean_start);
    BOOST_TEST(connect.session_expiry_s == (version == Version::v5 ? 120U : 0U));
    BOOST_TEST(connect.topic_alias_maximum == (version == Version::v5 ? 9 : 0));
    out.clear();
    put_subscribe(version, "a/+", QoS::exactly_once, out);
    const auto subscribe = decode_as<codec::Subscribe>(out, version);
    BOOST_TEST_REQUIRE(subscribe.entries.size() == 1U);
    BOOST_TEST(subscribe.entries[0].filter == "a/+");
    BOOST_TEST((subscribe.entries[0].options.qos == QoS::exactly_once));
    out.clear();
    put_pingreq(out);
    decode_as<codec::Pingreq>(out, version);
    out.clear();
    put_disconnect(out);
    decode_as<codec::Disconnect>(out, version);
    for (const auto type :
         {PacketType::puback, PacketType::pubrec, PacketType::pubrel, PacketType::pubcomp}) {
      out.clear();
      put_ack(type, 0x1234, out);
      const auto ack = decode_as<codec::Ack>(out, version);
      BOOST_TEST((ack.type == type));
      BOOST_TEST(ack.packet_id == 0x1234);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_codec_reads_what_a_publisher_fills) {
  const PayloadFormat format(64 * 1024);
  for (const Version version : {Version::v311, Version::v5}) {
    for (const QoS qos : {QoS::at_most_once, QoS::at_least_once, QoS::exactly_once}) {
      Options options;
      options.version = version;
      options.qos = qos;
      options.window = 5;
      options.payload_bytes = 200;
      Publisher publisher(options, format, 3, "a/b", 77);
      if (version == Version::v5) publisher.use_alias("a/b");
      publisher.allow_until(7);
      std::string room(4096, '\0');
      const char* end = publisher.fill(room.data(), room.size(), 42, Pace{});
      std::string_view left(room.data(), static_cast<std::size_t>(end - room.data()));
      std::uint64_t count = 0;
      while (!left.empty()) {
        const codec::FrameResult next = codec::next_frame(left, left.size());
        BOOST_TEST_REQUIRE((next.status == codec::FrameStatus::complete));
        codec::PublishView view;
        std::string scratch;
        codec::DecodeError error;
        BOOST_TEST_REQUIRE(codec::decode_publish(next.frame, version, view, scratch, error));
        BOOST_TEST(view.topic == (version == Version::v5 && count > 0 ? "" : "a/b"));
        BOOST_TEST(view.topic_alias == (version == Version::v5 ? 1 : 0));
        BOOST_TEST((view.qos == qos));
        BOOST_TEST(view.packet_id == (qos == QoS::at_most_once ? 0 : count + 1));
        PayloadHead head;
        BOOST_TEST((format.read(view.payload, head) == PayloadFormat::Verdict::good));
        BOOST_TEST(head.sequence == count);
        BOOST_TEST(head.stamp_ns == 42U);
        left.remove_prefix(next.frame.bytes.size());
        ++count;
      }
      BOOST_TEST(count == (qos == QoS::at_most_once ? 7U : 5U));  // the window holds the rest
    }
  }
}

BOOST_AUTO_TEST_CASE(a_publisher_matches_acks_to_messages) {
  const PayloadFormat format(64);
  Options options;
  options.qos = QoS::exactly_once;
  options.window = 2;
  Publisher publisher(options, format, 0, "t", 1);
  publisher.allow_until(3);
  std::string room(1024, '\0');
  publisher.fill(room.data(), room.size(), 5, Pace{});
  BOOST_TEST(publisher.in_flight() == 2U);
  BOOST_TEST(!publisher.may_send());
  BOOST_TEST(!publisher.on_ack(PacketType::puback, 1, 0).release);  // the wrong kind
  BOOST_TEST(!publisher.on_ack(PacketType::pubcomp, 1, 0).done);    // too early
  BOOST_TEST(publisher.on_ack(PacketType::pubrec, 1, 0).release);
  BOOST_TEST(!publisher.on_ack(PacketType::pubrec, 1, 0).release);  // once only
  BOOST_TEST(publisher.on_ack(PacketType::pubcomp, 1, 0).done);
  BOOST_TEST(publisher.on_ack(PacketType::pubrec, 2, 0x97).done);  // refused
  BOOST_TEST(publisher.on_ack(PacketType::pubrec, 9, 0).done == false);
  BOOST_TEST(publisher.acked() == 1U);
  BOOST_TEST(publisher.refused() == 1U);
  BOOST_TEST(publisher.unmatched() == 4U);
  BOOST_TEST(publisher.may_send());
}

BOOST_AUTO_TEST_CASE(packet_ids_go_round_and_pass_over_those_in_use) {
  const PayloadFormat format(64);
  Options options;
  options.qos = QoS::at_least_once;
  options.window = 3;
  Publisher publisher(options, format, 0, "t", 1);
  publisher.allow_until(200'000);
  std::string room(publisher.frame_bytes(), '\0');
  publisher.fill(room.data(), room.size(), 0, Pace{});  // packet id 1 is never acknowledged
  for (int i = 0; i < 140'000; ++i) {
    publisher.fill(room.data(), room.size(), 0, Pace{});
    const std::uint16_t id = read_u16(room.data() + 5);
    BOOST_TEST_REQUIRE(id > 1);
    BOOST_TEST_REQUIRE(publisher.on_ack(PacketType::puback, id, 0).done);
  }
  BOOST_TEST(publisher.in_flight() == 1U);
}

BOOST_AUTO_TEST_CASE(incoming_packets_cut_anywhere_are_refused_or_awaited) {
  std::string out;
  std::size_t id_at = 0;
  out = publish_head(Version::v5, QoS::at_least_once, "a/b", 4, 3, id_at) + "xyz";
  out[id_at + 1] = 9;
  for (std::size_t size = 0; size < out.size(); ++size) {
    BOOST_TEST((scan(out.data(), out.data() + size).status == Scanned::Status::need_more));
  }
  const Scanned whole = scan(out.data(), out.data() + out.size());
  BOOST_TEST_REQUIRE((whole.status == Scanned::Status::complete));
  IncomingPublish publish;
  BOOST_TEST_REQUIRE(read_publish(Version::v5, whole.first, whole.body, publish));
  BOOST_TEST(publish.topic == "a/b");
  BOOST_TEST(publish.topic_alias == 4);
  BOOST_TEST(publish.packet_id == 9);
  BOOST_TEST(publish.payload == "xyz");
  for (std::size_t size = 0; size + 3 < whole.body.size(); ++size) {
    IncomingPublish cut;
    BOOST_TEST(!read_publish(Version::v5, whole.first, whole.body.substr(0, size), cut));
  }
  const std::string endless = "\x30\xFF\xFF\xFF\xFF\x01";
  BOOST_TEST(
      (scan(endless.data(), endless.data() + endless.size()).status == Scanned::Status::malformed));
}

BOOST_AUTO_TEST_CASE(plans_name_topics_filters_and_receivers) {
  struct Case {
    Mode mode;
    std::uint32_t publishers;
    std::uint32_t subscribers;
    const char* topic;
    std::size_t receivers;
    std::uint32_t copies;
    const char* last_filter;
    const char* first_topic;
  };
  const Case cases[] = {
      {Mode::pair, 3, 3, "", 3, 1, "bench/2", "bench/0"},
      {Mode::pair, 2, 2, "x/%c/%i/y", 2, 1, "x/p-s1/1/y", "x/p-p0/0/y"},
      {Mode::fanin, 3, 2, "", 2, 2, "bench/#", "bench/0"},
      {Mode::fanin, 3, 1, "n%i", 1, 1, "#", "n0"},
      {Mode::fanout, 1, 4, "", 4, 4, "bench/all", "bench/all"},
      {Mode::shared, 3, 4, "", 1, 1, "$share/g/bench/#", "bench/0"},
      {Mode::pub, 3, 0, "", 0, 0, "", "bench/0"},
      {Mode::sub, 0, 2, "", 2, 0, "bench/1", nullptr},
      {Mode::conn, 0, 2, "c/%i", 2, 0, "c/1", nullptr},
      {Mode::conn, 0, 2, "", 2, 0, "", nullptr},
  };
  for (const Case& one : cases) {
    Options options;
    options.mode = one.mode;
    options.publishers = one.publishers;
    options.subscribers = one.subscribers;
    options.topic = one.topic;
    options.prefix = "p";
    options.group = "g";
    const Plan plan = make_plan(options);
    BOOST_TEST_CONTEXT(mode_name(one.mode) << " " << one.topic) {
      BOOST_TEST(plan.clients.size() == one.publishers + one.subscribers);
      BOOST_TEST(plan.receivers.size() == one.receivers);
      BOOST_TEST(plan.copies == one.copies);
      BOOST_TEST(plan.clients.back().filter == one.last_filter);
      if (one.first_topic != nullptr) BOOST_TEST(plan.topics.at(0) == one.first_topic);
      std::set<std::string> ids;
      for (const ClientPlan& client : plan.clients) ids.insert(client.id);
      BOOST_TEST(ids.size() == plan.clients.size());
    }
  }
}

}  // namespace
}  // namespace skald::bench
