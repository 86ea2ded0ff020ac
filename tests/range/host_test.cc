// StoreHost and Range, by hand: one voter and several, crashes, splits, snapshots, leases.
#include <boost/test/unit_test.hpp>

#include "tests/range/cluster.h"

namespace skald::range {
namespace {

constexpr RangeId kFirst{1};

LaneId lane(std::uint64_t node, std::uint64_t life = 1) {
  return {{NodeId{node}, LifeNumber{life}}, 0};
}

std::set<StoreId> stores(std::initializer_list<std::uint64_t> list) {
  std::set<StoreId> set;
  for (const std::uint64_t store : list) set.insert(StoreId{store});
  return set;
}

BOOST_AUTO_TEST_SUITE(host)

BOOST_AUTO_TEST_CASE(one_voter_applies_answers_and_survives) {
  Cluster c(1);
  c.genesis(1);
  BOOST_CHECK_EQUAL(c.write(kFirst, "a", 1, lane(9), 1).bytes, "");
  BOOST_CHECK_EQUAL(c.write(kFirst, "a", 2, lane(9), 2).bytes, "1 1");
  BOOST_CHECK_EQUAL(c.write(kFirst, "a", 2, lane(9), 2).bytes, "1 1");  // again: not applied again
  BOOST_CHECK(c.write(kFirst, "a", 4, lane(9), 4).outcome == Outcome::kGap);
  BOOST_CHECK(c.node(1).host().find(kFirst)->descriptor().genesis.used);
  const std::uint64_t stamp = c.node(1).host().find(kFirst)->applier().stamp_us();
  c.node(1).crash();  // nothing was flushed since the beginning
  c.node(1).start();
  BOOST_REQUIRE(c.node(1).started.ok());
  c.until([&c] { return c.leader(kFirst) != 0; });
  BOOST_CHECK_EQUAL(c.node(1).kv(kFirst).values().at("a"), "1 2");
  BOOST_CHECK_EQUAL(c.node(1).host().find(kFirst)->applier().stamp_us(), stamp);
  BOOST_CHECK_EQUAL(c.write(kFirst, "a", 2, lane(9), 2).bytes, "1 1");
  BOOST_CHECK_EQUAL(c.write(kFirst, "b", 3, lane(9), 3).bytes, "");
}

BOOST_AUTO_TEST_CASE(stamps_grow_though_the_clock_stands) {
  Cluster c(1);
  c.genesis(1);
  std::uint64_t last = 0;
  for (std::uint64_t op = 1; op <= 20; ++op) {
    c.write(kFirst, "a", op);
    const std::uint64_t stamp = c.node(1).host().find(kFirst)->applier().stamp_us();
    BOOST_CHECK_GT(stamp, last);
    last = stamp;
  }
}

/// Once a leader took ever more of what it could not apply (store world, seed 225).
BOOST_AUTO_TEST_CASE(a_leader_that_cannot_keep_up_takes_no_more_commands) {
  constexpr std::uint64_t kAsked = 20;
  RangeOptions options;
  options.unapplied_entries = 5;
  Cluster c(1, options);
  c.genesis(1);
  Node& node = c.node(1);
  node.applies = false;
  for (std::uint64_t op = 1; op <= kAsked; ++op) {
    DataRequest request;
    request.id = 1000 + op;
    request.boundary_ver = 1;
    request.bytes = "1 " + std::to_string(op) + " a";
    node.host().request(kFirst, request);
    c.settle();
  }
  // With one more than that to apply, it is enough; the refusal is at once, and may be retried.
  BOOST_CHECK_EQUAL(node.replies().size(), kAsked - options.unapplied_entries - 1);
  for (const auto& [id, reply] : node.replies()) {
    BOOST_CHECK_GT(id, 1000 + options.unapplied_entries + 1);
    BOOST_CHECK(reply.outcome == Outcome::kBusy);
  }
  node.applies = true;
  c.settle();
  for (std::uint64_t op = 1; op <= options.unapplied_entries + 1; ++op) {
    BOOST_CHECK(node.replies().at(1000 + op).outcome == Outcome::kDone);
  }
  BOOST_CHECK_EQUAL(c.write(kFirst, "a", 100).bytes, "1 6");
}

BOOST_AUTO_TEST_CASE(a_split_moves_no_data_and_survives_a_crash) {
  Cluster c(1);
  c.genesis(1);
  for (std::uint64_t op = 1; op <= 50; ++op) {
    c.write(kFirst, (op % 2 ? "a" : "x") + std::to_string(op), op, lane(9), op);
  }
  c.node(1).flush();
  c.settle();
  const std::uint64_t writes = c.node(1).data().counters().writes;
  BOOST_REQUIRE(c.manage(kFirst, SplitAt{"m", RangeId{2}}).outcome == Outcome::kDone);
  // Lanes and stamp of the child, no data.
  BOOST_CHECK_LE(c.node(1).data().counters().writes - writes, kLaneWindow + 5);
  for (int crashes = 0; crashes < 2; ++crashes) {
    c.until([&c] { return c.leader(kFirst) != 0 && c.leader(RangeId{2}) != 0; });
    BOOST_CHECK_EQUAL(c.node(1).kv(kFirst).values().size(), 25U);
    BOOST_CHECK_EQUAL(c.node(1).kv(RangeId{2}).values().size(), crashes == 0 ? 25U : 26U);
    BOOST_CHECK_EQUAL(c.write(RangeId{2}, "x50", 50, lane(9), 50).bytes, "");  // known there too
    c.write(RangeId{2}, "y", 100 + static_cast<std::uint64_t>(crashes));
    c.node(1).crash();  // the split itself was not flushed
    c.node(1).start();
    BOOST_REQUIRE(c.node(1).started.ok());
  }
  c.until([&c] { return c.leader(kFirst) != 0 && c.leader(RangeId{2}) != 0; });
  BOOST_CHECK_EQUAL(c.node(1).kv(RangeId{2}).values().at("y"), "1 101");
  DataRequest old;
  old.id = 999;
  old.boundary_ver = 1;
  old.bytes = "1 7 x7";
  c.node(1).host().request(kFirst, old);
  c.settle();
  BOOST_CHECK(c.node(1).replies().at(999).outcome == Outcome::kStaleEpoch);
}

BOOST_AUTO_TEST_CASE(an_ended_life_is_shut_out_for_good) {
  Cluster c(1);
  c.genesis(1);
  c.write(kFirst, "a", 1, lane(9), 1);
  const Reply done = c.manage(kFirst, EndLife{lane(9).life, {}});
  BOOST_REQUIRE(done.outcome == Outcome::kDone);
  BOOST_REQUIRE_EQUAL(done.descriptors.size(), 1U);  // whose keys know it
  BOOST_CHECK(c.write(kFirst, "a", 2, lane(9), 2).outcome == Outcome::kEnded);
  BOOST_CHECK(c.write(kFirst, "a", 3, lane(9, 2), 1).outcome == Outcome::kDone);
  BOOST_REQUIRE(c.manage(kFirst, SplitAt{"m", RangeId{2}}).outcome == Outcome::kDone);
  BOOST_CHECK(c.write(RangeId{2}, "x", 4, lane(9), 1).outcome == Outcome::kEnded);
}

BOOST_AUTO_TEST_CASE(the_log_is_truncated_behind_what_is_flushed) {
  RangeOptions options;
  options.keep_entries = 10;
  Cluster c(1, options);
  c.genesis(1);
  for (std::uint64_t op = 1; op <= 100; ++op) c.write(kFirst, "a", op);
  const raft::Index before = c.node(1).host().find(kFirst)->durable_log().first_index();
  BOOST_CHECK_EQUAL(before, 2U);
  c.node(1).flush();
  c.settle();
  const raft::Index first = c.node(1).host().find(kFirst)->durable_log().first_index();
  BOOST_CHECK_GT(first, 80U);
  c.write(kFirst, "a", 101);
  c.node(1).crash();
  c.node(1).start();
  BOOST_REQUIRE(c.node(1).started.ok());
  c.until([&c] { return c.leader(kFirst) != 0; });
  BOOST_CHECK_EQUAL(c.node(1).kv(kFirst).values().at("a"), "1 101");
}

BOOST_AUTO_TEST_CASE(a_new_member_gets_a_snapshot_and_one_that_was_removed_comes_back_as_another) {
  RangeOptions options;
  options.keep_entries = 0;
  Cluster c(3, options);
  c.genesis(2);
  for (std::uint64_t op = 1; op <= 30; ++op) c.write(kFirst, "a" + std::to_string(op), op);
  c.node(1).flush();
  c.node(2).flush();
  c.settle();
  std::set<ReplicaId> seen;
  for (int round = 0; round < 3; ++round) {
    BOOST_REQUIRE(c.manage(kFirst, ChangeReplicas{stores({1, 2, 3}), {}}).outcome ==
                  Outcome::kDone);
    c.until([&c] {
      const Range* range = c.node(3).host().find(kFirst);
      return range != nullptr && range->initialised() && !range->needs_rebuild();
    });
    BOOST_CHECK(seen.insert(c.node(3).host().find(kFirst)->id()).second);  // never the same
    c.write(kFirst, "b", 100 + static_cast<std::uint64_t>(round));
    c.until([&c] { return c.node(3).kv(kFirst).values().contains("b"); });
    BOOST_CHECK_EQUAL(c.node(3).kv(kFirst).values().size(), 31U);
    BOOST_REQUIRE(c.manage(kFirst, ChangeReplicas{stores({1, 2}), {}}).outcome == Outcome::kDone);
    c.until([&c] { return c.node(3).host().find(kFirst) == nullptr; });
    BOOST_CHECK(c.node(3).host().tombstone(kFirst) == *seen.rbegin());
    c.until([&c] { return c.node(3).data().replicas().empty(); });
  }
}

BOOST_AUTO_TEST_CASE(a_range_that_lost_its_quorum_is_recovered_by_hand) {
  Cluster c(3);
  c.genesis(3);
  c.write(kFirst, "a", 1);
  c.run(4);
  const std::uint64_t before = c.node(1).host().find(kFirst)->epoch().conf_ver;
  c.cut = {2, 3};
  c.run(60);
  BOOST_CHECK_EQUAL(c.leader(kFirst), 0U);
  BOOST_CHECK(!c.node(1).host().recover(RangeId{5}).ok());
  BOOST_REQUIRE(c.node(1).host().recover(kFirst).ok());
  c.until([&c] { return c.leader(kFirst) == 1; });
  BOOST_CHECK_EQUAL(c.write(kFirst, "a", 2).bytes, "1 1");
  const Descriptor recovered = c.node(1).host().find(kFirst)->descriptor();
  BOOST_CHECK_EQUAL(recovered.epoch.generation(), (before >> kGenerationShift) + 1);
  BOOST_CHECK_EQUAL(recovered.replicas.size(), 1U);
  c.cut = {};  // the lost ones come back: they are refused, learn it, and go
  c.until([&c] {
    return c.node(2).host().find(kFirst) == nullptr && c.node(3).host().find(kFirst) == nullptr;
  });
  BOOST_CHECK_EQUAL(c.leader(kFirst), 1U);
  BOOST_CHECK_EQUAL(c.write(kFirst, "a", 3).bytes, "1 2");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(serve)

RangeOptions with_leases() {
  RangeOptions options;
  options.serve_lease_us = kServeLeaseUs;
  return options;
}

BOOST_AUTO_TEST_CASE(one_voter_alone_waits_for_nobody) {
  Cluster c(1, with_leases());
  c.node(1).bootstrap(first_descriptor(kFirst, {1}));
  c.until([&c] { return c.leader(kFirst) != 0; });
  c.run(1);
  BOOST_CHECK_EQUAL(c.node(1).serve_until()[kFirst], ~std::uint64_t{0});
  const std::uint64_t before = c.now_us();
  c.write(kFirst, "a", 1);
  BOOST_CHECK_EQUAL(c.now_us(), before);  // not even a tick
  c.node(1).crash();
  c.node(1).start();
  c.until([&c] { return c.leader(kFirst) != 0; });
  const std::uint64_t again = c.now_us();
  c.write(kFirst, "a", 2);
  BOOST_CHECK_LE(c.now_us() - again, 2 * kTickUs);
}

BOOST_AUTO_TEST_CASE(a_reply_waits_for_who_may_serve) {
  Cluster c(3, with_leases());
  c.genesis(3);
  c.run(40);
  for (std::uint64_t store = 1; store <= 3; ++store) {
    BOOST_CHECK(c.node(store).host().may_serve(kFirst, c.now_us()));
  }
  std::uint64_t before = c.now_us();
  c.write(kFirst, "a", 1);
  BOOST_CHECK_LE(c.now_us() - before, 4 * kTickUs);  // the commit index travels with heartbeats
  const std::uint64_t slow = c.leader(kFirst) == 1 ? 2 : 1;
  c.node(slow).publishes = false;  // its table of routes is not rebuilt in time
  before = c.now_us();
  c.write(kFirst, "a", 2);
  BOOST_CHECK_GT(c.now_us() - before, 700'000U);
  BOOST_CHECK_LE(c.now_us() - before, 1'400'000U);
  BOOST_CHECK(!c.node(slow).host().may_serve(kFirst, c.now_us()));
  before = c.now_us();
  c.write(kFirst, "a", 3);  // it has no grant any more: nobody waits
  BOOST_CHECK_LE(c.now_us() - before, 4 * kTickUs);
  c.node(slow).publishes = true;
  c.write(kFirst, "a", 4);
  c.run(20);
  BOOST_CHECK(c.node(slow).host().may_serve(kFirst, c.now_us()));
}

BOOST_AUTO_TEST_CASE(a_new_leader_takes_all_for_granted_for_a_while) {
  Cluster c(3, with_leases());
  c.genesis(3);
  c.run(40);
  const std::uint64_t old = c.leader(kFirst);
  c.cut = {old};
  BOOST_CHECK(c.node(old).host().may_serve(kFirst, c.now_us()));
  c.until([&c] { return c.leader(kFirst) != 0; });
  const std::uint64_t elected = c.now_us();
  c.write(kFirst, "a", 1);
  BOOST_CHECK_GE(c.now_us() - elected, 900'000U);
  BOOST_CHECK(!c.node(old).host().may_serve(kFirst, c.now_us()));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::range
