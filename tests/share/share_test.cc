// Choosing members of shared groups, and who owns a message after a setback.
#define BOOST_TEST_MODULE share
#include <boost/test/unit_test.hpp>
#include <map>
#include <string>
#include <vector>

#include "config/base/random.h"
#include "mqtt/share/chooser.h"
#include "mqtt/share/redispatch.h"

namespace skald::share {
namespace {

using codec::QoS;

/// A group of sessions 0..count-1.
dist::Group group_of(std::uint64_t count, std::string filter = "a") {
  dist::Group group;
  group.filter = std::move(filter);
  for (std::uint64_t i = 0; i < count; ++i) {
    const dist::SessionMember member{{NodeId{1}, LifeNumber{1}}, i, 1, 0, QoS::at_least_once};
    group.members.push_back(topic::Ref<const dist::GroupMemberEntry>::adopt(
        new dist::GroupMemberEntry(dist::GroupMember{member})));
  }
  return group;
}

/// Standings by session number.
struct By {
  const std::vector<Standing>& standings;

  Standing operator()(const dist::GroupMember& member) const {
    return standings.at(std::get<dist::SessionMember>(member).session);
  }
};

BOOST_AUTO_TEST_CASE(takes_turns) {
  Chooser chooser(1);
  const dist::Group group = group_of(4);
  const std::vector<Standing> all(4, Standing::ready);
  const std::size_t first = *chooser.choose("t", "g", group, By{all});
  for (std::size_t i = 1; i < 40; ++i) {
    BOOST_CHECK_EQUAL(*chooser.choose("t", "g", group, By{all}), (first + i) % 4);
  }
}

BOOST_AUTO_TEST_CASE(who_comes_first) {
  using enum Standing;
  const struct {
    std::vector<Standing> standings;
    std::vector<std::size_t> chosen;  // in the order of indexes, from any start; empty: nobody
  } cases[] = {
      {{ready, ready, ready}, {0, 1, 2}},
      {{ready, stalled, ready}, {0, 2}},
      {{offline, ready, offline}, {1}},
      {{stalled, offline, excluded}, {0}},    // online and slow comes before offline
      {{stalled, stalled, offline}, {0, 1}},  // all that are online are slow
      {{offline, excluded, offline}, {0, 2}},
      {{excluded, excluded}, {}},
      {{}, {}},
  };
  for (const auto& c : cases) {
    const dist::Group group = group_of(c.standings.size());
    Chooser chooser(5);
    std::map<std::size_t, int> count;
    for (std::size_t i = 0; i < 60; ++i) {
      const auto chosen = chooser.choose("t", "g", group, By{c.standings});
      BOOST_REQUIRE_EQUAL(chosen.has_value(), !c.chosen.empty());
      if (chosen) ++count[*chosen];
    }
    BOOST_CHECK_EQUAL(count.size(), c.chosen.size());
    for (const std::size_t i : c.chosen) {
      BOOST_CHECK_EQUAL(count[i], 60 / static_cast<int>(c.chosen.size()));
    }
  }
}

BOOST_AUTO_TEST_CASE(starts_differ_by_seed_and_group) {
  const dist::Group group = group_of(10);
  const std::vector<Standing> all(10, Standing::ready);
  std::map<std::size_t, int> starts;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    Chooser chooser(seed);
    ++starts[*chooser.choose("t", "g", group, By{all})];
  }
  BOOST_CHECK_EQUAL(starts.size(), 10U);
  for (const auto& [start, count] : starts) BOOST_CHECK_GT(count, 50);
}

BOOST_AUTO_TEST_CASE(groups_have_their_own_turn_and_are_forgotten) {
  Chooser chooser(3, 100);
  const dist::Group a = group_of(5, "a");
  const dist::Group b = group_of(5, "b");
  const std::vector<Standing> all(5, Standing::ready);
  const std::size_t first = *chooser.choose("t", "g", a, By{all});
  chooser.choose("t", "g", b, By{all});
  chooser.choose("t", "h", a, By{all});
  chooser.choose("u", "g", a, By{all});
  BOOST_CHECK_EQUAL(chooser.groups(), 4U);
  BOOST_CHECK_EQUAL(*chooser.choose("t", "g", a, By{all}), (first + 1) % 5);
  chooser.age();
  BOOST_CHECK_EQUAL(*chooser.choose("t", "g", a, By{all}), (first + 2) % 5);  // kept: in use
  BOOST_CHECK_EQUAL(chooser.groups(), 4U);
  chooser.age();
  BOOST_CHECK_EQUAL(chooser.groups(), 1U);
  for (int i = 0; i < 10'000; ++i) {
    chooser.choose("t", "g" + std::to_string(i), a, By{all});
    BOOST_REQUIRE_LE(chooser.groups(), 200U);
  }
}

BOOST_AUTO_TEST_CASE(members_that_come_and_go) {
  Chooser chooser(9);
  Random random(9);
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t size = random.between(1, 7);
    const dist::Group group = group_of(size);
    std::vector<Standing> standings;
    for (std::uint64_t k = 0; k < size; ++k) {
      standings.push_back(static_cast<Standing>(random.below(4)));
    }
    const auto chosen = chooser.choose("t", "g", group, By{standings});
    const Standing best = *std::min_element(standings.begin(), standings.end());
    BOOST_REQUIRE_EQUAL(chosen.has_value(), best != Standing::excluded);
    if (chosen) BOOST_REQUIRE(standings.at(*chosen) == best);
  }
}

BOOST_AUTO_TEST_CASE(fates) {
  constexpr QoS k0 = QoS::at_most_once, k1 = QoS::at_least_once, k2 = QoS::exactly_once;
  using enum Stage;
  using enum Setback;
  const struct {
    QoS qos;
    Stage stage;
    Setback setback;
    Fate want;
  } cases[] = {
      {k0, unsent, disconnected, Fate::redispatch},
      {k0, unsent, overflow, Fate::redispatch},
      {k0, sent, disconnected, Fate::discard},
      {k0, sent, session_ended, Fate::discard},
      {k1, unsent, disconnected, Fate::redispatch},
      {k1, unsent, session_ended, Fate::redispatch},
      {k1, unsent, unsubscribed, Fate::redispatch},
      {k1, sent, disconnected, Fate::keep},
      {k1, sent, unsubscribed, Fate::keep},  // [MQTT-3.10.4-3]
      {k1, sent, session_ended, Fate::redispatch},
      {k1, sent, rejected, Fate::discard},  // [MQTT-4.8.2-6]
      {k2, unsent, session_ended, Fate::redispatch},
      {k2, unsent, overflow, Fate::redispatch},
      {k2, sent, disconnected, Fate::keep},  // [MQTT-4.8.2-4]
      {k2, received, disconnected, Fate::keep},
      {k2, sent, unsubscribed, Fate::keep},
      {k2, sent, session_ended, Fate::discard},  // [MQTT-4.8.2-5]
      {k2, received, session_ended, Fate::discard},
      {k2, sent, rejected, Fate::discard},  // [MQTT-4.8.2-6]
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT("QoS " << int(c.qos) << " stage " << int(c.stage) << " setback "
                              << int(c.setback)) {
      BOOST_CHECK(fate_of(c.qos, c.stage, c.setback, 0) == c.want);
      const Fate last = fate_of(c.qos, c.stage, c.setback, kMaxRedispatches);
      BOOST_CHECK(last == (c.want == Fate::redispatch ? Fate::discard : c.want));
    }
  }
}

}  // namespace
}  // namespace skald::share
