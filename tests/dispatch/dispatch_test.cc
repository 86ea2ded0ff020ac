// The dispatch core case by case: who gets what, how often, and with which marks.
#include <boost/test/unit_test.hpp>

#include "tests/dispatch/node.h"

namespace skald::dispatch {
namespace {

using codec::QoS;
using codec::Version;
using session::testing::connect_of;
using session::testing::Lines;
using session::testing::Message;
using session::testing::Publish;
using testing::Client;
using testing::Node;

constexpr QoS kQoS0 = QoS::at_most_once;
constexpr QoS kQoS1 = QoS::at_least_once;
constexpr QoS kQoS2 = QoS::exactly_once;

/// A node whose messages arrive at once; what clients got, as text, by their number.
struct World {
  explicit World(Node::Options options = {}) : node(options) {
    node.on_message = [this](Client& client, const Message& message) {
      got[client.session_id].push_back(session::testing::text_of(message));
    };
  }

  Client& client(std::uint16_t loop = 0, Version version = Version::v5) {
    return node.connect(loop, connect_of(version));
  }
  void subscribe(Client& client, const std::string& filter, codec::SubscriptionOptions options,
                 std::uint32_t id = 0) {
    client.subscribe(filter, options, id);
    node.settle();
  }
  void publish(Client& client, const std::string& topic, QoS qos = kQoS0, bool retain = false) {
    client.write(Publish{.topic = topic, .qos = qos, .retain = retain});
    node.settle();
  }
  Lines take(const Client& client) { return std::exchange(got[client.session_id], {}); }

