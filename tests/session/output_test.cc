// Output against a list of packets: every byte, whatever the socket takes at a time.
#include "mqtt/session/output.h"

#include <boost/test/unit_test.hpp>
#include <deque>
#include <string>

#include "config/base/random.h"
#include "mqtt/codec/encoder.h"
#include "tests/session/peer.h"

namespace skald::session {
namespace {

using testing::take_bytes;

/// A packet of `size` bytes of body, its bytes telling `seed`.
std::string packet_of(std::size_t size, std::uint64_t seed) {
  std::string packet(1, static_cast<char>(0x30));
  codec::put_varint(static_cast<std::uint32_t>(size), packet);
  for (std::size_t i = 0; i < size; ++i) packet.push_back(static_cast<char>(seed * 31 + i));
  return packet;
}

mqtt::PublicationRef publication_of(std::string_view payload) {
  return mqtt::Publication::make({}, "t", "topic", {}, payload);
}

void append_referenced(Output& output, const std::string& packet, std::size_t payload) {
  output.append(std::string_view(packet).substr(0, packet.size() - payload));
  output.append_payload(publication_of(std::string_view(packet).substr(packet.size() - payload)));
}

std::string pending_of(const Output& output, std::size_t max = 64) {
  std::vector<Output::Piece> pieces(max);
  const std::size_t count = output.pieces(pieces.data(), max);
  BOOST_REQUIRE_LE(count, max);
  std::string all;
  for (std::size_t i = 0; i < count; ++i) {
    BOOST_REQUIRE_GT(pieces[i].size, 0U);
    all.append(pieces[i].data, pieces[i].size);
  }
  return all;
}

/// The rule told plainly: packets in a row, of which the first may be partly sent; an urgent one
/// goes in before all that has not begun, but behind the control packets before it.
class Model {
 public:
  void append(std::string packet) { packets_.push_back({std::move(packet), false, false}); }
  void append_control(std::string packet) {
    bool urgent = size() >= 16 * 1024;
    std::size_t at = sent_ > 0 ? 1 : 0;
    for (std::size_t i = 0; i < packets_.size(); ++i) {
      if (packets_[i].control) at = std::max(at, i + 1);
      urgent |= packets_[i].urgent;
    }
    if (!urgent) at = packets_.size();
    packets_.insert(packets_.begin() + static_cast<long>(at), {std::move(packet), true, urgent});
  }
  void consume(std::size_t n) {
    sent_ += n;
    while (!packets_.empty() && sent_ >= packets_.front().bytes.size()) {
      sent_ -= packets_.front().bytes.size();
      packets_.pop_front();
    }
  }
  std::string pending() const {
    std::string all;
    for (const Packet& packet : packets_) all += packet.bytes;
    return all.substr(sent_);
  }
  std::size_t size() const {
    std::size_t total = 0;
    for (const Packet& packet : packets_) total += packet.bytes.size();
    return total - sent_;
  }

