// Seeded scripts on several loops: whatever moves when, the promises hold.
//
// - A publish written after the subscriber's SUBACK came reaches it (P2), exactly once.
// - Order per publisher, topic and QoS.
// - The same for inboxes, and the ack leaves only when they have it.
// - A shared group's message goes to exactly one member; when a member leaves, QoS 1 is not lost.
// - When all has come to rest, nobody is held up.
#include <boost/test/unit_test.hpp>
#include <map>
#include <set>

#include "config/base/random.h"
#include "mqtt/topic/topic.h"
#include "tests/dispatch/node.h"

namespace skald::dispatch {
namespace {

using codec::QoS;
using codec::Version;
using session::testing::connect_of;
using session::testing::Message;
using session::testing::Publish;
using testing::Client;
using testing::Node;

constexpr const char* kTopics[] = {"a", "b", "a/b", "c/d", "s/1", "s/2"};
constexpr const char* kFilters[] = {"a",     "+",   "a/#",          "b",           "a/b",
                                    "c/+/#", "+/d", "$share/g/s/#", "$share/h/s/1"};
constexpr std::size_t kShared = 7;  // from here on

class World {
 public:
  /// `drops`: receivers may be too slow, and what they miss is not counted against anyone.
  World(std::uint64_t seed, bool drops)
      : random_(seed), drops_(drops), loops_(random_.between(1, 4)), node_(options(seed)) {
    node_.on_message = [this](Client& client, const Message& message) { got(client, message); };
    node_.on_packet = [this](Client& client, const codec::ControlPacket& packet) {
      const auto* suback = std::get_if<codec::Suback>(&packet);
      if (suback == nullptr) return;
      if (client.over) return;
      Mind& mind = minds_[client.session_id];
      const auto asked = mind.asked.find(suback->packet_id);
      BOOST_REQUIRE(asked != mind.asked.end());
      mind.done.insert(asked->second);
      mind.asked.erase(asked);
    };
    node_.on_inbox = [this](const InboxTarget& target, const mqtt::Publication& publication) {
      return inbox_got(target, publication);
    };
  }

  void run(int steps) {
    for (int i = 0; i < 4; ++i) connect();
    for (int i = 0; i < steps; ++i) step();
    node_.settle();
    // A client that waits for itself, its acks behind its publishes, goes on when its time is up.
    for (int i = 0; i < 200 && drops_ && node_.unrest() != ""; ++i) {
      node_.tick(1000);
      node_.settle();
    }
    BOOST_REQUIRE_EQUAL(node_.unrest(), "");
    if (!drops_) judge();
  }

 private:
  struct Mind {  // what a client wants
    std::map<std::uint16_t, std::size_t> asked;
    std::set<std::size_t> done;
    std::set<std::size_t> ever;
  };
  struct Sent {
    std::uint64_t publisher = 0;
    std::string topic;
    QoS qos = QoS::at_most_once;
    bool void_ = false;                                  // its publisher was cut
    std::set<std::uint64_t> must;                        // sessions
    std::map<std::size_t, std::set<std::uint64_t>> may;  // members of a shared filter, at the time
    std::map<std::uint64_t, int> got;
  };

  Node::Options options(std::uint64_t seed) {
    Node::Options options{.loops = static_cast<std::uint16_t>(loops_),
                          .seed = seed,
                          .limits = {},
                          .back_pressure = {}};
    if (!drops_) options.aside_max = 10'000'000;
    options.limits.max_inflight = static_cast<std::uint16_t>(random_.between(1, 8));
    options.limits.output_high_water_bytes = random_.between(200, 3000);
    options.limits.output_max_bytes = drops_ ? random_.between(3000, 6000) : 10'000'000;
    options.limits.max_queued_messages = drops_ ? 10 : 1'000'000;
    options.back_pressure.slow_receiver_timeout_ms = drops_ ? 20 : 100'000'000;
    options.back_pressure.publisher_credit_bytes = random_.between(100, 3000);
    return options;
  }

