// Two bootstraps of one key space that meet; what is known of stores; loads.
#include "kv/range/genesis.h"

#include <boost/test/unit_test.hpp>

#include "kv/range/load.h"
#include "tests/range/cluster.h"

namespace skald::range {
namespace {

const Genesis kNone{0, 0, false};
const Genesis kOld{1, 10, false};
const Genesis kYoung{2, 20, false};
const Genesis kTwin{3, 10, false};
const Genesis kOldUsed{1, 10, true};
const Genesis kYoungUsed{2, 20, true};

Meeting mirror(Meeting meeting) {
  if (meeting == Meeting::kOursYields) return Meeting::kTheirsYields;
  if (meeting == Meeting::kTheirsYields) return Meeting::kOursYields;
  return meeting;
}

BOOST_AUTO_TEST_SUITE(geneses)

BOOST_AUTO_TEST_CASE(who_yields) {
  const struct {
    Genesis ours, theirs;
    Meeting meeting;
  } kTable[] = {
      {kOld, kOld, Meeting::kSame},
      {kOld, kOldUsed, Meeting::kSame},
      {kNone, kYoung, Meeting::kSame},
      {kNone, kYoungUsed, Meeting::kSame},
      {kOld, kYoung, Meeting::kTheirsYields},
      {kOld, kTwin, Meeting::kTheirsYields},
      {kOld, kYoungUsed, Meeting::kOursYields},
      {kOldUsed, kYoung, Meeting::kTheirsYields},
      {kOldUsed, kYoungUsed, Meeting::kRefused},
  };
  for (const auto& row : kTable) {
    BOOST_CHECK(meet(row.ours, row.theirs) == row.meeting);
    BOOST_CHECK(meet(row.theirs, row.ours) == mirror(row.meeting));
  }
}

BOOST_AUTO_TEST_CASE(a_hello_is_refused_as_a_whole_and_says_why) {
  const HelloVerdict fine = judge_hello({{0, kOld}, {1, kYoung}}, {{0, kYoung}, {1, kYoungUsed}});
  BOOST_CHECK(!fine.refused && fine.why.empty());
  BOOST_CHECK(fine.theirs_yield == std::vector<store::StoreNumber>{0});
  BOOST_CHECK(fine.ours_yield.empty());  // the same genesis, not known here as used
  const HelloVerdict clash =
      judge_hello({{0, kOldUsed}, {1, kOld}}, {{0, kYoungUsed}, {1, kYoung}});
  BOOST_CHECK(clash.refused);
  BOOST_CHECK(clash.theirs_yield.empty() && clash.ours_yield.empty());
  BOOST_CHECK(clash.why.find("genesis 1 here, 2 there") != std::string::npos);
}

/// Stores 1 and 2 began one, 3 and 4 another; then they see each other.
struct TwoGeneses {
  Cluster c{4};

  TwoGeneses() {
    for (const std::uint64_t store : {1, 2}) {
      c.node(store).bootstrap(first_descriptor(RangeId{1}, {1, 2}, kOld));
    }
    for (const std::uint64_t store : {3, 4}) {
      c.node(store).bootstrap(first_descriptor(RangeId{2}, {3, 4}, kYoung));
    }
    c.until([this] { return c.leader(RangeId{1}) != 0 && c.leader(RangeId{2}) != 0; });
  }

