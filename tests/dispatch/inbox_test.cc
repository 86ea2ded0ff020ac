// Persistent sessions as receivers, case by case: which inboxes get what, who waits for them, and
// what becomes of it when one refuses. With them the memory of what was fed.
#include <boost/test/unit_test.hpp>

#include "tests/dispatch/node.h"

namespace skald::dispatch {
namespace {

using codec::QoS;
using session::testing::connect_of;
using session::testing::Lines;
using session::testing::Message;
using session::testing::Publish;
using testing::Client;
using testing::Node;

constexpr QoS kQoS0 = QoS::at_most_once;
constexpr QoS kQoS1 = QoS::at_least_once;
constexpr QoS kQoS2 = QoS::exactly_once;
constexpr Life kLife{NodeId{1}, LifeNumber{1}};

std::string text_of(const InboxTarget& target) {
  std::string text = std::string(target.client_id) + " r" + std::to_string(target.route) + " q" +
                     std::to_string(static_cast<int>(target.qos));
  if (target.retain) text += " retain";
  for (const std::uint32_t id : target.subscription_ids) text += " #" + std::to_string(id);
  if (target.shared != nullptr) text += " of " + target.shared->group->group;
  return text;
}

Lines texts(const std::vector<InboxDelivery>& deliveries) {
  Lines lines;
  for (const InboxDelivery& delivery : deliveries) {
    delivery.for_each([&lines](const InboxTarget& target) { lines.push_back(text_of(target)); });
  }
  return lines;
}

struct World {
  World() : node({.loops = 1}) {
    node.on_message = [this](Client&, const Message& message) {
      got.push_back(session::testing::text_of(message));
    };
    node.on_inbox = [this](const InboxTarget& target, const mqtt::Publication& publication) {
      if (full.contains(std::string(target.client_id))) return false;
      got.push_back(text_of(target) + " " + std::string(publication.topic()));
      return true;
    };
  }
  void add(const std::string& filter, dist::Receiver receiver) {
    BOOST_REQUIRE(node.change_route(dist::RouteChange::Kind::add,
                                    {"t", filter, std::move(receiver)}) == dist::RouteResult::done);
  }
  void add_member(const std::string& name, bool online, QoS qos = kQoS1) {
    dist::InboxMember member{{name, 1, qos}, online ? kLife : Life{}, 1};
    member.inbox.subscription_id = 4;
    add("a", dist::GroupReceiver{"g", member});
  }
  Client& client() { return node.connect(0, connect_of(codec::Version::v5)); }
  /// Straight into the core.
  PublishResult publish(const std::string& topic, QoS qos, bool retain = false,
                        mqtt::Publisher publisher = {}) {
    node.settle();
    mqtt::PublicationView publication;
    publication.tenant = "t";
    publication.topic = topic;
    publication.info.qos = qos;
    publication.info.retain = retain;
    publication.info.publisher = publisher;
    if (publisher == mqtt::Publisher{}) publication.info.publisher = {kLife, 1};
    Dispatch& dispatch = node.loop(0).dispatch;
    // What a burst begins with.
    Client& any = node.clients().empty() ? client() : *node.clients().front();
    node.read(any, 0);
    const PublishResult result = dispatch.publish(publication, nullptr, node.now_ms());
    inserts = texts(dispatch.inserts());
    if (result.pending) dispatch.inserts().back().tag = 77;
    last = dispatch.take_inserts();
    unlogged = texts(dispatch.take_unlogged());
    return result;
  }

