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

BOOST_AUTO_TEST_CASE(encoded_and_back) {
  Lanes lanes;
  BOOST_CHECK(*Lanes::decode(lanes.encode()) == lanes);
  lanes.record(lane(1, 1), 1, std::string("\0x", 2));
  lanes.record(lane(1, 1), 2, "");
  lanes.record(lane(~0ULL, ~0ULL, ~0U), 1, std::string(300, 'r'));
  lanes.end_life({NodeId{3}, LifeNumber{9}});
  const std::string bytes = lanes.encode();
  BOOST_CHECK(*Lanes::decode(bytes) == lanes);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    BOOST_CHECK(!Lanes::decode(bytes.substr(0, cut)).ok());
  }
  BOOST_CHECK(!Lanes::decode(bytes + '\0').ok());
  std::string newer = bytes;
  newer[0] = 2;
  BOOST_CHECK(Lanes::decode(newer).error().message.find("newer") != std::string::npos);
  Random random(1);
  for (int i = 0; i < 2000; ++i) {  // damage is refused or read, never worse
    std::string damaged = bytes;
    damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
    const Result<Lanes> read = Lanes::decode(damaged);
    if (read.ok()) BOOST_CHECK(*Lanes::decode(read->encode()) == *read);
  }
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