 private:
  struct Packet {
    std::string bytes;
    bool control;
    bool urgent;
  };
  std::deque<Packet> packets_;
  std::size_t sent_ = 0;
};

BOOST_AUTO_TEST_SUITE(output)

BOOST_AUTO_TEST_CASE(empty_owns_nothing) {
  BufferPool pool;
  Output output(pool);
  BOOST_TEST(output.empty());
  BOOST_TEST(pending_of(output).empty());
  output.append_control(packet_of(0, 0));
  output.append("");
  BOOST_TEST(output.size() == 2U);
  output.consume(2);
  BOOST_TEST(output.empty());
  output.append_payload(publication_of(""));
  BOOST_TEST(output.empty());
}

/// Bulk with a referenced payload between, a control packet that overtakes; cut at every byte.
BOOST_AUTO_TEST_CASE(every_cut) {
  const std::string first = packet_of(100, 1);
  const std::string large = packet_of(20'000, 2);
  const std::string last = packet_of(7, 3);
  const std::string pong = packet_of(0, 4);
  const std::string ack = packet_of(2, 5);
  const auto cut_at = [&](std::size_t cut) {
    BufferPool pool;
    Output output(pool);
    output.append(first);
    append_referenced(output, large, 19'990);
    output.append(last);
    BOOST_REQUIRE_EQUAL(output.size(), first.size() + large.size() + last.size());
    output.consume(cut);
    output.append_control(pong);
    output.append_control(ack);
    const std::string urgent = pong + ack;
    std::string expected;
    if (cut == 0) {
      expected = urgent + first + large + last;
    } else if (cut <= first.size()) {
      expected = first + urgent + large + last;
    } else {
      expected = first + large + urgent + last;
    }
    // A packet wholly sent before the urgent ones came leaves the way free.
    expected = cut == first.size() ? urgent + large + last : expected.substr(cut);
    BOOST_REQUIRE(pending_of(output) == expected);
    BOOST_REQUIRE(take_bytes(output, 1 + cut % 3, 1 + cut % 5000) == expected);
    BOOST_REQUIRE(output.empty());
  };
  for (std::size_t cut = 0; cut <= 130; ++cut) cut_at(cut);
  for (std::size_t cut = 131; cut < 3700; cut += 61) cut_at(cut);
}

BOOST_AUTO_TEST_CASE(control_packets_stay_in_order) {
  BufferPool pool;
  Output output(pool);
  const std::string early = packet_of(2, 1);
  const std::string bulk = packet_of(17'000, 2);
  const std::string late = packet_of(2, 3);
  const std::string more = packet_of(3, 4);
  output.append(packet_of(10, 9));
  output.append_control(early);  // in line: little waits
  output.append(bulk);
  output.append_control(late);  // ahead of bulk, behind early
  output.append(more);
  BOOST_CHECK(pending_of(output) == packet_of(10, 9) + early + late + bulk + more);
  // While urgent ones wait, later ones wait behind them, however little is pending.
  output.consume(output.size() - more.size() - 5);
  output.append_control(late);
  BOOST_CHECK_EQUAL(output.size(), more.size() + 5 + late.size());
}

BOOST_AUTO_TEST_CASE(pieces_fewer_than_there_are) {
  BufferPool pool;
  Output output(pool);
  std::string expected;
  for (std::uint64_t i = 0; i < 40; ++i) {
    const std::string packet = packet_of(3000, i);
    append_referenced(output, packet, 2990);
    expected += packet;
  }
  for (const std::size_t max : {1U, 2U, 3U, 7U, 64U}) {
    const std::string some = pending_of(output, max);
    BOOST_REQUIRE(!some.empty());
    BOOST_REQUIRE(expected.starts_with(some));
  }
  BOOST_CHECK(take_bytes(output, 3) == expected);
}

BOOST_AUTO_TEST_CASE(clear_lets_payloads_go) {
  BufferPool pool;
  Output output(pool);
  output.append(packet_of(30'000, 1));
  append_referenced(output, packet_of(30'000, 1), 29'000);
  output.append_control(packet_of(0, 2));
  output.clear();
  BOOST_TEST(output.empty());
  output.append(packet_of(3, 4));
  BOOST_CHECK(pending_of(output) == packet_of(3, 4));
}

BOOST_AUTO_TEST_CASE(random_against_model) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      BufferPool pool;
      Output output(pool);
      Model model;
      const std::uint64_t consume_often = random.between(2, 8);
      for (int step = 0; step < 400; ++step) {
        if (random.below(8) < consume_often) {
          const std::size_t n = random.below(std::min<std::size_t>(model.size(), 9000) + 1);
          output.consume(n);
          model.consume(n);
        }
        const std::size_t size = random.one_in(3) ? random.below(6000) : random.below(200);
        const std::string packet = packet_of(size, random.next());
        switch (random.below(4)) {
          case 0:
            output.append_control(packet_of(size % 5, seed));
            model.append_control(packet_of(size % 5, seed));
            break;
          case 1:
            append_referenced(output, packet, random.below(size + 1));
            model.append(packet);
            break;
          default:
            output.append(packet);
            model.append(packet);
            break;
        }
        BOOST_REQUIRE_EQUAL(output.size(), model.size());
        if (random.one_in(4)) BOOST_REQUIRE(pending_of(output, 500) == model.pending());
      }
      const std::string expected = model.pending();
      BOOST_REQUIRE(take_bytes(output, random.between(1, 60), random.between(1, 50'000)) ==
                    expected);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::session
