#define BOOST_TEST_MODULE route
#include "kv/route/route_table.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "kv/range/lanes.h"
#include "kv/route/router.h"

namespace skald::route {
namespace {

using range::Boundary;
using range::Descriptor;

BOOST_AUTO_TEST_CASE(the_newest_boundary_wins_and_gaps_are_told) {
  const auto range = [](std::uint64_t id, std::string start, std::optional<std::string> end,
                        std::uint64_t boundary_ver) {
    Descriptor d;
    d.id = RangeId{id};
    d.boundary = {std::move(start), std::move(end)};
    d.epoch = {1, boundary_ver};
    return d;
  };
  RouteTable table;
  BOOST_CHECK(table.find("a") == nullptr);
  BOOST_CHECK(table.learn(range(1, "", std::nullopt, 1)));
  BOOST_CHECK(table.gaps().empty());
  BOOST_CHECK(table.learn(range(2, "m", std::nullopt, 2)));  // its parent is old here
  BOOST_CHECK(table.find("a")->id == RangeId{1});
  BOOST_CHECK(table.find("m")->id == RangeId{2});
  BOOST_CHECK(table.learn(range(1, "", "f", 3)));
  BOOST_CHECK(!table.learn(range(1, "", std::nullopt, 1)));
  BOOST_CHECK(table.find("g") == nullptr);
  BOOST_REQUIRE_EQUAL(table.gaps().size(), 1);
  BOOST_CHECK(table.gaps().front() == (Boundary{"f", "m"}));
}

/// The reply to the first command is lost; however many others are answered meanwhile, the range
/// must still know it when it is asked again.
BOOST_AUTO_TEST_CASE(no_number_is_given_beyond_the_replies_that_a_lane_keeps) {
  Descriptor d;
  d.id = RangeId{1};
  d.epoch = {1, 1};
  d.replicas = {{range::StoreId{1}, ReplicaId{1}, {}}};
  Router router({{NodeId{1}, LifeNumber{1}}, 1}, {});
  router.learn(d);
  for (std::uint64_t op = 1; op <= 200; ++op) router.submit(op, "k", "");
  std::uint64_t highest = 0;
  std::size_t answered = 0;
  for (int round = 0; round < 100; ++round) {
    for (const Router::Request& request : router.take().requests) {
      range::Reply reply;
      if (const auto* data = std::get_if<range::DataRequest>(&request.body)) {
        highest = std::max(highest, data->seq);
        if (data->seq == 1) continue;
        router.on_reply(data->id, reply);
        ++answered;
      } else {
        reply.next_seq = 1;
        reply.descriptors = {d};
        router.on_reply(std::get<range::ReadRequest>(request.body).id, reply);
      }
    }
  }
  BOOST_TEST(highest == range::kLaneWindow);
  BOOST_TEST(answered == range::kLaneWindow - 1);
}

}  // namespace
}  // namespace skald::route