  void connect() {
    const Version version = random_.one_in(3) ? Version::v311 : Version::v5;
    codec::Connect connect = connect_of(version);
    connect.receive_maximum = static_cast<std::uint16_t>(random_.between(1, 20));
    connect.topic_alias_maximum = static_cast<std::uint16_t>(random_.below(3));
    Client& client = node_.connect(static_cast<std::uint16_t>(random_.below(loops_)), connect);
    client.room = random_.between(50, 4000);
    BOOST_REQUIRE(client.session.state() == session::Session::State::connected);
  }

  /// Fixed for a client and a filter, so that an oracle knows them.
  static codec::SubscriptionOptions options_of(const Client& client, std::size_t filter) {
    const std::uint64_t mix = client.session_id * 7 + filter * 3;
    codec::SubscriptionOptions options;
    options.qos = static_cast<QoS>(mix % 3);
    const bool v5 = client.version == Version::v5;
    options.no_local = v5 && filter < kShared && mix % 5 == 0;
    options.retain_as_published = v5 && mix % 2 == 0;
    return options;
  }

  static std::string_view plain(std::size_t filter) {
    return topic::parse_filter(kFilters[filter]).filter;
  }

  Client* any() {
    std::vector<Client*> alive;
    for (auto& client : node_.clients()) {
      if (!client->over) alive.push_back(client.get());
    }
    return alive.empty() ? nullptr : alive[random_.below(alive.size())];
  }

  void step() {
    Client* client = any();
    if (client == nullptr) return connect();
    switch (random_.below(21)) {
      case 20:
        change_inbox();
        break;
      case 0:
        subscribe(*client);
        break;
      case 1:
        if (random_.one_in(3)) unsubscribe(*client);
        break;
      case 2:
        if (random_.one_in(12)) cut(*client);
        break;
      case 3:
        if (random_.one_in(4) && node_.clients().size() < 30) connect();
        break;
      case 4:
      case 5:
      case 6:
        publish(*client);
        break;
      case 7:
      case 8:
      case 9:
        node_.read(*client, random_.one_in(3) ? random_.below(40) : SIZE_MAX);
        break;
      case 10:
      case 11:
      case 12:
        node_.take(*client, random_.one_in(3) ? random_.below(100) : SIZE_MAX);
        break;
      case 13:
        node_.tick(random_.below(10));
        break;
      case 14:
      case 15:
      case 16:
        client->send_ack();
        break;
      default:
        node_.deliver(random_.below(100));
        break;
    }
  }

  // Inboxes go by numbers that no session has.
  static constexpr std::uint64_t kInbox = 1'000'000;
  static constexpr std::uint64_t kInboxes = 3;

  /// Fixed for an inbox and a filter. Of filter `i` the identifier is i + 1.
  static dist::InboxReceiver inbox_of(std::uint64_t inbox, std::size_t filter) {
    dist::InboxReceiver receiver;
    receiver.inbox = "i" + std::to_string(inbox);
    receiver.qos = static_cast<QoS>((inbox + filter) % 3);
    receiver.retain_as_published = filter % 2 == 0;
    receiver.subscription_id = static_cast<std::uint32_t>(filter + 1);
    return receiver;
  }