  Node node;
  Lines got;
  Lines inserts, unlogged;  // of the last publish()
  std::vector<InboxDelivery> last;
  std::set<std::string> full;
};

BOOST_AUTO_TEST_SUITE(inboxes)

BOOST_AUTO_TEST_CASE(who_gets_what) {
  World world;
  world.add("a/b", dist::InboxReceiver{"c", 5, kQoS2, false, false, 7});
  world.add("a/+", dist::InboxReceiver{"c", 3, kQoS1, true, false, 0});
  world.add("#", dist::InboxReceiver{"d", 9, kQoS0, false, false, 8});
  PublishResult result = world.publish("a/b", kQoS2, true);
  BOOST_TEST(result.matched);
  BOOST_TEST(result.pending);
  BOOST_TEST(world.inserts == Lines{"c r5 q2 retain #7"});
  BOOST_TEST(world.unlogged == Lines{"d r9 q0 #8"});
  result = world.publish("a/c", kQoS2);
  BOOST_TEST(result.pending);
  BOOST_TEST(world.inserts == Lines{"c r3 q1"});
  result = world.publish("a/b", kQoS0);
  BOOST_TEST(result.matched);
  BOOST_TEST(!result.pending);
  BOOST_TEST(world.inserts.empty());
  BOOST_TEST(world.unlogged == (Lines{"c r5 q0 #7", "d r9 q0 #8"}));
  result = world.publish("x", kQoS1);
  BOOST_TEST(!result.pending);
  BOOST_TEST(world.unlogged == Lines{"d r9 q0 #8"});
  BOOST_TEST(!world.publish("$x", kQoS1).matched);
}

BOOST_AUTO_TEST_CASE(no_local) {
  World world;
  world.add("a", dist::InboxReceiver{"c", 5, kQoS2, false, true, 7});
  world.add("b", dist::InboxReceiver{"c", 5, kQoS2, false, true, 7});
  world.add("#", dist::InboxReceiver{"d", 5, kQoS1, false, true, 0});
  world.add("b", dist::InboxReceiver{"d", 6, kQoS0, false, false, 2});
  const auto c = mqtt::persistent_publisher("t", "c", 5);
  const auto d = mqtt::persistent_publisher("t", "d", 1);
  world.publish("a", kQoS2, false, c);
  BOOST_TEST(world.inserts == Lines{"d r5 q1"});
  world.publish("a", kQoS2, false, d);
  BOOST_TEST(world.inserts == Lines{"c r5 q2 #7"});
  // Another subscription of its own without No Local: that one counts, with its own marks.
  BOOST_TEST(world.publish("b", kQoS2, false, d).pending);
  BOOST_TEST(world.inserts == Lines{"c r5 q2 #7"});
  BOOST_TEST(world.unlogged == Lines{"d r6 q0 #2"});
  world.publish("b", kQoS2, false, mqtt::persistent_publisher("u", "d", 1));
  BOOST_TEST(world.inserts == (Lines{"c r5 q2 #7", "d r6 q1 #2"}));
  // Nobody else there: a subscription matches, but nobody waits.
  const PublishResult result = world.publish("z", kQoS2, false, d);
  BOOST_TEST(result.matched);
  BOOST_TEST(!result.pending);
  BOOST_TEST(world.unlogged.empty());
}

BOOST_AUTO_TEST_CASE(lists_outlive_routes_and_cache) {
  World world;
  world.add("a", dist::InboxReceiver{"some client with a long name", 5, kQoS1, false, false, 7});
  world.publish("a", kQoS1);
  world.node.change_route(
      dist::RouteChange::Kind::remove,
      {"t", "a", dist::InboxReceiver{"some client with a long name", 5, kQoS1}});
  const std::vector<InboxDelivery> kept = std::move(world.last);
  for (int i = 0; i < 20; ++i) world.publish("b" + std::to_string(i), kQoS1);
  BOOST_TEST(!world.publish("a", kQoS1).matched);
  BOOST_TEST(texts(kept) == Lines{"some client with a long name r5 q1 #7"});
  BOOST_TEST(kept[0].tag == 77U);
}

/// The ack leaves when the inboxes have it, and holds back what is behind it.
BOOST_AUTO_TEST_CASE(the_ack_waits) {
  World world;
  world.add("a", dist::InboxReceiver{"c", 5, kQoS2, false, false, 0});
  Client& source = world.client();
  Client& sink = world.client();
  sink.subscribe("#", {.qos = kQoS1});
  world.node.settle();
  world.node.inboxes_stopped = true;
  source.write(Publish{.topic = "a", .qos = kQoS1});
  source.write(Publish{.topic = "b", .qos = kQoS1});
  world.node.settle();
  BOOST_TEST(source.open.size() == 2U);
  BOOST_TEST(world.got == (Lines{"PUBLISH q1 #1 a=x", "PUBLISH q1 #2 b=x"}));
  world.node.inboxes_stopped = false;
  world.node.settle();
  BOOST_TEST(source.open.empty());
  BOOST_TEST(world.got.back() == "c r5 q1 a");
  BOOST_TEST(world.node.unrest() == "");
}

BOOST_AUTO_TEST_CASE(members_of_groups) {
  World world;
  world.add_member("off", false);
  world.publish("a", kQoS2);
  BOOST_TEST(world.inserts == Lines{"off r1 q1 #4 of g"});
  world.add_member("one", true);
  world.add_member("two", true, kQoS0);
  std::map<std::string, int> chosen;
  for (int i = 0; i < 10; ++i) {
    const PublishResult result = world.publish("a", kQoS1);
    BOOST_TEST(result.pending == !world.inserts.empty());
    for (const std::string& text : world.inserts) ++chosen[text];
    for (const std::string& text : world.unlogged) ++chosen[text];
  }
  const std::map<std::string, int> want{{"one r1 q1 #4 of g", 5}, {"two r1 q0 #4 of g", 5}};
  BOOST_TEST((chosen == want));
  // Refused: another one, that is not offline unless there is no other.
  const auto refuse = [&](const std::vector<InboxDelivery>& deliveries) {
    SharedInbox refused;
    deliveries.at(0).for_each([&](const InboxTarget& target) { refused = *target.shared; });
    Dispatch& dispatch = world.node.loop(0).dispatch;
    const PublishResult result =
        dispatch.redispatch(deliveries.at(0).publication, refused, world.node.now_ms());
    world.inserts = texts(dispatch.inserts());
    world.last = dispatch.take_inserts();
    world.unlogged = texts(dispatch.take_unlogged());
    return result;
  };
  while (world.inserts != Lines{"one r1 q1 #4 of g"}) world.publish("a", kQoS1);
  PublishResult result = refuse(world.last);
  BOOST_TEST(result.matched);
  BOOST_TEST(!result.pending);
  BOOST_TEST(world.unlogged == Lines{"two r1 q0 #4 of g"});
  const Lines empty;
  for (const char* name : {"one", "two"}) {
    const dist::InboxMember member{{name, 1, kQoS1}, {}, 1};
    world.node.change_route(dist::RouteChange::Kind::remove,
                            {"t", "a", dist::GroupReceiver{"g", member}});
  }
  BOOST_TEST(world.publish("a", kQoS1).pending);
  result = refuse(world.last);
  BOOST_TEST(!result.matched);
  BOOST_TEST(world.inserts == empty);
}

/// A full inbox: the message goes to the other member, and the ack waits for that one too.
BOOST_AUTO_TEST_CASE(refused_by_an_inbox) {
  World world;
  world.add_member("one", true);
  world.add_member("two", true);
  world.full = {"one"};
  Client& source = world.client();
  for (int i = 0; i < 6; ++i) source.write(Publish{.topic = "a", .qos = kQoS1});
  world.node.settle();
  BOOST_TEST(source.open.empty());
  BOOST_TEST(world.got == Lines(6, "two r1 q1 #4 of g a"));
  // All full: gone round often enough, dropped, acked.
  world.full = {"one", "two"};
  source.write(Publish{.topic = "a", .qos = kQoS1});
  world.node.settle();
  BOOST_TEST(source.open.empty());
  BOOST_TEST(world.got.size() == 6U);
  BOOST_TEST(world.node.loop(0).dispatch.counters().shared_undeliverable == 1U);
}

/// A transient member that ends leaves its message to a persistent one.
BOOST_AUTO_TEST_CASE(from_a_session_to_an_inbox) {
  World world;
  Client& source = world.client();
  Client& member = world.client();
  member.subscribe("$share/g/a", {.qos = kQoS1});
  world.node.settle();
  world.add_member("one", false);
  source.write(Publish{.topic = "a", .qos = kQoS1});
  world.node.read(source, SIZE_MAX);
  world.node.cut(member);
  world.node.settle();
  BOOST_TEST(source.open.empty());
  // Its client had it, but had not acked it.
  BOOST_TEST(world.got == (Lines{"PUBLISH q1 #1 a=x", "one r1 q1 #4 of g a"}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(live_memory)

/// Only while somebody waits for retained messages, by the subscriptions of that moment.
BOOST_AUTO_TEST_CASE(what_came_live) {
  World world;
  Client& sink = world.client();
  sink.subscribe("a/+", {.qos = kQoS1});
  world.node.settle();
  Dispatch& dispatch = world.node.loop(0).dispatch;
  const auto now = world.node.now_ms();
  const auto message = [&](std::uint64_t sequence, std::uint64_t publisher) {
    mqtt::PublicationInfo info;
    info.publisher = {kLife, publisher};
    info.sequence = sequence;
    info.stamp_ms = now;
    info.retain = true;
    return mqtt::Publication::make(info, "t", "a/b", "", std::to_string(sequence));
  };
  const auto publish = [&](std::uint64_t sequence, std::uint64_t publisher) {
    mqtt::PublicationView view = mqtt::PublicationView::of(message(sequence, publisher));
    BOOST_TEST(dispatch.publish(view, nullptr, now).matched);
  };
  const auto knows = [&](std::string_view filter, std::uint64_t sequence, std::uint64_t publisher) {
    return dispatch.live_memory().knows(sink.session.number, filter, *message(sequence, publisher));
  };
  publish(3, 7);
  BOOST_TEST(!knows("a/+", 3, 7));  // nobody waits
  dispatch.watch_live(true);
  publish(4, 7);
  BOOST_TEST(knows("a/+", 4, 7));
  BOOST_TEST(knows("a/+", 3, 7));
  BOOST_TEST(!knows("a/+", 5, 7));
  BOOST_TEST(!knows("a/+", 4, 8));
  BOOST_TEST(!knows("#", 4, 7));
  sink.subscribe("#", {.qos = kQoS1});
  world.node.settle();
  publish(5, 7);
  BOOST_TEST(knows("#", 5, 7));
  dispatch.tick(now + LiveMemory::kWindowMs + 10);
  BOOST_TEST(dispatch.live_memory().size() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::dispatch
