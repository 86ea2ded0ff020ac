// Lanes: retries are answered once, gaps refused, ended lives shut out for good.
#include "kv/range/lanes.h"

#include <boost/test/unit_test.hpp>
#include <map>
#include <string>

#include "config/base/random.h"

namespace skald::range {
namespace {

using Verdict = Lanes::Verdict;

LaneId lane(std::uint64_t node, std::uint64_t life, std::uint32_t number = 0) {
  return {{NodeId{node}, LifeNumber{life}}, number};
}

BOOST_AUTO_TEST_SUITE(lanes)

BOOST_AUTO_TEST_CASE(in_order_once) {
  Lanes lanes;
  const LaneId a = lane(1, 1);
  BOOST_CHECK(lanes.check(a, 2).verdict == Verdict::gap);
  BOOST_CHECK(lanes.check(a, 0).verdict == Verdict::gap);
  BOOST_CHECK(lanes.check(a, 1).verdict == Verdict::apply);
  lanes.record(a, 1, "one");
  BOOST_CHECK(lanes.check(a, 1).verdict == Verdict::answered);
  BOOST_CHECK_EQUAL(lanes.check(a, 1).reply, "one");
  BOOST_CHECK(lanes.check(a, 3).verdict == Verdict::gap);
  BOOST_CHECK(lanes.check(a, 2).verdict == Verdict::apply);
  lanes.record(a, 2, "two");
  BOOST_CHECK_EQUAL(lanes.check(a, 1).reply, "one");  // pipelined: that reply may be lost too
  BOOST_CHECK_EQUAL(lanes.check(a, 2).reply, "two");
  BOOST_CHECK(lanes.check(a, 0).verdict == Verdict::stale);
  BOOST_CHECK(lanes.check(lane(1, 1, 1), 1).verdict == Verdict::apply);  // another lane
}

BOOST_AUTO_TEST_CASE(the_window_of_replies) {
  Lanes lanes;
  const LaneId a = lane(1, 1);
  for (std::uint64_t seq = 1; seq <= 2 * kLaneWindow; ++seq) {
    lanes.record(a, seq, std::to_string(seq));
  }
  BOOST_CHECK(lanes.check(a, kLaneWindow).verdict == Verdict::stale);
  BOOST_CHECK_EQUAL(lanes.check(a, kLaneWindow + 1).reply, std::to_string(kLaneWindow + 1));
  BOOST_CHECK_EQUAL(lanes.check(a, 2 * kLaneWindow).reply, std::to_string(2 * kLaneWindow));
}

BOOST_AUTO_TEST_CASE(ended_lives) {
  Lanes lanes;
  for (const LaneId& each : {lane(1, 5), lane(1, 5, 7), lane(1, 6), lane(2, 5)}) {
    lanes.record(each, 1, "");
  }
  lanes.end_life({NodeId{1}, LifeNumber{5}});
  BOOST_CHECK_EQUAL(lanes.size(), 2U);
  BOOST_CHECK(lanes.check(lane(1, 5), 1).verdict == Verdict::ended);
  BOOST_CHECK(lanes.check(lane(1, 5), 2).verdict == Verdict::ended);
  BOOST_CHECK(lanes.check(lane(1, 4, 9), 1).verdict == Verdict::ended);  // never seen, but older
  BOOST_CHECK(lanes.check(lane(1, 6), 2).verdict == Verdict::apply);
  BOOST_CHECK(lanes.check(lane(2, 5), 2).verdict == Verdict::apply);
  lanes.end_life({NodeId{1}, LifeNumber{3}});  // late: changes nothing
  BOOST_CHECK(lanes.has_ended({NodeId{1}, LifeNumber{5}}));
  BOOST_CHECK(!lanes.has_ended({NodeId{1}, LifeNumber{6}}));
  BOOST_CHECK_EQUAL(lanes.size(), 2U);
}

BOOST_AUTO_TEST_CASE(lanes_of_a_life_are_limited) {
  Lanes lanes;
  for (std::uint32_t i = 0; i < kMaxLanesPerLife; ++i) lanes.record(lane(1, 1, i), 1, "");
  BOOST_CHECK(lanes.check(lane(1, 1, kMaxLanesPerLife), 1).verdict == Verdict::too_many);
  BOOST_CHECK(lanes.check(lane(1, 1, 0), 2).verdict == Verdict::apply);
  BOOST_CHECK(lanes.check(lane(1, 2, 0), 1).verdict == Verdict::apply);
}

/// The stored pieces, as a data store keeps them.
struct Stored {
  std::map<std::string, std::string> pieces;
  std::size_t bytes = 0;  ///< written so far