  /// An inbox subscribes, unsubscribes, or turns on or offline.
  void change_inbox() {
    const std::uint64_t inbox = random_.below(kInboxes);
    const std::size_t filter = random_.below(std::size(kFilters));
    Mind& mind = minds_[kInbox + inbox];
    const topic::Filter parsed = topic::parse_filter(kFilters[filter]);
    dist::Route route{"t", std::string(parsed.filter), inbox_of(inbox, filter)};
    std::get<dist::InboxReceiver>(route.receiver).incarnation = ++incarnation_;
    if (parsed.shared()) {
      const bool online = random_.one_in(2);
      route.receiver = dist::GroupReceiver{
          std::string(parsed.group),
          dist::InboxMember{std::get<dist::InboxReceiver>(route.receiver),
                            online ? Life{NodeId{1}, LifeNumber{1}} : Life{}, 0}};
    }
    const bool leave = mind.done.contains(filter) && random_.one_in(2);
    BOOST_REQUIRE(
        node_.change_route(leave ? dist::RouteChange::Kind::remove : dist::RouteChange::Kind::add,
                           route) == dist::RouteResult::done);
    if (leave) {
      mind.done.erase(filter);
      if (filter >= kShared) disturbed_.insert(filter);
      excuse(kInbox + inbox);
    } else {
      mind.done.insert(filter);
    }
  }

  /// A full inbox passes a shared message on, sometimes.
  bool inbox_got(const InboxTarget& target, const mqtt::Publication& publication) {
    const std::uint64_t inbox = kInbox + std::stoull(std::string(target.client_id.substr(1)));
    if (target.shared != nullptr && target.qos != QoS::at_most_once && random_.one_in(4)) {
      disturbed_.insert(target.shared->group->group == "g" ? kShared : kShared + 1);
      return false;
    }
    const std::uint64_t number = std::stoull(std::string(publication.payload()));
    Sent& sent = sent_.at(number);
    BOOST_REQUIRE(target.qos <= sent.qos);
    ++sent.got[inbox];
    QoS best = QoS::at_most_once;
    for (const std::uint32_t id : target.subscription_ids) {
      BOOST_REQUIRE(topic::matches(plain(id - 1), sent.topic));
      best = std::max(best, inbox_of(inbox - kInbox, id - 1).qos);
      BOOST_REQUIRE_EQUAL(target.shared != nullptr, id - 1 >= kShared);
    }
    BOOST_REQUIRE(!target.subscription_ids.empty());
    BOOST_REQUIRE(target.qos == std::min(best, sent.qos));
    if (target.shared != nullptr) return true;
    BOOST_REQUIRE_LE(target.route, incarnation_);
    if (sent.topic[0] == 's') return true;
    BOOST_REQUIRE_EQUAL(sent.got[inbox], 1);
    std::uint64_t& before =
        order_[{inbox, sent.publisher, sent.topic, static_cast<int>(target.qos)}];
    BOOST_REQUIRE_GT(number, before);
    before = number;
    return true;
  }

  void subscribe(Client& client) {
    const std::size_t filter = random_.below(std::size(kFilters));
    Mind& mind = minds_[client.session_id];
    const std::uint32_t id =
        client.version == Version::v5 ? static_cast<std::uint32_t>(filter + 1) : 0;
    mind.asked[client.subscribe(kFilters[filter], options_of(client, filter), id)] = filter;
    mind.ever.insert(filter);
  }

  /// From here on the client may miss what it had not got yet.
  void excuse(std::uint64_t session) {
    for (auto& [number, sent] : sent_) {
      sent.must.erase(session);
      for (auto& [filter, members] : sent.may) members.erase(session);
    }
  }

  void unsubscribe(Client& client) {
    Mind& mind = minds_[client.session_id];
    // One that is still asked for would come back after the UNSUBSCRIBE in this simple model.
    if (mind.done.empty() || !mind.asked.empty()) return;
    const std::size_t filter = *mind.done.begin();
    mind.done.erase(filter);
    if (filter >= kShared) disturbed_.insert(filter);
    excuse(client.session_id);
    client.unsubscribe(kFilters[filter]);
  }

  void cut(Client& client) {
    for (const std::size_t filter : minds_[client.session_id].ever) {
      if (filter >= kShared) disturbed_.insert(filter);
    }
    minds_.erase(client.session_id);
    excuse(client.session_id);
    for (auto& [number, sent] : sent_) sent.void_ |= sent.publisher == client.session_id;
    node_.cut(client);
  }