  GenesisHello hello(std::uint64_t store) {
    Genesis known;
    for (const auto& [id, range] : c.node(store).host().ranges()) {
      learn(known, range->descriptor().genesis);
    }
    return {{0, known}};
  }
};

BOOST_AUTO_TEST_CASE(the_younger_unused_one_goes) {
  TwoGeneses t;
  const HelloVerdict verdict = judge_hello(t.hello(3), t.hello(1));
  BOOST_REQUIRE_EQUAL(verdict.ours_yield.size(), 1U);
  BOOST_CHECK_EQUAL(judge_hello(t.hello(1), t.hello(3)).theirs_yield.size(), 1U);
  t.c.manage(RangeId{2}, Retire{kYoung.id});
  t.c.until([&t] {
    return t.c.node(3).host().ranges().empty() && t.c.node(4).host().ranges().empty() &&
           t.c.node(3).data().replicas().empty() && t.c.node(4).data().replicas().empty();
  });
  BOOST_REQUIRE(
      t.c.manage(RangeId{1}, ChangeReplicas{{StoreId{1}, StoreId{2}, StoreId{3}}, {}}).outcome ==
      Outcome::kDone);
  t.c.write(RangeId{1}, "a", 1);
  t.c.until([&t] { return t.c.node(3).kv(RangeId{1}).values().contains("a"); });
}

BOOST_AUTO_TEST_CASE(a_follower_that_missed_it_learns_it_from_a_tombstone) {
  TwoGeneses t;
  const std::uint64_t leads = t.c.leader(RangeId{2});
  const std::uint64_t follows = 7 - leads;
  t.c.manage(RangeId{2}, Retire{kYoung.id});
  t.c.until([&] { return t.c.node(leads).host().ranges().empty(); });
  t.c.until([&] { return t.c.node(follows).host().ranges().empty(); });
}

BOOST_AUTO_TEST_CASE(a_command_on_its_way_keeps_a_genesis) {
  TwoGeneses t;
  t.c.write(RangeId{2}, "x", 1);  // the peer's hello still says unused
  BOOST_CHECK(t.c.manage(RangeId{2}, Retire{kYoung.id}).outcome == Outcome::kStaleEpoch);
  BOOST_CHECK(judge_hello(t.hello(1), t.hello(3)).ours_yield.size() == 1U);
  t.c.write(RangeId{1}, "a", 2);
  BOOST_CHECK(judge_hello(t.hello(1), t.hello(3)).refused);
  BOOST_CHECK(judge_hello(t.hello(3), t.hello(1)).refused);
  BOOST_CHECK_EQUAL(t.c.write(RangeId{1}, "a", 3).bytes, "1 2");  // both go on, apart
  BOOST_CHECK_EQUAL(t.c.write(RangeId{2}, "x", 3).bytes, "1 1");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(load)

BOOST_AUTO_TEST_CASE(rates_median_and_decay) {
  LoadMeter meter(Random(1));
  std::uint64_t now = 1'000'000;
  for (int i = 0; i < 120'000; ++i) {  // 1000/s for two minutes
    now += 1000;
    const std::string key = "k" + std::to_string(100 + i % 800);
    meter.on_command(key, 50, now);
    meter.on_applied(1, i % 2 == 0 ? 100 : 300, now);
  }
  const LoadReport report = meter.report(now);
  BOOST_CHECK(report.commands_per_s > 950 && report.commands_per_s < 1010);
  BOOST_CHECK(report.bytes_per_s > 47'000 && report.bytes_per_s < 51'000);
  BOOST_CHECK(report.apply_us_average > 190 && report.apply_us_average < 210);
  BOOST_REQUIRE(report.median.has_value());
  BOOST_CHECK(*report.median > "k400" && *report.median < "k600");
  BOOST_CHECK(!split_hint(report, {}));
  SplitPolicy policy;
  policy.commands_per_s_max = 500;
  BOOST_CHECK(split_hint(report, policy) == report.median);
  meter.boundary_changed({"k", *report.median});
  BOOST_CHECK(meter.report(now).median.value_or("") < *report.median);
  now += 10 * kHalfLifeUs;
  BOOST_CHECK_LE(meter.report(now).commands_per_s, 1U);
}

BOOST_AUTO_TEST_CASE(one_hot_key_cannot_be_split) {
  LoadMeter meter(Random(1));
  for (int i = 0; i < 1000; ++i) meter.on_command("hot", 1, 1000);
  BOOST_CHECK(!meter.report(1000).median);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::range