  void take(Lanes& lanes) {
    for (auto& [key, value] : lanes.take_changes()) {
      bytes += key.size() + (value ? value->size() : 0);
      if (value) {
        pieces[key] = *value;
      } else {
        pieces.erase(key);
      }
    }
  }
  Result<Lanes> load() const {
    Lanes lanes;
    for (const auto& [key, value] : pieces) {
      if (Status status = lanes.load(key, value); !status.ok()) return status.error();
    }
    return lanes;
  }
};

BOOST_AUTO_TEST_CASE(stored_in_pieces_and_back) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Random random(seed);
    Lanes lanes;
    Stored stored;
    for (int i = 0; i < 2000; ++i) {
      const LaneId id = lane(random.between(1, 3), random.between(1, 4));
      const std::uint64_t next = lanes.next(id);
      if (lanes.check(id, next).verdict == Verdict::apply) {
        lanes.record(id, next, std::string(random.below(20), 'r'));
      }
      if (random.one_in(200)) lanes.end_life(id.life);
      if (!random.one_in(20)) continue;  // several changes of one lane in one batch
      stored.take(lanes);
      BOOST_REQUIRE(*stored.load() == lanes);
    }
    stored.take(lanes);
    const auto pieces = lanes.pieces();
    const std::map<std::string, std::string> all(pieces.begin(), pieces.end());
    BOOST_REQUIRE(all == stored.pieces);
  }
}

BOOST_AUTO_TEST_CASE(damaged_pieces_are_refused_or_read) {
  Lanes lanes;
  Stored stored;
  for (std::uint64_t seq = 1; seq <= 70; ++seq) lanes.record(lane(1, 1), seq, "reply");
  lanes.end_life({NodeId{3}, LifeNumber{9}});
  stored.take(lanes);
  Random random(1);
  for (int i = 0; i < 2000; ++i) {
    Stored damaged = stored;
    auto piece = damaged.pieces.begin();
    std::advance(piece, static_cast<std::ptrdiff_t>(random.below(damaged.pieces.size())));
    piece->second[random.below(piece->second.size())] = static_cast<char>(random.below(256));
    const Result<Lanes> read = damaged.load();
    if (read.ok()) BOOST_CHECK_EQUAL(read->size(), 1U);
  }
  Stored newer = stored;
  newer.pieces.begin()->second[0] = 2;
  BOOST_CHECK(newer.load().error().message.find("newer") != std::string::npos);
  stored.pieces.erase(stored.pieces.rbegin()->first.substr(0, 21) + '\5');
  BOOST_CHECK(!stored.load().ok());
}

BOOST_AUTO_TEST_CASE(a_command_writes_one_small_piece) {
  Lanes lanes;
  Stored stored;
  constexpr std::uint64_t kCommands = 10 * kLaneWindow;
  for (std::uint64_t seq = 1; seq <= kCommands; ++seq) {
    lanes.record(lane(1, 1), seq, "ten bytes.");
    stored.take(lanes);
  }
  BOOST_CHECK_LE(stored.bytes / kCommands, 36U);
  BOOST_CHECK_EQUAL(stored.pieces.size(), kLaneWindow);
}

BOOST_AUTO_TEST_CASE(random_retries_apply_each_command_once) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    Lanes lanes;
    std::map<LaneId, std::uint64_t> applied;
    for (int i = 0; i < 3000; ++i) {
      const LaneId id = lane(random.between(1, 2), 1, static_cast<std::uint32_t>(random.below(3)));
      const std::uint64_t last = applied[id];
      const std::uint64_t seq = random.between(last > 70 ? last - 70 : 1, last + 2);
      const Lanes::Check check = lanes.check(id, seq);
      BOOST_REQUIRE_EQUAL(check.verdict == Verdict::apply, seq == last + 1);
      BOOST_REQUIRE_EQUAL(check.verdict == Verdict::gap, seq == last + 2);
      if (check.verdict == Verdict::answered) BOOST_REQUIRE_EQUAL(check.reply, std::to_string(seq));
      if (check.verdict == Verdict::stale) BOOST_REQUIRE_LE(seq + kLaneWindow, last);
      if (check.verdict != Verdict::apply) continue;
      lanes.record(id, seq, std::to_string(seq));
      applied[id] = seq;
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::range
