// Announcements in any order come to one picture.
#define BOOST_TEST_MODULE landscape
#include "kv/landscape/landscape.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>

namespace skald::landscape {
namespace {

using range::Descriptor;
using range::StoreId;

Descriptor descriptor(std::uint64_t id, std::uint64_t conf_ver, range::Boundary boundary = {},
                      std::uint64_t boundary_ver = 1) {
  Descriptor d;
  d.id = RangeId{id};
  d.epoch = {conf_ver, boundary_ver};
  d.boundary = std::move(boundary);
  d.genesis = {7, 1, true};
  d.replicas = {{StoreId{1}, ReplicaId{1}, {}}, {StoreId{2}, ReplicaId{2}, {}}};
  return d;
}

StoreAnnouncement announcement(std::uint64_t store, std::uint64_t version, const Descriptor& d,
                               bool leads) {
  StoreAnnouncement a;
  a.store = StoreId{store};
  a.version = version;
  a.replicas.push_back({d, leads, {}});
  return a;
}

BOOST_AUTO_TEST_CASE(any_order_one_picture) {
  const Descriptor left = descriptor(1, 3, {"", "m"}, 2);
  const Descriptor right = descriptor(2, 3, {"m", std::nullopt}, 2);
  std::vector<StoreAnnouncement> all = {
      announcement(1, 1, descriptor(1, 1), true), announcement(2, 1, descriptor(1, 2), false),
      announcement(1, 2, left, false), announcement(2, 2, right, true),
      announcement(3, 1, left, true)};
  std::vector<std::size_t> order = {0, 1, 2, 3, 4};
  do {
    Landscape landscape;
    for (const std::size_t i : order) landscape.announce(all[i]);
    for (const std::size_t i : order) BOOST_REQUIRE(!landscape.announce(all[i]));  // no news
    BOOST_REQUIRE(landscape.find("a")->id == RangeId{1});
    BOOST_REQUIRE(landscape.find("x")->id == RangeId{2});
    BOOST_REQUIRE(landscape.view(RangeId{1})->leader == StoreId{3});
    BOOST_REQUIRE(landscape.view(RangeId{2})->leader == StoreId{2});
    BOOST_REQUIRE_EQUAL(landscape.ranges_on(StoreId{1}).size(), 2U);
    BOOST_REQUIRE(landscape.routes().gaps().empty());
  } while (std::next_permutation(order.begin(), order.end()));
}

BOOST_AUTO_TEST_CASE(who_lives) {
  Landscape landscape;
  landscape.announce(announcement(1, 1, descriptor(1, 1), true));
  landscape.announce(announcement(2, 1, descriptor(1, 1), false));
  BOOST_CHECK_EQUAL(landscape.alive_of(*landscape.find("a")).size(), 2U);
  landscape.set_alive(StoreId{2}, false);
  BOOST_CHECK_EQUAL(landscape.alive_of(*landscape.find("a")).size(), 1U);
  landscape.forget(StoreId{1});
  BOOST_CHECK(!landscape.view(RangeId{1})->leader);
}

BOOST_AUTO_TEST_CASE(one_genesis_at_a_time) {
  Landscape landscape;
  Descriptor unused = descriptor(1, 1);
  unused.genesis = {5, 1, false};
  landscape.learn(unused);
  BOOST_CHECK(landscape.find("a")->id == RangeId{1});
  landscape.learn(descriptor(2, 1));  // used beats unused, though it is younger
  BOOST_CHECK(landscape.find("a")->id == RangeId{2});
  BOOST_CHECK(!landscape.learn(unused));
  BOOST_CHECK(!landscape.clash());
  unused.genesis.used = true;
  BOOST_CHECK(!landscape.learn(unused));
  BOOST_CHECK_EQUAL(landscape.clash()->id, 5U);
}

}  // namespace
}  // namespace skald::landscape
