// Stored routes: round trips, order, refusal of damaged records, where a group begins.
#include "mqtt/dist/keys.h"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

namespace skald::dist {
namespace {

using namespace std::string_literals;

constexpr Life kLife{NodeId{3}, LifeNumber{77}};

std::vector<Route> examples() {
  const InboxReceiver inbox{"client \0 id"s, 1ULL << 60, codec::QoS::exactly_once};
  const InboxReceiver marked{"c", 7, codec::QoS::at_least_once, true, true, 268'435'455};
  const SessionMember session{kLife, ~0ULL, 5, 63, codec::QoS::at_least_once};
  return {
      {"", "a", NodeReceiver{kLife}},
      {"t", "a/+/#", NodeReceiver{kLife}},
      {"t", "#", inbox},
      {"t", "$SYS/x", GroupReceiver{"group", session}},
      {"t", "a", marked},
      {"t", "\x01\xff", GroupReceiver{"g", InboxMember{inbox, {}, 0}}},
      {"t", "a", GroupReceiver{"g", InboxMember{marked, kLife, 1ULL << 61}}},
  };
}

BOOST_AUTO_TEST_SUITE(keys)

BOOST_AUTO_TEST_CASE(round_trips_and_truncations) {
  for (const Route& route : examples()) {
    const std::string key = route_key(route);
    const std::string value = route_value(route);
    const Result<Route> read = decode_route(key, value);
    BOOST_REQUIRE(read.ok());
    BOOST_CHECK(*read == route);
    for (std::size_t cut = 0; cut < key.size(); ++cut) {
      BOOST_CHECK(!decode_route(key.substr(0, cut), value).ok());
    }
    for (std::size_t cut = 0; cut < value.size(); ++cut) {
      BOOST_CHECK(!decode_route(key, value.substr(0, cut)).ok());
    }
    BOOST_CHECK(!decode_route(key + '\0', value).ok());
    BOOST_CHECK(!decode_route(key, value + '\0').ok());
    std::string newer = value;
    newer[0] = 2;
    const Result<Route> refused = decode_route(key, newer);
    BOOST_REQUIRE(!refused.ok());
    BOOST_CHECK(refused.error().message.find("newer") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(unknown_kinds_and_values_are_refused) {
  const Route inbox{"t", "a", InboxReceiver{"c", 1, codec::QoS::at_least_once}};
  for (const char options : {'\3', '\x10', '\x7', '\xff'}) {
    std::string value = route_value(inbox);
    value[value.size() - 2] = options;
    BOOST_CHECK(!decode_route(route_key(inbox), value).ok());
  }
  BOOST_CHECK(!decode_route(route_key(inbox), "\1\1\1\x80\x80\x80\x80\x10"s).ok());  // 2^32
  const Route member{"t", "a", GroupReceiver{"g", InboxMember{{"c", 1, {}}, kLife, 1}}};
  std::string value = route_value(member);
  value[5] = 2;  // online
  BOOST_CHECK(!decode_route(route_key(member), value).ok());
  std::string key = route_key(inbox);
  key["t\0\1a\0\1"s.size()] = 9;
  BOOST_CHECK(!decode_route(key, route_value(inbox)).ok());
}

BOOST_AUTO_TEST_CASE(neighbours) {
  // In the order of tenant, filter, kind, receiver.
  const std::vector<Route> sorted{
      {"t", "a", NodeReceiver{{NodeId{1}, LifeNumber{9}}}},
      {"t", "a", NodeReceiver{{NodeId{2}, LifeNumber{1}}}},
      {"t", "a", InboxReceiver{"c", 1, {}}},
      {"t", "a", GroupReceiver{"g", SessionMember{kLife, 1, 1, 0, {}}}},
      {"t", "a", GroupReceiver{"g", SessionMember{kLife, 2, 1, 0, {}}}},
      {"t", "a", GroupReceiver{"g", InboxMember{{"c", 1, {}}, {}, 0}}},
      {"t", "a", GroupReceiver{"g2", SessionMember{kLife, 1, 1, 0, {}}}},
      {"t", "a/b", NodeReceiver{kLife}},
      {"t", "ab", NodeReceiver{kLife}},
      {"t2", "a", NodeReceiver{kLife}},
  };
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    BOOST_CHECK_LT(route_key(sorted[i - 1]), route_key(sorted[i]));
  }
}

BOOST_AUTO_TEST_CASE(inside_a_group) {
  const Route member{"t", "a", GroupReceiver{"g", InboxMember{{"c", 1, {}}, {}, 0}}};
  const std::string key = route_key(member);
  const std::string prefix = "t\0\1a\0\1\3g\0\1"s;
  BOOST_REQUIRE(key.starts_with(prefix));
  for (std::size_t size = 0; size <= key.size(); ++size) {
    const auto found = group_prefix(key.substr(0, size));
    BOOST_CHECK_EQUAL(found.has_value(), size > prefix.size());
    if (found) BOOST_CHECK(*found == prefix);
  }
  BOOST_CHECK(!group_prefix(route_key({"t", "a", NodeReceiver{kLife}})));
  BOOST_CHECK(!group_prefix(route_key({"t", "a", InboxReceiver{"c", 1, {}}})));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::dist
