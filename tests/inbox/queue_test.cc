// What a persistent session holds: subscriptions, publishes of its client, its queue.
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

Detach detach(Incarnation incarnation, Why why = Why::broken, Seq sent_up_to = 0) {
  return {kName, incarnation, why, {}, sent_up_to};
}

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

BOOST_AUTO_TEST_CASE(are_owed_their_retained_messages_until_they_are_fed) {
  Range range;
  Incarnation me = range(attach(60)).incarnation;
  const auto owed = [&range](const std::string& filter) {
    const auto state = range.machine.session_state(kName);
    for (const auto& [present, subscription] : state->subscriptions) {
      if (present == filter) return subscription.feed_owed;
    }
    throw std::runtime_error("no subscription " + filter);
  };
  const auto subscribe = [&](const std::string& filter, codec::RetainHandling handling) {
    codec::SubscriptionOptions options;
    options.retain_handling = handling;
    return range(Subscribe{kName, me, filter, options, 0}).incarnation;
  };
  const Incarnation first = subscribe("a", codec::RetainHandling::send);
  subscribe("$share/g/a", codec::RetainHandling::send);
  subscribe("never", codec::RetainHandling::do_not_send);
  const Incarnation once = subscribe("new", codec::RetainHandling::send_if_new);
  BOOST_TEST((owed("a") && owed("new")));
  BOOST_TEST((!owed("$share/g/a") && !owed("never")));

  // The connection went, and so did the node: who comes back is still owed both.
  range(detach(me, Why::broken, 0));
  BOOST_REQUIRE(rebuild(range.machine, {}, range.records).ok());
  me = range(attach(60)).incarnation;
  BOOST_TEST((owed("a") && owed("new")));

  range(Fed{kName, me, "new", once});
  BOOST_TEST(!owed("new"));
  subscribe("new", codec::RetainHandling::send_if_new);
  BOOST_TEST(!owed("new"));
  const Incarnation second = subscribe("a", codec::RetainHandling::do_not_send);
  range(Fed{kName, me, "a", first});  // of the subscription before
  BOOST_TEST(owed("a"));
  range(Fed{kName, me, "a", second});
  BOOST_TEST(!owed("a"));
  range(Fed{kName, me, "a", second});
  BOOST_TEST(range.last.writes.empty());
  range(Fed{kName, me, "gone", second});
  BOOST_TEST(range.last.writes.empty());
  BOOST_REQUIRE(rebuild(range.machine, {}, range.records).ok());
  BOOST_TEST((!owed("a") && !owed("new")));
}

BOOST_AUTO_TEST_CASE(publishes_of_the_client) {
  Range range;
  const Incarnation me = range(attach(60)).incarnation;
  BOOST_TEST((range.result(Accept{kName, me, 0, 1}) == Result::invalid));
  range(Accept{kName, me, 5, 100});
  range(Accept{kName, me, 5, 200});
  BOOST_TEST(range.last.writes.empty());
  range(HandedOut{kName, me, 5, 100});
  range(HandedOut{kName, me, 6, 1});
  range(Accept{kName, me, 7, 300});
  range(HandedOut{kName, me, 7, 299});
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

}  // namespace
}  // namespace skald::inbox
