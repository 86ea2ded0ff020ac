#define BOOST_TEST_MODULE route
#include "kv/route/route_table.h"

#include <boost/test/unit_test.hpp>
#include <optional>
#include <string>
#include <utility>

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

}  // namespace
}  // namespace skald::route