  Node node;
  std::map<std::uint64_t, Lines> got;
};

BOOST_AUTO_TEST_SUITE(dispatch_core)

BOOST_AUTO_TEST_CASE(overlapping_subscriptions) {
  World world;
  Client& sink = world.client();
  Client& old = world.client(0, Version::v311);
  for (Client* client : {&sink, &old}) {
    const bool v5 = client == &sink;
    world.subscribe(*client, "a/b", {.qos = kQoS0}, v5 ? 7 : 0);
    world.subscribe(*client, "a/+", {.qos = kQoS2}, v5 ? 5 : 0);
    world.subscribe(*client, "#", {.qos = kQoS1}, 0);
    world.subscribe(*client, "a/#", {.qos = kQoS1}, v5 ? 5 : 0);
  }
  world.publish(sink, "a/b", kQoS2);
  BOOST_TEST(world.take(sink) == Lines{"PUBLISH q2 #1 a/b=x ids=5,5,7"});
  BOOST_TEST(world.take(old) == Lines{"PUBLISH q2 #1 a/b=x"});
  world.publish(sink, "a/b/c", kQoS2);
  BOOST_TEST(world.take(sink) == Lines{"PUBLISH q1 #2 a/b/c=x ids=5"});
  world.publish(sink, "z", kQoS2);
  BOOST_TEST(world.take(sink) == Lines{"PUBLISH q1 #3 z=x"});
  BOOST_TEST(world.node.unrest() == "");
}

BOOST_AUTO_TEST_CASE(no_local) {
  World world;
  Client& self = world.client();
  Client& other = world.client();
  world.subscribe(self, "a", {.qos = kQoS1, .no_local = true}, 1);
  world.subscribe(other, "a", {.qos = kQoS1, .no_local = true});
  world.publish(self, "a");
  BOOST_TEST(world.take(self).empty());  // [MQTT-3.8.3-3]
  BOOST_TEST(world.take(other) == Lines{"PUBLISH q0 a=x"});
  // Another subscription of its own without No Local: that one counts, with its own marks.
  world.subscribe(self, "+", {.qos = kQoS0, .retain_as_published = true}, 2);
  world.publish(self, "a", kQoS1, true);
  BOOST_TEST(world.take(self) == Lines{"PUBLISH q0 a=x retain ids=2"});
  world.publish(other, "a", kQoS1);
  BOOST_TEST(world.take(self) == Lines{"PUBLISH q1 #1 a=x ids=1,2"});
}

BOOST_AUTO_TEST_CASE(retain_as_published) {
  World world;
  Client& plain = world.client();
  Client& keeps = world.client();
  world.subscribe(plain, "a", {});
  world.subscribe(keeps, "a", {.retain_as_published = true});
  world.subscribe(keeps, "b", {});
  world.publish(plain, "a", kQoS0, true);
  world.publish(plain, "a", kQoS0, false);
  world.publish(plain, "b", kQoS0, true);
  BOOST_TEST(world.take(plain) == (Lines{"PUBLISH q0 a=x", "PUBLISH q0 a=x"}));
  BOOST_TEST(world.take(keeps) ==
             (Lines{"PUBLISH q0 a=x retain", "PUBLISH q0 a=x", "PUBLISH q0 b=x"}));
}

BOOST_AUTO_TEST_CASE(cache_follows_every_change) {
  World world({.loops = 2});
  Client& first = world.client(0);
  Client& second = world.client(0);
  Client& far = world.client(1);
  const auto reaches = [&](std::initializer_list<const Client*> clients) {
    for (int i = 0; i < 2; ++i) world.publish(first, "a");  // the second from the cache
    for (const Client* client : {&first, &second, &far}) {
      const bool wanted = std::find(clients.begin(), clients.end(), client) != clients.end();
      BOOST_TEST(world.take(*client).size() == (wanted ? 2U : 0U));
    }
  };
  reaches({});
  world.subscribe(first, "a", {});
  reaches({&first});
  world.subscribe(second, "+", {});
  reaches({&first, &second});
  world.subscribe(far, "a", {});
  reaches({&first, &second, &far});
  world.subscribe(second, "+", {.qos = kQoS1});  // replaced
  world.publish(first, "a", kQoS1);
  BOOST_TEST(world.take(second).back().starts_with("PUBLISH q1"));
  world.take(first), world.take(far);
  first.unsubscribe("a");
  world.node.settle();
  reaches({&second, &far});
  world.node.cut(far);
  world.node.settle();
  reaches({&second});
  world.node.cut(second);
  world.node.settle();
  reaches({});
  BOOST_TEST(world.node.unrest() == "");
}

/// One of two with the same filter goes: no route changes, only the loop's own table.
BOOST_AUTO_TEST_CASE(cache_follows_the_loops_own_table) {
  World world;
  Client& first = world.client();
  Client& second = world.client();
  world.subscribe(first, "a", {});
  world.publish(first, "a");
  world.subscribe(second, "a", {});
  world.publish(first, "a");
  second.unsubscribe("a");
  world.node.settle();
  world.publish(first, "a");
  BOOST_TEST(world.take(first).size() == 3U);
  BOOST_TEST(world.take(second).size() == 1U);
}

BOOST_AUTO_TEST_CASE(cache_makes_each_match_once) {
  World world;
  Client& client = world.client();
  world.subscribe(client, "#", {});
  const Dispatch& dispatch = world.node.loop(0).dispatch;
  const std::uint64_t before = dispatch.counters().matches_made;
  for (int i = 0; i < 10; ++i) {
    world.publish(client, "a");
    world.publish(client, "b");
  }
  BOOST_TEST(dispatch.counters().matches_made == before + 2);
  for (int i = 0; i < 100; ++i) world.publish(client, "t" + std::to_string(i));  // over its size
  BOOST_TEST(world.take(client).size() == 120U);
}

/// Long topics, and many receivers of each: the cache is bounded in bytes, and still right.
BOOST_AUTO_TEST_CASE(cache_is_bounded_in_bytes) {
  session::Workspace workspace;
  Dispatch::Options options{};
  options.match_cache_bytes = 100'000;
  Dispatch dispatch(options, workspace);
  std::vector<std::unique_ptr<session::testing::Peer>> peers;
  for (std::uint64_t i = 1; i <= 50; ++i) {
    peers.push_back(std::make_unique<session::testing::Peer>(workspace, Version::v5));
    peers.back()->identity.publisher.session = i;
    peers.back()->connect();
    dispatch.add(peers.back()->session);
  }
  std::uint64_t sent = 0;
  const auto publish = [&](int number) {
    const std::string topic = std::to_string(number) + std::string(number % 2000, 't');
    mqtt::PublicationView publication;
    publication.tenant = "t";
    publication.topic = topic;
    dispatch.publish(publication, nullptr, 1);
    ++sent;
    BOOST_REQUIRE_LT(dispatch.match_cache_bytes(), 100'000U + 10'000U);
  };
  for (std::uint64_t i = 0; i < 50; ++i) {
    dispatch.subscribe(peers[i]->session, "#", {}, false);
    // Few topics, ever more receivers: entries grow when they are filled again.
    for (int number = 0; number < 100; ++number) publish(number);
    for (auto& peer : peers) {
      const bool wants = peer->session.publisher().session <= i + 1;
      BOOST_REQUIRE_EQUAL(peer->received().size(), wants ? 100U : 0U);
    }
  }
  for (int number = 0; number < 3000; ++number) publish(number);
  BOOST_TEST(peers[0]->received().size() == 3000U);
}

BOOST_AUTO_TEST_CASE(tells_whether_anybody_is_there) {
  World world({.loops = 2});
  Client& client = world.client();
  Client& far = world.client(1);
  world.subscribe(far, "far", {});
  world.subscribe(client, "$share/g/shared", {});
  mqtt::PublicationView publication;
  publication.tenant = "t";
  publication.payload = "x";
  const std::pair<const char*, bool> topics[] = {{"far", true}, {"shared", true}, {"none", false}};
  Dispatch& dispatch = world.node.loop(0).dispatch;
  for (const auto& [topic, anyone] : topics) {
    publication.topic = topic;
    publication.shared = {};
    BOOST_TEST(dispatch.publish(publication, nullptr, world.node.now_ms()).matched == anyone);
  }
  publication.tenant = "u";  // tenants never meet
  publication.topic = "far";
  BOOST_TEST(!dispatch.publish(publication, nullptr, world.node.now_ms()).matched);
}

BOOST_AUTO_TEST_CASE(shared_groups) {
  World world({.loops = 2});
  Client& source = world.client(0);
  std::vector<Client*> members;
  for (int i = 0; i < 4; ++i) {
    members.push_back(&world.client(static_cast<std::uint16_t>(i % 2)));
    world.subscribe(*members.back(), "$share/g/a", {.qos = kQoS1});
  }
  Client& other_group = world.client(1);
  world.subscribe(other_group, "$share/h/+", {.qos = kQoS2});
  for (int i = 0; i < 40; ++i) world.publish(source, "a", kQoS2);
  for (Client* member : members) BOOST_TEST(world.take(*member).size() == 10U);  // in turn
  const Lines others = world.take(other_group);
  BOOST_TEST(others.size() == 40U);
  BOOST_TEST(others.front() == "PUBLISH q2 #1 a=x");
  members[0]->unsubscribe("$share/g/a");
  world.node.cut(*members[1]);
  world.node.settle();
  for (int i = 0; i < 40; ++i) world.publish(source, "a", kQoS2);
  BOOST_TEST(world.take(*members[0]).empty());
  BOOST_TEST(world.take(*members[1]).empty());
  BOOST_TEST(world.take(*members[2]).size() == 20U);
  BOOST_TEST(world.take(*members[3]).size() == 20U);
  BOOST_TEST(world.node.unrest() == "");
}

/// One group, and so many receivers; what was lost is counted.
struct Narrow final : FanOutLimits {
  FanOut fan_out_of(std::string_view) const override { return {.max_groups = 1, .rated = true}; }
  bool may_hand_out(const mqtt::PublicationView&, std::size_t receivers) override {
    if (receivers > left) {
      lost += receivers;
      return false;
    }
    left -= receivers;
    return true;
  }
  void left_out(std::string_view, std::size_t groups) override { groups_lost += groups; }