  void publish(Client& client) {
    if (client.open.size() >= 15) return;
    const std::uint64_t number = ++last_;
    Sent& sent = sent_[number];
    sent.publisher = client.session_id;
    sent.topic = kTopics[random_.below(std::size(kTopics))];
    sent.qos = static_cast<QoS>(random_.below(3));
    for (const auto& other : node_.clients()) {
      if (other->over) continue;
      for (const std::size_t filter : minds_[other->session_id].done) {
        if (!topic::matches(plain(filter), sent.topic)) continue;
        if (filter >= kShared) {
          sent.may[filter].insert(other->session_id);
        } else if (other.get() != &client || !options_of(*other, filter).no_local) {
          sent.must.insert(other->session_id);
        }
      }
    }
    for (std::uint64_t inbox = kInbox; inbox < kInbox + kInboxes; ++inbox) {
      for (const std::size_t filter : minds_[inbox].done) {
        if (!topic::matches(plain(filter), sent.topic)) continue;
        if (filter >= kShared) {
          sent.may[filter].insert(inbox);
        } else {
          sent.must.insert(inbox);
        }
      }
    }
    std::string payload = std::to_string(number) + "!";
    if (random_.one_in(10)) payload += std::string(random_.below(5000), 'p');
    client.write(Publish{
        .topic = sent.topic, .payload = payload, .qos = sent.qos, .retain = random_.one_in(4)});
  }

  void got(Client& client, const Message& message) {
    const std::uint64_t number = std::stoull(message.payload);
    Sent& sent = sent_.at(number);
    BOOST_REQUIRE_EQUAL(sent.topic, message.topic);
    BOOST_REQUIRE(message.qos <= sent.qos);
    ++sent.got[client.session_id];
    // A shared message may come late, after it was somebody else's.
    if (sent.topic[0] == 's') return;
    BOOST_REQUIRE_EQUAL(sent.got[client.session_id], 1);
    for (const std::uint32_t id : message.subscription_ids) {
      BOOST_REQUIRE(topic::matches(plain(id - 1), sent.topic));
    }
    std::uint64_t& before =
        order_[{client.session_id, sent.publisher, sent.topic, static_cast<int>(message.qos)}];
    BOOST_REQUIRE_GT(number, before);
    before = number;
  }

  void judge() {
    for (const auto& [number, sent] : sent_) {
      if (sent.void_) continue;
      BOOST_TEST_CONTEXT("message " << number << " on " << sent.topic) {
        for (const std::uint64_t session : sent.must) BOOST_REQUIRE(sent.got.contains(session));
        if (sent.may.empty()) continue;
        int copies = 0;
        for (const auto& [session, count] : sent.got) copies += count;
        bool calm = true;
        int least = 0;
        for (const auto& [filter, members] : sent.may) {
          calm &= !disturbed_.contains(filter);
          if (!members.empty()) ++least;
        }
        // QoS 0 and 2 may go down with the client that they were sent to.
        if (calm || sent.qos == QoS::at_least_once) BOOST_REQUIRE_GE(copies, calm ? least : 0);
        if (calm) BOOST_REQUIRE_LE(copies, 2);  // one for each group
      }
    }
  }

  Random random_;
  bool drops_;
  std::uint64_t loops_;
  Node node_;
  std::map<std::uint64_t, Mind> minds_;
  std::map<std::uint64_t, Sent> sent_;
  std::set<std::size_t> disturbed_;  // shared filters that a member has left
  std::map<std::tuple<std::uint64_t, std::uint64_t, std::string, int>, std::uint64_t> order_;
  std::uint64_t last_ = 0;
  std::uint64_t incarnation_ = 0;
};

BOOST_AUTO_TEST_SUITE(world)

BOOST_AUTO_TEST_CASE(nothing_is_lost) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) { World(seed, false).run(2500); }
  }
}

BOOST_AUTO_TEST_CASE(slow_receivers) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) { World(seed, true).run(2500); }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::dispatch
