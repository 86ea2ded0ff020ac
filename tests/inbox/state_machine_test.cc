// The rules of sessions, one by one.
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "mqtt/inbox/machine.h"
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
             Accept{kName, old, 1, 1}, HandedOut{kName, old, 1}, Release{kName, old, 1},
             Finish{kName, old, {1}}, Received{kName, old, 1}}) {
      BOOST_TEST((range.result(late) == Result::fenced));
      BOOST_TEST(range.last.writes.empty());
    }
    BOOST_TEST(range.usage().online == 1U);
    BOOST_TEST(range.usage().sessions == 1U);
  }
}

BOOST_AUTO_TEST_CASE(what_only_persistent_sessions_may_ask) {
  Range range;
  const Incarnation me = range(attach(0)).incarnation;
  for (const Operation& one : std::vector<Operation>{
           Subscribe{kName, me, "a", {}, 0}, Unsubscribe{kName, me, "a"}, Accept{kName, me, 1, 1},
           HandedOut{kName, me, 1}, Release{kName, me, 1}, Finish{kName, me, {1}},
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

BOOST_AUTO_TEST_SUITE(behind_bytes)

BOOST_AUTO_TEST_CASE(effects_are_taken_by_ticket_while_it_leads) {
  Machine machine;
  std::uint64_t stamp_us = kStart;
  const auto apply = [&machine, &stamp_us](const Command& command) {
    auto applied = machine.apply({.stamp_us = ++stamp_us, .lane = {}}, encode_command(command));
    BOOST_REQUIRE(applied.ok());
    return std::move(applied->effects);
  };
  Insert insert;
  insert.targets.push_back(
      {.name = kName, .subscription_ids = {}, .shared_group = {}, .shared_filter = {}});
  BOOST_TEST(apply({{}, {attach(60)}}).empty());
  BOOST_TEST(apply({{publication("1")}, {insert}}).empty());  // does not lead
  BOOST_TEST(machine.leader_started(1, stamp_us).empty());
  const auto two = apply({{publication("2")}, {insert, insert}});
  const auto three = apply({{publication("3")}, {insert}});
  const auto four = apply({{publication("4")}, {insert}});
  BOOST_REQUIRE_EQUAL(two.size(), 1);
  BOOST_TEST(machine.take(two[0].second).size() == 2U);
  BOOST_TEST(machine.take(two[0].second).empty());
  const auto last = machine.take(four[0].second);
  BOOST_REQUIRE_EQUAL(last.size(), 1);
  BOOST_TEST(std::get<Deliver>(last[0]).publication->payload() == "4");
  BOOST_TEST(machine.take(three[0].second).empty());
  const auto five = apply({{publication("5")}, {insert}});
  machine.leader_stopped();
  BOOST_TEST(machine.take(five[0].second).empty());
  BOOST_TEST(!machine.apply({.stamp_us = ++stamp_us, .lane = {}}, "x").ok());
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

BOOST_AUTO_TEST_SUITE(subscriptions)

BOOST_AUTO_TEST_CASE(come_and_go) {
  Range range;
  Attach mine = attach(60);
  mine.quota.max_subscriptions = 2;
  const Incarnation me = range(mine).incarnation;
  const OperationResult a = range(Subscribe{kName, me, "a", {}, 1});
  BOOST_TEST(!a.replaced);
  BOOST_TEST(a.incarnation > me);
  const OperationResult b = range(Subscribe{kName, me, "$share/g/b", {}, 2});
  BOOST_TEST((range.result(Subscribe{kName, me, "c", {}, 3}) == Result::full));
  const OperationResult again = range(Subscribe{kName, me, "a", {codec::QoS::exactly_once}, 7});
  BOOST_TEST(again.replaced);
  BOOST_TEST(again.incarnation > b.incarnation);
  const auto state = range.machine.session_state(kName);
  BOOST_REQUIRE_EQUAL(state->subscriptions.size(), 2);
  BOOST_TEST(state->subscriptions[0].first == "$share/g/b");
  BOOST_TEST(state->subscriptions[1].second.id == 7U);
  BOOST_TEST(state->subscriptions[1].second.incarnation == again.incarnation);
  BOOST_TEST((range.result(Unsubscribe{kName, me, "x"}) == Result::absent));
  range.apply(Unsubscribe{kName, me, "a"});
  BOOST_TEST(range.last.reply.results.empty());
  BOOST_TEST(range.usage().subscriptions == 1U);
}

BOOST_AUTO_TEST_CASE(publishes_of_the_client) {
  Range range;
  const Incarnation me = range(attach(60)).incarnation;
  BOOST_TEST((range.result(Accept{kName, me, 0, 1}) == Result::invalid));
  range(Accept{kName, me, 5, 100});
  range(Accept{kName, me, 5, 200});
  BOOST_TEST(range.last.writes.empty());
  range(HandedOut{kName, me, 5});
  range(HandedOut{kName, me, 6});
  range(Accept{kName, me, 7, 300});
  auto accepted = range.machine.session_state(kName)->accepted;
  BOOST_REQUIRE_EQUAL(accepted.size(), 2);
  BOOST_TEST(accepted[0].packet_id == 5);
  BOOST_TEST(accepted[0].sequence == 100U);
  BOOST_TEST(accepted[0].handed_out);
  BOOST_TEST(!accepted[1].handed_out);
  range(Release{kName, me, 5});
  range(Release{kName, me, 5});
  BOOST_TEST(range.last.reply.results.empty());
  BOOST_TEST(range.machine.session_state(kName)->accepted.size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(queues)

BOOST_AUTO_TEST_CASE(messages_reach_who_is_online) {
  Range range;
  const Incarnation me = range(attach(60)).incarnation;
  const Incarnation route = range(Subscribe{kName, me, "a", {}, 0}).incarnation;
  BOOST_TEST((range.insert(kName, publication("x"), false, false, 0, me - 1) == Result::no_inbox));
  BOOST_TEST((range.insert(kName, publication("y"), false, false, 0, route) == Result::done));
  const auto delivered = range.effects<Deliver>();
  BOOST_REQUIRE_EQUAL(delivered.size(), 1);
  BOOST_TEST((range.last.effects[0].first == range::EffectScope::leader_only));
  BOOST_TEST((delivered[0].owner == owner(1, 1)));
  BOOST_TEST(delivered[0].incarnation == me);
  BOOST_TEST(delivered[0].seq == 1U);
  BOOST_TEST(range.last.writes.size() == 1U);
  range(detach(me, Why::broken, 1));
  range.insert(kName, "z");
  BOOST_TEST(range.effects<Deliver>().empty());
  const auto state = range.machine.session_state(kName);
  BOOST_TEST(state->head == 1U);
  BOOST_TEST(state->last == 2U);
  BOOST_TEST(state->sent_up_to == 1U);
  BOOST_TEST(range.queue(kName) == "y z");
  BOOST_TEST((range.insert({"t", "nobody"}, "x") == Result::no_inbox));
  BOOST_TEST((range.insert(kName, publication("x", "other")) == Result::invalid));
}

BOOST_AUTO_TEST_CASE(acks_come_in_any_order_and_no_seq_comes_twice) {
  Range range;
  const Incarnation me = range(attach(60)).incarnation;
  for (const char* one : {"1", "2", "3", "4"}) range.insert(kName, one);
  range(Finish{kName, me, {2, 4, 9}});
  BOOST_TEST(range.queue(kName) == "1 3");
  range(Received{kName, me, 1});
  range(Received{kName, me, 1});
  range(Received{kName, me, 77});
  BOOST_TEST(range.queue(kName) == "3");
  auto state = range.machine.session_state(kName);
  BOOST_TEST(state->head == 3U);
  BOOST_TEST((state->received == std::vector<Seq>{1}));
  range(Finish{kName, me, {1, 3}});
  state = range.machine.session_state(kName);
  BOOST_TEST(state->received.empty());
  BOOST_TEST(state->head == 5U);
  StateMachine again;
  BOOST_REQUIRE(rebuild(again, {}, range.records).ok());
  BOOST_TEST(again.session_state(kName)->last == 4U);
  BOOST_TEST(range.usage().messages == 0U);
  BOOST_TEST(range.usage().bytes == 0U);
}

struct OverflowCase {
  Overflow overflow;
  bool online;
  Seq sent_up_to;
  std::uint32_t expired;  // of the three that fill it, this many at the front expire
  const char* queue;      // after a fourth
  Result result;
};

BOOST_AUTO_TEST_CASE(overflow) {
  const OverflowCase cases[] = {
      {Overflow::drop_newest, true, 0, 0, "1 2 3", Result::full},
      {Overflow::drop_oldest, true, 0, 0, "1 2 3", Result::full},
      {Overflow::drop_newest, false, 0, 0, "1 2 3", Result::full},
      {Overflow::drop_oldest, false, 0, 0, "2 3 4", Result::done},
      {Overflow::drop_oldest, false, 1, 0, "1 3 4", Result::done},
      {Overflow::drop_oldest, false, 3, 0, "1 2 3", Result::full},
      {Overflow::drop_newest, false, 0, 2, "2 3 4", Result::done},
      {Overflow::drop_newest, false, 1, 1, "1 2 3", Result::full},
      {Overflow::drop_newest, true, 0, 3, "1 2 3", Result::full},
  };
  for (const bool by_bytes : {false, true}) {
    for (const OverflowCase& one : cases) {
      Range range;
      Attach mine = attach(60);
      mine.quota.overflow = one.overflow;
      if (by_bytes) {
        mine.quota.max_bytes = 3 * message_bytes(*publication("1"));
      } else {
        mine.quota.max_messages = 3;
      }
      const Incarnation me = range(mine).incarnation;
      for (std::uint32_t i = 1; i <= 3; ++i) {
        mqtt::PublicationInfo info;
        if (i <= one.expired) info.expiry_ms = range.stamp_us / 1000 + 1000;
        BOOST_TEST(
            (range.insert(kName, publication(std::to_string(i), "t", info)) == Result::done));
      }
      if (!one.online) range(detach(me, Why::broken, one.sent_up_to));
      range.stamp_us += 2 * kSecond;
      BOOST_TEST((range.insert(kName, "4") == one.result));
      BOOST_TEST(range.queue(kName) == one.queue);
      const Usage usage = range.usage();
      const std::uint64_t dropped =
          usage.dropped_full + usage.dropped_oldest + usage.dropped_expired;
      BOOST_TEST(dropped == 4U - usage.messages);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_retained_feed_takes_no_room) {
  Range range;
  Attach mine = attach(60);
  mine.quota.max_messages = 2;
  mine.quota.overflow = Overflow::drop_oldest;
  const Incarnation me = range(mine).incarnation;
  for (const char* one : {"r1", "r2", "r3"}) range.insert(kName, publication(one), true);
  range.insert(kName, "1");
  range.insert(kName, "2");
  BOOST_TEST(range.queue(kName) == "r1 r2 r3 1 2");
  BOOST_TEST((range.insert(kName, "3") == Result::full));
  range(detach(me, Why::broken, 0));
  BOOST_TEST((range.insert(kName, "4") == Result::done));
  BOOST_TEST(range.queue(kName) == "r1 r2 r3 2 4");
}

BOOST_AUTO_TEST_CASE(what_is_expired_is_not_queued) {
  Range range;
  range(attach(60));
  const mqtt::PublicationInfo info = expiring(range.stamp_us / 1000 - 1);
  BOOST_TEST((range.insert(kName, publication("x", "t", info)) == Result::done));
  BOOST_TEST(range.queue(kName).empty());
  BOOST_TEST(range.usage().dropped_expired == 1U);
}

mqtt::PublicationRef from(std::uint64_t publisher, std::uint64_t sequence) {
  return publication(std::to_string(sequence), "t",
                     {.publisher = {life(publisher, 0), 1}, .sequence = sequence});
}

BOOST_AUTO_TEST_CASE(repetitions_are_dropped) {
  Range range;
  const Incarnation me = range(attach(60)).incarnation;
  range.insert(kName, from(1, 10), false, true, 10);
  range.insert(kName, from(1, 12), false, true, 10);
  range.insert(kName, from(1, 11), false, true, 10);  // late, and new
  range.insert(kName, from(2, 10), false, true, 10);
  BOOST_TEST(range.queue(kName) == "10 12 11 10");
  range(Finish{kName, me, {1, 2}});
  StateMachine again;
  BOOST_REQUIRE(rebuild(again, {}, range.records).ok());
  for (const std::uint64_t sequence : {10U, 11U, 12U}) {
    BOOST_TEST((range.insert(kName, from(1, sequence), false, true, 10) == Result::done));
    BOOST_TEST(range.last.writes.empty());
  }
  BOOST_TEST(range.usage().repeated == 3U);
  range.insert(kName, from(1, 13), false, true, 13);
  range.insert(kName, from(1, 9), false, true, 9);  // of a lane that has been overtaken
  BOOST_TEST(range.queue(kName) == "11 10 13");
  range.insert(kName, from(1, 13), false, false, 0);  // not said to be one that may repeat
  BOOST_TEST(range.queue(kName) == "11 10 13 13");
}

BOOST_AUTO_TEST_CASE(what_is_remembered_of_publishers_is_bounded) {
  Range range;
  Attach mine = attach(60);
  mine.quota.max_messages = 1'000'000;
  range(mine);
  for (std::uint64_t i = 0; i < kMaxPublishers + 5; ++i) {
    range.insert(kName, from(i + 1, 1), false, true, 0);
  }
  BOOST_TEST(range.usage().forgotten_repeats == 5U);
  const auto size = range.usage().messages;
  range.insert(kName, from(1, 1), false, true, 0);  // forgotten: comes twice
  range.insert(kName, from(200, 1), false, true, 0);
  BOOST_TEST(range.usage().messages == size + 1);
  for (std::uint64_t i = 2; i <= kMaxSeenSequences + 3; ++i) {
    range.insert(kName, from(200, i), false, true, 0);
  }
  BOOST_TEST(range.usage().forgotten_repeats == 6U + 3U);
  StateMachine again;
  BOOST_REQUIRE(rebuild(again, {}, range.records).ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::inbox