  std::size_t left = 0;
  std::size_t lost = 0;
  std::size_t groups_lost = 0;
};

BOOST_AUTO_TEST_CASE(limits_of_fan_out) {
  World world({.loops = 2});
  Client& source = world.client(0);
  std::vector<Client*> clients;
  for (const char* filter : {"t", "$share/g/t", "$share/f/t", "+"}) {
    clients.push_back(&world.client(static_cast<std::uint16_t>(clients.size() % 2)));
    world.subscribe(*clients.back(), filter, {.qos = kQoS1});
  }
  const auto publish_counts = [&] {
    world.publish(source, "t", kQoS2);
    std::vector<std::size_t> counts;
    for (Client* client : clients) counts.push_back(world.take(*client).size());
    return counts;
  };
  using Counts = std::vector<std::size_t>;
  const auto limit = [&world](FanOutLimits* limits) {
    for (const std::uint16_t loop : {std::uint16_t{0}, std::uint16_t{1}}) {
      world.node.loop(loop).dispatch.limit_fan_out(limits);
    }
  };
  BOOST_TEST(publish_counts() == (Counts{1, 1, 1, 1}));
  Narrow narrow;
  narrow.left = 3;
  limit(&narrow);
  BOOST_TEST(publish_counts() == (Counts{1, 0, 1, 1}));  // f is before g
  BOOST_TEST(narrow.groups_lost == 1U);
  BOOST_TEST(narrow.lost == 0U);
  BOOST_TEST(publish_counts() == (Counts{0, 0, 0, 0}));
  BOOST_TEST(narrow.groups_lost == 2U);
  BOOST_TEST(narrow.lost == 3U);
  narrow.left = 1;
  BOOST_TEST(publish_counts() == (Counts{1, 0, 0, 0}));
  limit(nullptr);
  BOOST_TEST(publish_counts() == (Counts{1, 1, 1, 1}));
  BOOST_TEST(world.node.unrest() == "");
}

/// The marks of a shared subscription are those of its member [MQTT-3.3.4-3].
BOOST_AUTO_TEST_CASE(shared_subscription_identifiers) {
  World world({.loops = 2});
  Client& source = world.client(0);
  for (const std::uint16_t loop : {std::uint16_t{0}, std::uint16_t{1}}) {
    Client& member = world.client(loop);
    world.subscribe(member, "$share/g/a", {.qos = kQoS1, .retain_as_published = true}, 42);
    world.publish(source, "a", kQoS1, true);
    BOOST_TEST(world.take(member) == Lines{"PUBLISH q1 #1 a=x retain ids=42"});
    world.subscribe(member, "$share/g/a", {.qos = kQoS1});
    world.publish(source, "a", kQoS1, true);
    BOOST_TEST(world.take(member) == Lines{"PUBLISH q1 #2 a=x"});
    world.node.cut(member);
    world.node.settle();
  }
}

/// QoS 1 messages that a member had not acked go to the others when it ends, on any loop.
BOOST_AUTO_TEST_CASE(redispatch_when_a_member_goes) {
  World world({.loops = 2});
  Client& source = world.client(0);
  Client& leaver = world.client(0);
  Client& stayer = world.client(1);
  leaver.subscribe("$share/g/a", {.qos = kQoS1});
  stayer.subscribe("$share/g/a", {.qos = kQoS1});
  world.node.settle();
  for (int i = 0; i < 10; ++i) {
    source.write(Publish{.topic = "a", .payload = std::to_string(i), .qos = kQoS1});
  }
  world.node.read(source, SIZE_MAX);
  // The leaver never reads: its five are its until it is cut.
  world.node.cut(leaver);
  world.node.settle();
  Lines all = world.take(stayer);
  std::set<std::string> payloads;
  for (const std::string& line : all) payloads.insert(line.substr(line.find('=')));
  BOOST_TEST(payloads.size() == 10U);
  BOOST_TEST(all.size() == 10U);
  BOOST_TEST(world.node.unrest() == "");
}

/// A message handed to another loop whose member has gone since finds the next one.
BOOST_AUTO_TEST_CASE(redispatch_of_what_is_on_its_way) {
  World world({.loops = 2});
  Client& source = world.client(0);
  Client& leaver = world.client(1);
  world.subscribe(leaver, "$share/g/a", {.qos = kQoS1});
  source.write(Publish{.topic = "a", .qos = kQoS1});
  world.node.read(source, SIZE_MAX);  // on its way to loop 1
  Client& stayer = world.client(0);
  stayer.subscribe("$share/g/a", {.qos = kQoS1});
  // The routes first, then the member's end, then the message.
  world.node.read(stayer, SIZE_MAX);
  world.node.cut(leaver);
  world.node.settle();
  BOOST_TEST(world.node.unrest() == "");
  BOOST_TEST(world.take(stayer).size() +
                 world.node.loop(1).dispatch.counters().shared_undeliverable ==
             1U);
}

Node::Options tight(std::uint16_t loops) {
  Node::Options options{.loops = loops, .seed = 1, .limits = {}, .back_pressure = {}};
  options.limits.output_high_water_bytes = 2000;
  options.limits.output_max_bytes = 8000;
  options.back_pressure = {.slow_receiver_timeout_ms = 1000, .publisher_credit_bytes = 4000};
  return options;
}

BOOST_AUTO_TEST_CASE(publishers_wait_for_a_receiver_behind) {
  for (const std::uint16_t loops : {std::uint16_t{1}, std::uint16_t{2}}) {
    World world(tight(loops));
    Client& source = world.client(0);
    Client& sink = world.client(static_cast<std::uint16_t>(loops - 1));
    world.subscribe(sink, "a", {});
    const Publish publish{.topic = "a", .payload = std::string(500, 'p')};
    const auto send = [&](int times) {
      for (int i = 0; i < times; ++i) source.write(publish);
      for (int i = 0; i < 100; ++i) {
        world.node.read(source, 1500);
        while (world.node.deliver(0)) {
        }
      }
    };
    send(60);
    BOOST_TEST(source.session.publish_blocked());
    BOOST_TEST((sink.session.output().size() < 8000U));
    world.node.settle();  // the sink reads
    BOOST_TEST(world.take(sink).size() == 60U);
    BOOST_TEST(world.node.unrest() == "");
    // The sink reads nothing for too long: the publisher goes on, what the sink cannot take drops.
    send(60);
    BOOST_TEST(source.session.publish_blocked());
    world.node.tick(999);
    BOOST_TEST(source.session.publish_blocked());
    world.node.tick(1);
    while (world.node.deliver(0)) {
    }
    for (int i = 0; i < 100; ++i) {
      world.node.read(source, SIZE_MAX);
      while (world.node.deliver(0)) {
      }
    }
    BOOST_TEST(!source.session.publish_blocked());
    BOOST_TEST(sink.session.slow());
    BOOST_TEST(world.node.loop(loops - 1U).workspace.counters.dropped_qos0_slow > 0U);
    world.node.settle();
    BOOST_TEST(!sink.session.slow());
    world.take(sink);
    send(1);
    world.node.settle();
    BOOST_TEST(world.take(sink).size() == 1U);
    BOOST_TEST(world.node.unrest() == "");
  }
}

/// Whoever ends while others wait lets them go, and nothing points to it any more.
BOOST_AUTO_TEST_CASE(ends_while_waiting) {
  for (const std::uint16_t loops : {std::uint16_t{1}, std::uint16_t{2}}) {
    for (const bool publisher_ends : {false, true}) {
      World world(tight(loops));
      Client& source = world.client(0);
      Client& sink = world.client(static_cast<std::uint16_t>(loops - 1));
      world.subscribe(sink, "a", {});
      for (int i = 0; i < 60; ++i) {
        source.write(Publish{.topic = "a", .payload = std::string(500, 'p')});
      }
      for (int i = 0; i < 20; ++i) {
        world.node.read(source, 1500);
        while (world.node.deliver(0)) {
        }
      }
      BOOST_TEST(source.session.publish_blocked());
      world.node.cut(publisher_ends ? source : sink);
      while (world.node.deliver(0)) {
      }
      if (!publisher_ends) {
        for (int i = 0; i < 100; ++i) {
          world.node.read(source, SIZE_MAX);
          while (world.node.deliver(0)) {
          }
        }
        BOOST_TEST(!source.session.publish_blocked());
      }
      world.node.tick(5000);
      world.node.settle();
      BOOST_TEST(world.node.unrest() == "");
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::dispatch
