// The rules of sessions: who has one, wills, ends.
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "tests/inbox/harness.h"

namespace skald::inbox {
namespace {

using Why = Detach::Why;

const Name kName{"t", "c"};

Attach attach(std::uint32_t expiry_s, std::uint64_t session = 1) {
  Attach one;
  one.name = kName;
  one.owner = owner(1, session);
  one.expiry_s = expiry_s;
  return one;
}

Attach with_will(Attach one, std::string_view payload, std::uint32_t delay_s = 0) {
  one.will = will(payload, delay_s);
  return one;
}

Attach clean(Attach one) {
  one.clean_start = true;
  return one;
}

Detach detach(Incarnation incarnation, Why why = Why::broken, Seq sent_up_to = 0) {
  return {kName, incarnation, why, {}, sent_up_to};
}

BOOST_AUTO_TEST_SUITE(attaching)

BOOST_AUTO_TEST_CASE(a_session_is_present_when_it_outlived_its_connection) {
  struct {
    std::uint32_t expiry_s;
    bool clean;
    std::uint64_t away_s;
    bool present;
  } const cases[] = {
      {60, false, 59, true},
      {60, false, 61, false},
      {60, true, 1, false},
      {0, false, 0, false},
      {kNeverExpires, false, 1'000'000'000, true},
  };
  for (const auto& one : cases) {
    Range range;
    const OperationResult first = range(attach(one.expiry_s));
    BOOST_TEST(!first.session_present);
    BOOST_TEST(first.birth == first.incarnation);
    BOOST_TEST(!first.previous.has_value());
    range(detach(first.incarnation));
    range.wait(one.away_s);
    const OperationResult second = range(one.clean ? clean(attach(60)) : attach(60));
    BOOST_TEST(second.session_present == one.present);
    BOOST_TEST((second.birth == first.birth) == one.present);
    BOOST_TEST(second.incarnation > first.incarnation);
  }
}

BOOST_AUTO_TEST_CASE(taking_over_fences_at_once) {
  for (const std::uint32_t expiry_s : {0U, 60U}) {
    Range range;
    const OperationResult first = range(attach(expiry_s, 1));
    Attach taker = attach(expiry_s, 2);
    taker.owner = owner(2, 2);
    const OperationResult second = range(taker);
    BOOST_TEST(second.session_present == (expiry_s > 0));
    BOOST_TEST((second.previous == owner(1, 1)));
    const auto evicted = range.effects<Evict>();
    BOOST_REQUIRE_EQUAL(evicted.size(), 1);
    BOOST_TEST((evicted[0].owner == owner(1, 1)));
    BOOST_TEST((evicted[0].to == owner(2, 2)));
    BOOST_TEST((range.machine.owner(kName) == owner(2, 2)));
    const Incarnation old = first.incarnation;
    for (const Operation& late : std::vector<Operation>{
             detach(old), Subscribe{kName, old, "a", {}, 0}, Unsubscribe{kName, old, "a"},
             Accept{kName, old, 1, 1}, Release{kName, old, 1}, Received{kName, old, 1}}) {
      BOOST_TEST((range.result(late) == Result::fenced));
      BOOST_TEST(range.last.writes.empty());
    }
    BOOST_TEST(range.usage().online == 1U);
    BOOST_TEST(range.usage().sessions == 1U);
  }
}

/// A tenant without room: what is there goes on and may begin anew, what is new is refused before
/// anything has changed.
BOOST_AUTO_TEST_CASE(totals_of_a_tenant) {
  Range range;
  const auto without_room = [](Attach one) {
    one.may_begin = false;
    return one;
  };
  BOOST_TEST((range.result(without_room(attach(60))) == Result::over_total));
  BOOST_TEST(range.records.empty());
  BOOST_TEST((range.result(without_room(attach(0, 7))) == Result::done));  // ends by itself
  BOOST_TEST((range.result(without_room(attach(60))) == Result::over_total));
  BOOST_TEST((range.machine.owner(kName) == owner(1, 7)));
  BOOST_TEST(range.usage().persistent == 0U);
  BOOST_TEST((range.result(attach(60)) == Result::done));
  BOOST_TEST(range(without_room(attach(60))).session_present);
  const Incarnation me = range(clean(without_room(attach(60)))).incarnation;
  BOOST_TEST(range.usage().persistent == 1U);

  const auto subscribe = [me](const char* filter, bool may_add) {
    return Subscribe{kName, me, filter, {}, 0, may_add};
  };
  BOOST_TEST((range.result(subscribe("a", false)) == Result::over_total));
  BOOST_TEST((range.result(subscribe("a", true)) == Result::done));
  BOOST_TEST(range(subscribe("a", false)).replaced);
  BOOST_TEST((range.result(subscribe("$share/g/a", true)) == Result::done));
  BOOST_TEST(range.usage().subscriptions == 2U);
  BOOST_TEST(range.usage().shared == 1U);

  Insert insert{.has_room = false, .targets = {}};
  insert.targets.push_back(
      {.name = kName, .subscription_ids = {}, .shared_group = {}, .shared_filter = {}});
  range.apply(Command{.publications = {publication("x")}, .operations = {insert}});
  BOOST_TEST((range.last.reply.results.at(0).result == Result::full));
  BOOST_TEST(range.usage().dropped_full == 1U);
  BOOST_TEST(range.queue(kName).empty());

  range(Unsubscribe{kName, me, "$share/g/a"});
  BOOST_TEST(range.usage().shared == 0U);
  BOOST_TEST((range.result(subscribe("$share/g/b", true)) == Result::done));
  range(Detach{kName, me, Why::clean, 0, 0});
  BOOST_TEST(range.usage().persistent == 0U);
  BOOST_TEST(range.usage().subscriptions == 0U);
  BOOST_TEST(range.usage().shared == 0U);
}

BOOST_AUTO_TEST_CASE(what_only_persistent_sessions_may_ask) {
  Range range;
  const Incarnation me = range(attach(0)).incarnation;
  for (const Operation& one : std::vector<Operation>{
           Subscribe{kName, me, "a", {}, 0}, Unsubscribe{kName, me, "a"}, Accept{kName, me, 1, 1},
           HandedOut{kName, me, 1, 1}, Release{kName, me, 1}, Finish{kName, me, {1}},
           Received{kName, me, 1}}) {
    BOOST_TEST((range.result(one) == Result::invalid));
  }
  BOOST_TEST((range.insert(kName, "x") == Result::no_inbox));
  BOOST_TEST(!range.machine.session_state(kName).has_value());
  range(detach(me));
  BOOST_TEST(range.records.empty());
}

BOOST_AUTO_TEST_CASE(sessions_of_another_user) {
  for (const bool online : {true, false}) {
    for (const std::uint32_t expiry_s : {0U, 60U}) {
      Range range;
      Attach mine = with_will(attach(expiry_s), "w", 50);
      mine.user = "me";
      const Incarnation first = range(mine).incarnation;
      if (expiry_s > 0) range(Subscribe{kName, first, "a", {}, 0});
      if (!online) range(detach(first));
      Attach other = attach(60, 2);
      other.user = "other";
      const bool exists = online || expiry_s > 0;
      BOOST_TEST((range.result(other) == (exists ? Result::foreign : Result::done)));
      if (!exists) continue;
      BOOST_TEST(range.last.writes.empty());
      other.take_from_others = true;
      const OperationResult taken = range(other);
      BOOST_TEST(!taken.session_present);
      BOOST_TEST(taken.previous.has_value() == online);
      BOOST_TEST(range.wills() == "w");
      BOOST_TEST(range.effects<PublishWill>()[0].user == "me");
      BOOST_TEST(range.effects<RemoveRoutes>().size() == (expiry_s > 0 ? 1U : 0U));
      BOOST_TEST(range.machine.session_state(kName)->subscriptions.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(what_makes_no_sense_is_refused) {
  Range range;
  Attach nobody = attach(60);
  nobody.name.client_id.clear();
  BOOST_TEST((range.result(nobody) == Result::invalid));
  Attach dead = attach(60);
  dead.owner.life = {};
  BOOST_TEST((range.result(dead) == Result::invalid));
  const Command foreign{{}, {attach(60)}};
  const auto refused =
      range.machine.apply({.stamp_us = kStart + 50, .lane = {.life = life(2)}}, foreign);
  BOOST_TEST((refused.reply.results[0].result == Result::invalid));
  BOOST_TEST(range.machine.invalid_operations() == 3U);
  range.machine.boundary_changed({.start = "\xff\xff", .end = {}});
  BOOST_TEST((range.result(attach(60)) == Result::wrong_range));
  BOOST_TEST((range.insert(kName, "x") == Result::wrong_range));
}

BOOST_AUTO_TEST_CASE(numbers_grow_and_never_run_over) {
  Range range;
  Command storm;
  for (std::uint64_t i = 0; i < 5000; ++i) storm.operations.emplace_back(attach(60, i + 1));
  range.apply(storm);
  Incarnation before = 0;
  std::size_t refused = 0;
  for (const OperationResult& one : range.last.reply.results) {
    if (one.result == Result::invalid) ++refused;
    if (one.result != Result::done) continue;
    BOOST_REQUIRE(one.incarnation > before);
    before = one.incarnation;
  }
  BOOST_TEST(refused > 0U);
  BOOST_TEST(refused <= 5000 - kMaxLifecycleOperations);
  BOOST_TEST(range(attach(60)).incarnation > before);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(wills)

BOOST_AUTO_TEST_CASE(when_a_connection_ends) {
  struct {
    std::uint32_t expiry_s;
    std::uint32_t delay_s;
    Why why;
    std::uint64_t before_s;  // seconds after which it is not yet published, and the session stays
    std::uint64_t at_s;      // and after which it is; ~0: never
  } const cases[] = {
      {0, 0, Why::broken, 0, 0},       {0, 100, Why::broken, 0, 0},
      {60, 0, Why::broken, 0, 0},      {60, 20, Why::broken, 19, 21},
      {60, 100, Why::broken, 59, 61},  {kNeverExpires, 1000, Why::broken, 999, 1001},
      {60, 20, Why::clean, 59, ~0ULL}, {0, 0, Why::clean, 0, ~0ULL},
      {0, 0, Why::drain, 29, 31},      {60, 0, Why::drain, 29, 31},
      {60, 50, Why::drain, 49, 51},    {10, 50, Why::drain, 29, 31},
  };
  for (const auto& one : cases) {
    Range range;
    Attach mine = with_will(attach(one.expiry_s), "w", one.delay_s);
    mine.user = "me";
    const OperationResult attached = range(mine);
    range(detach(attached.incarnation, one.why));
    std::string published = range.wills();
    if (one.before_s > 0) {
      BOOST_TEST(published.empty());
      range.wait(one.before_s);
      BOOST_TEST(range.wills().empty());
    }
    if (one.at_s != ~0ULL) {
      if (one.at_s > 0) {
        range.wait(one.at_s - one.before_s);
        published = range.wills();
      }
      BOOST_TEST(published == "w");
      const auto intents = range.effects<PublishWill>();
      BOOST_REQUIRE_EQUAL(intents.size(), 1);
      BOOST_TEST(intents[0].user == "me");
      const mqtt::PublicationInfo& info = intents[0].publication->info();
      BOOST_TEST((info.publisher == mqtt::persistent_publisher("t", "c", attached.birth)));
      BOOST_TEST(info.sequence > attached.incarnation);
      BOOST_TEST(info.stamp_ms == range.stamp_us / 1000);
    }
    if (one.expiry_s != kNeverExpires) {
      range.wait(1000);
      BOOST_TEST(range.wills().empty());
      BOOST_TEST(range.usage().sessions == 0U);
    }
  }
}

BOOST_AUTO_TEST_CASE(when_the_client_comes_back) {
  enum class Before { online, broken, drained };
  struct {
    Before before;
    std::uint32_t expiry_s;
    std::uint32_t delay_s;
    bool clean;
    bool published;
  } const cases[] = {
      // [MQTT-3.1.4-3]: the server closes the connection before without a DISCONNECT from it.
      {Before::online, 60, 0, false, true},   {Before::online, 60, 20, false, false},
      {Before::online, 60, 20, true, true},   {Before::online, 0, 20, false, true},
      {Before::broken, 60, 20, false, false}, {Before::broken, 60, 20, true, true},
      {Before::drained, 60, 0, false, false}, {Before::drained, 60, 0, true, false},
      {Before::drained, 0, 0, false, false},
  };
  for (const auto& one : cases) {
    Range range;
    const Incarnation me = range(with_will(attach(one.expiry_s), "w", one.delay_s)).incarnation;
    if (one.before == Before::broken) range(detach(me));
    if (one.before == Before::drained) range(detach(me, Why::drain));
    Attach again = attach(60, 2);
    again.clean_start = one.clean;
    range(again);
    BOOST_TEST(range.wills() == (one.published ? "w" : ""));
    range.wait(10'000);
    BOOST_TEST(range.wills().empty());
    BOOST_TEST(range.usage().wills == (one.published ? 1U : 0U));
  }
}

BOOST_AUTO_TEST_CASE(its_message_expires_from_when_it_is_published) {
  Range range;
  Attach mine = attach(0);
  mine.will = Will{.publication = publication("w", "t", expiring(5000)), .delay_s = 0};
  const Incarnation me = range(mine).incarnation;
  range(detach(me));
  const mqtt::PublicationInfo info = range.effects<PublishWill>().at(0).publication->info();
  BOOST_TEST(info.expiry_ms == info.stamp_ms + 5000);
}

BOOST_AUTO_TEST_CASE(disconnect_changes_the_expiry) {
  Range range;
  const Incarnation me = range(with_will(attach(60), "w", 20)).incarnation;
  Detach ends = detach(me);
  ends.expiry_s = 0;
  range(ends);
  BOOST_TEST(range.wills() == "w");
  BOOST_TEST(range.usage().sessions == 0U);
}

BOOST_AUTO_TEST_CASE(intents_are_repeated_until_done) {
  Range range;
  const Incarnation me = range(with_will(attach(60), "w")).incarnation;
  range(Subscribe{kName, me, "a", {}, 0});
  const Incarnation route = range.last.reply.results[0].incarnation;
  Detach ends = detach(me);
  ends.expiry_s = 0;
  range(ends);
  const auto effects = range.last.effects;
  BOOST_REQUIRE_EQUAL(effects.size(), 2);
  BOOST_TEST((effects[0].first == range::EffectScope::outbox));
  StateMachine again;
  BOOST_REQUIRE(rebuild(again, {}, range.records).ok());
  for (StateMachine* machine : {&range.machine, &again}) {
    const auto outbox = machine->leader_started(1, range.stamp_us);
    BOOST_REQUIRE_EQUAL(outbox.size(), 2);
    const auto& published = std::get<PublishWill>(outbox[0].second);
    BOOST_TEST((published.name == kName));
    BOOST_TEST(published.publication->payload() == "w");
    const auto& remove = std::get<RemoveRoutes>(outbox[1].second);
    BOOST_TEST((remove.name == kName));
    BOOST_REQUIRE_EQUAL(remove.routes.size(), 1);
    BOOST_TEST(remove.routes[0].filter == "a");
    BOOST_TEST(remove.routes[0].incarnation == route);
  }
  const std::uint64_t first = std::get<PublishWill>(effects[0].second).intent;
  const std::uint64_t second = std::get<RemoveRoutes>(effects[1].second).intent;
  range(OutboxDone{{first, 12345}});
  BOOST_TEST(range.machine.leader_started(1, 0).size() == 1U);
  range(OutboxDone{{first, second}});
  BOOST_TEST(range.machine.leader_started(1, 0).empty());
  BOOST_TEST(range.records.empty());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(lives)

Name name_of_number(int i) { return {"t", "c" + std::to_string(i)}; }

BOOST_AUTO_TEST_CASE(an_ended_life_is_swept_in_slices) {
  Range range;
  for (int i = 0; i < 300; ++i) {
    Attach one = with_will(attach(i % 2 == 0 ? 0 : 60), "w" + std::to_string(i));
    one.name = name_of_number(i);
    one.owner = {.life = life(1, static_cast<std::uint64_t>(i % 3 + 1)),
                 .session = static_cast<std::uint64_t>(i)};
    range(one);
  }
  BOOST_TEST(!range.machine.next_due_us().has_value());
  const auto writes = range.apply(EndLife{life(1, 2)}).writes.size();
  BOOST_TEST(writes > 0U);
  BOOST_TEST(range.apply(EndLife{life(1, 2)}).writes.empty());
  BOOST_TEST(*range.machine.next_due_us() == 0U);
  std::size_t wills = 0;
  std::size_t ticks = 0;
  std::unique_ptr<StateMachine> other;
  for (; range.machine.next_due_us() == 0U; ++ticks) {
    if (ticks % 5 == 0) {
      other = std::make_unique<StateMachine>();
      BOOST_REQUIRE(rebuild(*other, {}, range.records).ok());
    }
    const Command tick{{}, {Tick{.limit = 10}}};
    const auto same = other->apply({.stamp_us = range.stamp_us + 1, .lane = {}}, tick);
    range.apply(tick);
    BOOST_REQUIRE((same.writes == range.last.writes));
    wills += range.effects<PublishWill>().size();
    BOOST_REQUIRE(range.effects<PublishWill>().size() <= 10);
  }
  BOOST_TEST(wills == 200U);
  BOOST_TEST(ticks > 20U);
  BOOST_TEST(range.usage().online == 100U);
  BOOST_TEST(range.usage().sessions == 200U);
  range.wait(61);
  BOOST_TEST(range.usage().sessions == 100U);
  for (const auto& [key, value] : range.records) BOOST_REQUIRE(!parse_key(key)->is_ended_life);
}

BOOST_AUTO_TEST_CASE(who_comes_before_the_sweep_sees_it_as_done) {
  for (const std::uint32_t expiry_s : {0U, 60U}) {
    Range range;
    range(with_will(attach(expiry_s), "w"));
    range(EndLife{life(1)});
    Attach again = attach(60);
    again.owner = owner(2, 5);
    const OperationResult result = range(again);
    BOOST_TEST(result.session_present == (expiry_s > 0));
    BOOST_TEST(!result.previous.has_value());
    BOOST_TEST(range.effects<Evict>().empty());
    BOOST_TEST(range.wills() == "w");
    range.tick();
    BOOST_TEST((range.machine.owner(kName) == owner(2, 5)));
    BOOST_TEST(range.usage().online == 1U);
  }
}

BOOST_AUTO_TEST_CASE(what_comes_before_the_sweep_was_never_sent) {
  Range range;
  range(attach(60));
  range.insert(kName, "sent, perhaps");
  range(EndLife{life(1)});
  range.insert(kName, "not sent");
  BOOST_TEST(range.effects<Deliver>().empty());
  range.tick();
  BOOST_TEST(range.machine.session_state(kName)->last == 2U);
  BOOST_TEST(range.machine.session_state(kName)->sent_up_to == 1U);
}

BOOST_AUTO_TEST_CASE(deadlines_count_from_the_end_of_the_life) {
  Range range;
  range(with_will(attach(60), "w", 20));
  range.insert(kName, "a");
  range(EndLife{life(1)});
  range.stamp_us += 21 * kSecond;
  range.tick();
  BOOST_TEST(range.wills() == "w");
  BOOST_TEST(range.machine.session_state(kName)->sent_up_to == 1U);
  range.wait(40);
  BOOST_TEST(!range.machine.session_state(kName).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::inbox
