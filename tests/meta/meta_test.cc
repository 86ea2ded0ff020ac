// Lives and settings: the machine, its codec, who ends lives and who carries that everywhere.
#define BOOST_TEST_MODULE meta
#include <boost/test/unit_test.hpp>

#include "config/base/random.h"
#include "kv/meta/codec.h"
#include "kv/meta/end_life_driver.h"
#include "kv/meta/life_holder.h"
#include "kv/meta/life_watch.h"
#include "kv/meta/state_machine.h"
#include "kv/range/machine.h"

namespace skald::meta {
namespace {

static_assert(range::StateMachine<StateMachine>);
using Served = range::MachineOf<StateMachine, Codec>;

/// A machine with the store that its writes would be in.
struct Meta {
  StateMachine machine;
  std::map<std::string, std::string> records;
  std::uint64_t index = 0;

  Reply apply(const Command& command) {
    range::ApplyContext context;
    context.index = ++index;
    context.stamp_us = 1000 + index;
    auto applied = machine.apply(context, command);
    for (const range::Write& write : applied.writes) {
      if (write.kind == range::Write::Kind::put) {
        records[write.key] = write.value;
      } else {
        records.erase(write.key);
      }
    }
    return applied.reply;
  }
  StateMachine rebuilt() const {
    StateMachine other;
    other.rebuild_start();
    for (const auto& [key, value] : records) {
      const range::Record record{key, value};
      BOOST_REQUIRE(other.rebuild_chunk({&record, 1}).ok());
    }
    other.rebuild_finish();
    return other;
  }
};

BOOST_AUTO_TEST_CASE(lives_are_granted_renewed_and_ended) {
  Meta m;
  const Life first = m.apply(GrantLife{NodeId{1}, 7, false}).life;
  BOOST_CHECK(m.apply(GrantLife{NodeId{1}, 7, false}).life == first);  // asked again
  BOOST_CHECK(m.apply(GrantLife{NodeId{1}, 8, false}).outcome == Outcome::kWait);
  BOOST_CHECK(m.machine.is_alive(first));
  BOOST_CHECK(m.apply(EndLife{first, m.index}).outcome == Outcome::kOk);
  const Life second = m.apply(GrantLife{NodeId{1}, 8, false}).life;
  BOOST_CHECK(second.number > first.number);
  BOOST_CHECK(m.apply(RenewLife{first}).outcome == Outcome::kEnded);
  BOOST_CHECK(m.apply(RenewLife{second}).outcome == Outcome::kOk);
  BOOST_CHECK(m.apply(EndLife{second, m.index - 1}).outcome == Outcome::kRenewed);
  BOOST_CHECK(m.machine.intents() == std::set<Life>{first});
  const Life third = m.apply(GrantLife{NodeId{1}, 9, true}).life;  // holds the directory's lock
  BOOST_CHECK(!m.machine.is_alive(second));
  BOOST_CHECK(m.apply(GrantLife{NodeId{1}, 5, true}).outcome == Outcome::kEnded);  // came late
  BOOST_CHECK(m.machine.is_alive(third));
  m.apply(IntentDone{first});
  BOOST_CHECK(m.machine.intents() == std::set<Life>{second});
  BOOST_CHECK(m.rebuilt().lives() == m.machine.lives());
  BOOST_CHECK(m.rebuilt().intents() == m.machine.intents());
  BOOST_CHECK(m.rebuilt().leader_started(1, 1) == m.machine.leader_started(1, 1));
}

BOOST_AUTO_TEST_CASE(settings_have_versions) {
  Meta m;
  const Reply set = m.apply(SetSetting{"a", "1", 0});
  BOOST_CHECK(set.outcome == Outcome::kOk && set.version != 0);
  BOOST_CHECK(m.apply(SetSetting{"a", "2", 0}).outcome == Outcome::kConflict);
  BOOST_CHECK(m.apply(SetSetting{"a", "2", set.version}).version > set.version);
  BOOST_CHECK(m.apply(SetSetting{"", "2", {}}).outcome == Outcome::kInvalid);
  BOOST_CHECK_EQUAL(m.rebuilt().settings().at("a").value, "2");
  BOOST_CHECK(m.apply(SetSetting{"a", {}, {}}).version == 0);
  BOOST_CHECK(m.rebuilt().settings().empty());
}

BOOST_AUTO_TEST_CASE(bytes_and_back) {
  const Life life{NodeId{1}, LifeNumber{2}};
  const Command commands[] = {
      GrantLife{NodeId{1}, 2, true}, RenewLife{life},        EndLife{life, 3}, IntentDone{life},
      SetSetting{"k", "v", 9},       SetSetting{"k", {}, {}}};
  Random random(1);
  for (const Command& command : commands) {
    const std::string bytes = Codec::encode_command(command);
    BOOST_CHECK(*Codec::decode_command(bytes) == command);
    BOOST_CHECK(!Codec::decode_command(bytes + "x").ok());
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      BOOST_CHECK(!Codec::decode_command(bytes.substr(0, cut)).ok());
    }
    for (int i = 0; i < 200; ++i) {
      std::string damaged = bytes;
      damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
      const auto read = Codec::decode_command(damaged);
      if (read.ok()) BOOST_CHECK(*Codec::decode_command(Codec::encode_command(*read)) == *read);
    }
  }
  const Reply reply{Outcome::kConflict, life, 5};
  BOOST_CHECK(*Codec::decode_reply(Codec::encode_reply(reply)) == reply);
  for (const Effect& effect :
       {Effect{LifeSeen{life, 4}}, Effect{EndIntent{life}}, Effect{SettingChanged{"k"}}}) {
    BOOST_CHECK(*Codec::decode_effect(Codec::encode_effect(effect)) == effect);
  }
  Served served;
  BOOST_CHECK(served.apply({}, "junk").ok() == false);
}

BOOST_AUTO_TEST_CASE(the_holder_stops_before_the_watch_ends_its_life) {
  LifeHolder holder(NodeId{1});
  BOOST_CHECK(!holder.tick(0));
  holder.begin(7, false);
  const auto grant = holder.tick(1'000'000);
  BOOST_REQUIRE(grant);
  const Life life{NodeId{1}, LifeNumber{5}};
  holder.tick(1'400'000);
  holder.on_reply(grant->number, {Outcome::kOk, life, 0});
  BOOST_CHECK_EQUAL(holder.until_us(), 1'000'000 + 2'970'000U);  // from the sending
  BOOST_CHECK(holder.state(3'969'999) == LifeHolder::State::kAlive);
  BOOST_CHECK(holder.state(3'970'000) == LifeHolder::State::kLapsed);
  LifeWatch watch;
  watch.on_seen({life, 1}, 1'000'000);  // no leader hears earlier than that
  BOOST_CHECK(watch.tick(4'029'999).empty());
  BOOST_CHECK(watch.tick(4'030'001).size() == 1);
  BOOST_CHECK(watch.tick(4'030'002).empty());
  BOOST_CHECK(watch.tick(4'530'001).size() == 1);  // until it is applied
  const auto renew = holder.tick(4'600'000);
  BOOST_REQUIRE(renew);
  holder.on_reply(renew->number, {Outcome::kOk, life, 0});  // it was not ended: it goes on
  BOOST_CHECK(holder.state(4'600'001) == LifeHolder::State::kAlive);
  const auto last = holder.tick(5'200'000);
  holder.on_reply(last->number, {Outcome::kEnded, life, 0});
  BOOST_CHECK(holder.state(5'200'001) == LifeHolder::State::kEnded);
  BOOST_CHECK(!holder.tick(9'000'000));
}

/// Heard out of order, the newest renewal counts: an end that names an older one is never taken.
BOOST_AUTO_TEST_CASE(the_watch_does_not_go_back) {
  const Life life{NodeId{1}, LifeNumber{5}};
  LifeWatch watch;
  watch.on_seen({life, 20}, 1'000'000);
  watch.on_seen({life, 19}, 1'500'000);
  BOOST_CHECK(watch.tick(4'029'999).empty());
  const auto due = watch.tick(4'030'001);
  BOOST_REQUIRE_EQUAL(due.size(), 1U);
  BOOST_CHECK_EQUAL(due[0].seen, 20U);
}

BOOST_AUTO_TEST_CASE(an_end_is_carried_to_every_key_also_over_a_split) {
  range::Descriptor whole;
  whole.id = RangeId{1};
  whole.epoch = {1, 1};
  route::RouteTable table;
  table.learn(whole);
  const EndLifeDriver::Tables tables{{0, &table}};
  const Life life{NodeId{1}, LifeNumber{2}};
  EndLifeDriver driver(100);
  driver.open(life);
  BOOST_CHECK_EQUAL(driver.tick(1000, tables).size(), 1U);
  BOOST_CHECK_EQUAL(driver.tick(1050, tables).size(), 0U);
  BOOST_CHECK_EQUAL(driver.tick(1100, tables).size(), 1U);
  // It was split before it applied the end: its answer is for the left half only.
  range::Descriptor left = whole;
  left.epoch.boundary_ver = 2;
  left.boundary.end = "m";
  range::Descriptor right = left;
  right.id = RangeId{2};
  right.boundary = {"m", std::nullopt};
  driver.on_done(life, 0, left.boundary);
  BOOST_CHECK(driver.complete(tables).empty());
  table.learn(left);
  table.learn(right);
  const auto sends = driver.tick(2000, tables);
  BOOST_REQUIRE_EQUAL(sends.size(), 1U);
  BOOST_CHECK(sends[0].range == RangeId{2});
  driver.on_done(life, 0, right.boundary);
  BOOST_CHECK(driver.complete(tables) == std::vector<Life>{life});
  driver.close(life);
  BOOST_CHECK(driver.complete(tables).empty());
}

BOOST_AUTO_TEST_CASE(covers_against_a_model) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed);
    KeyCover cover;
    std::set<char> model;
    for (int i = 0; i < 12; ++i) {
      const auto start = static_cast<char>(random.between('a', 'x'));
      const bool open = random.one_in(8);
      const auto end = static_cast<char>(open ? 'z' : random.between(start + 1U, 'y'));
      range::Boundary boundary{std::string(1, start), std::string(1, end)};
      if (open) boundary.end.reset();
      cover.add(boundary);
      for (char c = start; c < end; ++c) model.insert(c);
      const auto from = static_cast<char>(random.between('a', 'x'));
      const auto to = static_cast<char>(random.between(from + 1U, 'y'));
      bool all = true;
      for (char c = from; c < to; ++c) all = all && model.contains(c);
      BOOST_REQUIRE_EQUAL(cover.has({std::string(1, from), std::string(1, to)}), all);
    }
    cover.add({"", "a"});
    bool all = true;
    for (char c = 'a'; c < 'z'; ++c) all = all && model.contains(c);
    if (!all) BOOST_REQUIRE(!cover.whole());
    cover.add({"a", std::nullopt});
    BOOST_REQUIRE(cover.whole());
  }
}

}  // namespace
}  // namespace skald::meta
