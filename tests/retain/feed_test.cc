// Finding retained messages by filter, feeding them to a subscription, and the line of publishes
// that wait for a store.
#include "mqtt/retain/feed.h"

#include <boost/test/unit_test.hpp>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "config/base/random.h"
#include "mqtt/dispatch/retain_hold.h"
#include "mqtt/topic/filter_trie.h"
#include "mqtt/topic/topic.h"
#include "tests/retain/publications.h"

namespace skald::retain {
namespace {

// -- match_names
// --------------------------------------------------------------------------------------

std::string random_text(Random& random, bool filter) {
  static const char* const kLevels[] = {"", "a", "b", "$x", "$", "ab"};
  for (;;) {
    std::string text;
    const std::uint64_t levels = random.between(1, 5);
    for (std::uint64_t i = 0; i < levels; ++i) {
      if (i > 0) text += '/';
      text += filter && random.one_in(3) ? "+" : kLevels[random.below(6)];
    }
    if (filter && random.one_in(3)) text += text.empty() ? "#" : "/#";
    if (filter && random.one_in(20)) text = "#";
    const topic::Refusal refusal =
        filter ? topic::check_plain_filter(text) : topic::check_name(text);
    if (refusal == topic::Refusal::none) return text;
  }
}

BOOST_AUTO_TEST_SUITE(match_names)

BOOST_AUTO_TEST_CASE(against_the_definition) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    topic::FilterTrie<std::string> trie(seed);
    std::set<std::string> names;
    for (int step = 0; step < 400; ++step) {
      const std::string name = random_text(random, false);
      if (random.one_in(3)) {
        BOOST_REQUIRE_EQUAL(trie.erase(name), names.erase(name) == 1);
      } else {
        trie.at_or_insert(name) = name;
        names.insert(name);
      }
      const std::string filter = random_text(random, true);
      std::multiset<std::string> wanted;
      for (const std::string& one : names) {
        if (topic::matches(filter, one)) wanted.insert(one);
      }
      std::multiset<std::string> found;
      trie.match_names(filter, [&found](const std::string& one) { found.insert(one); });
      BOOST_REQUIRE_MESSAGE(found == wanted, "seed " << seed << ", filter " << filter);
      // The same in pieces, from a copy, while the trie changes.
      if (!random.one_in(4)) continue;
      const auto copy = trie;
      topic::FilterTrie<std::string>::NameWalk walk(copy, filter);
      std::multiset<std::string> pieces;
      while (!walk.done()) {
        std::size_t steps = random.between(1, 4);
        while (const std::string* one = walk.next(steps)) pieces.insert(*one);
        BOOST_REQUIRE(steps == 0 || walk.done());
        const std::string other = random_text(random, false);
        trie.at_or_insert(other) = other;
        names.insert(other);
      }
      BOOST_REQUIRE_MESSAGE(pieces == wanted, "seed " << seed << ", filter " << filter);
    }
  }
}

/// Many names at one level, and a filter that matches none of many: no call does more than its
/// steps.
BOOST_AUTO_TEST_CASE(in_pieces) {
  topic::FilterTrie<int> trie(1);
  for (int i = 0; i < 50'000; ++i) trie.at_or_insert("a/" + std::to_string(i) + "/x") = i;
  for (const auto& [filter, want] : {std::pair<const char*, std::size_t>{"#", 50'000},
                                     {"a/+/x", 50'000},
                                     {"a/+/y", 0},
                                     {"+/777/#", 1}}) {
    topic::FilterTrie<int>::NameWalk walk(trie, filter);
    std::size_t found = 0;
    std::size_t calls = 0;
    for (; !walk.done(); ++calls) {
      for (std::size_t steps = 1000; walk.next(steps) != nullptr;) ++found;
    }
    BOOST_CHECK_EQUAL(found, want);
    BOOST_CHECK_GE(calls, want == 1 ? 1U : 50U);
    BOOST_CHECK_LE(calls, 300U);
  }
}

BOOST_AUTO_TEST_CASE(deepest) {
  std::string name = "a";
  std::string plus = "+";
  for (std::uint32_t i = 1; i < topic::kMaxLevels; ++i) {
    name += "/a";
    plus += "/+";
  }
  topic::FilterTrie<int> trie;
  trie.at_or_insert(name) = 1;
  for (const std::string& filter : {name, plus, std::string("#"), std::string("a/#")}) {
    int found = 0;
    trie.match_names(filter, [&found](int) { ++found; });
    BOOST_CHECK_EQUAL(found, 1);
  }
}

BOOST_AUTO_TEST_SUITE_END()

// -- Feed
// ---------------------------------------------------------------------------------------------

struct World {
  StateMachine machine;
  std::uint64_t sequence = 0;
  std::size_t steps = 1000;  // of one call

  void store(std::string_view topic, std::string_view payload, mqtt::TimeMs expiry_ms = 0) {
    range::ApplyContext context;
    context.index = ++sequence;
    machine.apply(
        context,
        Store{{make(
            {.topic = topic, .payload = payload, .expiry_ms = expiry_ms, .sequence = sequence})}});
  }
  std::shared_ptr<const RetainSnapshot> now() const {
    return std::make_shared<const RetainSnapshot>(machine.snapshot());
  }
  void add(Feed& feed, std::string_view filter, std::uint32_t id = 0) const {
    feed.add({.filter = std::string(filter), .subscription_id = id}, now());
  }
  /// "topic=payload", or empty at the end.
  std::string next(Feed& feed, mqtt::TimeMs now_ms = 1) const {
    const mqtt::PublicationRef* found = nullptr;
    do {
      std::size_t left = steps;
      found = feed.next(*now(), "t", now_ms, left);
      BOOST_REQUIRE(found != nullptr || left == 0 || feed.empty());
    } while (found == nullptr && !feed.empty());
    if (found == nullptr) return {};
    return std::string((*found)->topic()) + "=" + std::string((*found)->payload());
  }
  std::multiset<std::string> rest(Feed& feed) const {
    std::multiset<std::string> all;
    for (std::string one = next(feed); !one.empty(); one = next(feed)) all.insert(one);
    return all;
  }
};

using Found = std::multiset<std::string>;

BOOST_AUTO_TEST_SUITE(feed)

BOOST_AUTO_TEST_CASE(one_filter_after_the_other) {
  World world;
  for (const char* topic : {"a/1", "a/2", "b/1", "c"}) world.store(topic, "x");
  Feed feed;
  BOOST_CHECK(feed.empty());
  world.add(feed, "b/+", 7);
  world.add(feed, "none");
  world.add(feed, "a/#", 8);
  BOOST_CHECK_EQUAL(world.next(feed), "b/1=x");
  BOOST_CHECK_EQUAL(feed.head().subscription_id, 7U);
  const std::string first = world.next(feed);
  BOOST_CHECK_EQUAL(feed.head().subscription_id, 8U);
  const std::string second = world.next(feed);
  BOOST_CHECK((Found{first, second}) == (Found{"a/1=x", "a/2=x"}));
  BOOST_CHECK(!feed.empty());
  BOOST_CHECK_EQUAL(world.next(feed), "");
  BOOST_CHECK(feed.empty());
  BOOST_CHECK_EQUAL(world.next(feed), "");
}

BOOST_AUTO_TEST_CASE(no_more_than_the_limit_of_each_filter) {
  World world;
  for (const char* topic : {"a/1", "a/2", "a/3", "b"}) world.store(topic, "x");
  Feed feed;
  feed.add({.filter = "a/+", .limit = 2}, world.now());
  feed.add({.filter = "b", .limit = 1}, world.now());
  const std::string first = world.next(feed);
  feed.put_back();
  BOOST_CHECK_EQUAL(world.next(feed), first);  // not one more
  BOOST_CHECK(world.next(feed).starts_with("a/"));
  feed.put_back();
  BOOST_CHECK(world.next(feed).starts_with("a/"));
  BOOST_CHECK_EQUAL(world.next(feed), "b=x");
  BOOST_CHECK_EQUAL(world.next(feed), "");
  BOOST_CHECK(feed.empty());
}

BOOST_AUTO_TEST_CASE(put_back_comes_again_unless_it_is_stale) {
  World world;
  world.store("a", "1");
  Feed feed;
  world.add(feed, "#");
  BOOST_CHECK_EQUAL(world.next(feed), "a=1");
  feed.put_back();
  BOOST_CHECK_EQUAL(world.next(feed), "a=1");
  feed.put_back();
  world.store("a", "2");
  BOOST_CHECK_EQUAL(world.next(feed), "");
  BOOST_CHECK(feed.empty());
}

BOOST_AUTO_TEST_CASE(cancelled) {
  World world;
  for (const char* topic : {"a/1", "a/2", "b/1", "c"}) world.store(topic, "x");
  Feed feed;
  feed.cancel("a/#");
  world.add(feed, "a/#");
  world.add(feed, "b/#");
  world.add(feed, "c");
  BOOST_CHECK(world.next(feed).starts_with("a/"));
  feed.cancel("b/#");  // waits
  feed.cancel("a/#");  // is being fed
  feed.cancel("d");    // was never there
  BOOST_CHECK_EQUAL(world.next(feed), "c=x");
  feed.cancel("c");
  BOOST_CHECK(feed.empty());
}

BOOST_AUTO_TEST_CASE(replaced) {
  World world;
  for (const char* topic : {"a/1", "a/2", "b"}) world.store(topic, "x");
  Feed feed;
  world.add(feed, "a/#", 1);
  world.add(feed, "b", 2);
  BOOST_CHECK(!world.next(feed).empty());
  world.add(feed, "a/#", 3);  // from its beginning, behind b
  BOOST_CHECK_EQUAL(world.next(feed), "b=x");
  BOOST_CHECK_EQUAL(feed.head().subscription_id, 2U);
  BOOST_CHECK(!world.next(feed).empty());
  BOOST_CHECK_EQUAL(feed.head().subscription_id, 3U);
  BOOST_CHECK_EQUAL(world.rest(feed).size(), 1U);
}

/// Whatever has changed since the subscription became visible has been, or will be, delivered live.
BOOST_AUTO_TEST_CASE(changed_since_the_subscription) {
  World world;
  for (const char* topic : {"a/1", "a/2", "a/3", "b/1", "b/2", "b/3"}) world.store(topic, "old");
  Feed feed;
  world.add(feed, "a/#");
  world.add(feed, "b/#");
  world.store("a/2", "new");  // before anything was asked for
  world.store("a/4", "new");
  world.store("b/4", "new");
  Found found{world.next(feed)};
  world.store("b/1", "new");  // in the middle
  world.store("b/2", "");
  world.store("b/2", "back");
  found.merge(world.rest(feed));
  BOOST_CHECK(found == (Found{"a/1=old", "a/3=old", "b/3=old"}));
}

BOOST_AUTO_TEST_CASE(expired_are_passed_over) {
  World world;
  world.store("a", "1", 100);
  world.store("b", "2", 101);
  world.store("c", "3");
  Feed feed;
  world.add(feed, "#");
  Found found;
  for (std::string one = world.next(feed, 100); !one.empty(); one = world.next(feed, 100)) {
    found.insert(one);
  }
  BOOST_CHECK(found == (Found{"b=2", "c=3"}));
}

/// Nothing that stays as it is during a feed is missed or comes twice; nothing stale comes.
BOOST_AUTO_TEST_CASE(random_changes_meanwhile) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    World world;
    world.steps = random.between(1, 20);
    std::map<std::string, std::string> content;
    const auto change = [&] {
      const std::string topic = std::string(1, static_cast<char>('a' + random.below(3))) + "/" +
                                std::to_string(random.below(6));
      const std::string payload = random.one_in(3) ? "" : std::to_string(world.sequence);
      world.store(topic, payload);
      content[topic] = payload;
      return topic;
    };
    for (int i = 0; i < 20; ++i) change();
    Feed feed;
    Found wanted;
    for (const char* filter : {"a/#", "b/+", "c/3", "+/1"}) {
      world.add(feed, filter);
      for (const auto& [topic, payload] : content) {
        if (!payload.empty() && topic::matches(filter, topic)) wanted.insert(topic + "=" + payload);
      }
    }
    Found found;
    for (;;) {
      const std::string one = world.next(feed);
      if (one.empty()) break;
      if (random.one_in(4)) {
        feed.put_back();
      } else {
        BOOST_REQUIRE_EQUAL(one.substr(4), content[one.substr(0, 3)]);  // never an old value
        found.insert(one);
      }
      if (!random.one_in(3)) continue;
      const std::string topic = change();
      for (auto it = wanted.begin(); it != wanted.end();) {
        it =
            it->starts_with(topic + "=") && !found.contains(*it) ? wanted.erase(it) : std::next(it);
      }
      // Fed by one filter and due by another: the other does without it.
      for (const std::string& done : Found(found)) {
        if (!done.starts_with(topic + "=")) continue;
        while (wanted.count(done) > found.count(done)) wanted.erase(wanted.find(done));
      }
    }
    BOOST_REQUIRE_MESSAGE(found == wanted, "seed " << seed);
  }
}

BOOST_AUTO_TEST_SUITE_END()

// -- RetainHold
// ---------------------------------------------------------------------------------------

BOOST_AUTO_TEST_SUITE(retain_hold)

using dispatch::RetainHold;

BOOST_AUTO_TEST_CASE(behind_a_retained_one) {
  RetainHold hold;
  BOOST_CHECK(!hold.holds(1));
  BOOST_CHECK(!hold.has_to_store());
  hold.hold(1, make({.sequence = 1, .retain = true}), {.ticket = 10});
  hold.hold(1, make({.sequence = 2, .retain = false}), {.ticket = std::nullopt});
  hold.hold(1, make({.sequence = 3, .retain = true}), {.ticket = 11});
  hold.hold(1, make({.sequence = 4, .retain = false}), {.ticket = 12});
  BOOST_CHECK(hold.holds(1));
  BOOST_CHECK(!hold.holds(2));
  BOOST_CHECK_EQUAL(hold.take_to_store().size(), 2U);
  BOOST_CHECK(!hold.has_to_store());
  const auto sequences = [](const std::vector<RetainHold::Held>& ready) {
    std::vector<std::uint64_t> all;
    for (const auto& one : ready) all.push_back(one.publication->info().sequence);
    return all;
  };
  const auto first = hold.stored({StoreResult::quota});
  BOOST_CHECK(sequences(first) == (std::vector<std::uint64_t>{1, 2}));
  BOOST_CHECK(first[0].result == StoreResult::quota && first[0].ticket == 10U);
  BOOST_CHECK(first[1].result == StoreResult::done && !first[1].ticket);
  BOOST_CHECK(hold.holds(1));
  BOOST_CHECK(hold.stored({}).empty());
  const auto second = hold.stored({StoreResult::done});
  BOOST_CHECK(sequences(second) == (std::vector<std::uint64_t>{3, 4}));
  BOOST_CHECK(!hold.holds(1));
}

/// What waits for its inbox and for the store leaves when both are done, and keeps its place.
BOOST_AUTO_TEST_CASE(accepted_and_stored) {
  RetainHold hold;
  const auto first = hold.hold(1, make({.sequence = 1, .retain = false}),
                               {.ticket = 1, .packet_id = 7, .accept = true});
  const auto second = hold.hold(1, make({.sequence = 2, .retain = true}),
                                {.ticket = 2, .packet_id = 8, .accept = true});
  hold.hold(1, make({.sequence = 3, .retain = false}), {.ticket = 3});
  BOOST_CHECK_EQUAL(hold.take_to_store().size(), 1U);
  BOOST_CHECK(hold.stored({StoreResult::done}).empty());
  BOOST_CHECK(hold.accepted(1, second, true).empty());
  const auto ready = hold.accepted(1, first, false);
  BOOST_REQUIRE_EQUAL(ready.size(), 3U);
  BOOST_CHECK(ready[0].refused && ready[0].packet_id == 7);
  BOOST_CHECK(!ready[1].refused && ready[1].packet_id == 8);
  BOOST_CHECK_EQUAL(ready[2].publication->info().sequence, 3U);
  BOOST_CHECK(!hold.holds(1));
}

/// Several publishers, results in pieces, publishers that end with a will while they wait.
BOOST_AUTO_TEST_CASE(random_lines) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed);
    RetainHold hold;
    std::map<std::uint64_t, StoreResult> results;  // of the retained, by sequence
    std::deque<std::uint64_t> storing;
    std::vector<std::uint64_t> got_by[8];
    std::vector<std::uint64_t> sent_by[8];
    std::uint64_t sequence = 0;
    for (int step = 0; step < 300 || !storing.empty() || hold.has_to_store(); ++step) {
      const std::uint64_t session = random.below(8);
      const bool more = step < 300;
      if (more && random.one_in(3)) {
        hold.hold(session, make({.sequence = ++sequence, .retain = true}),
                  {.ticket = std::nullopt});
        sent_by[session].push_back(sequence);
        results[sequence] = random.one_in(4) ? StoreResult::quota : StoreResult::done;
      } else if (more && hold.holds(session)) {
        hold.hold(session, make({.sequence = ++sequence, .retain = false}),
                  {.ticket = std::nullopt});
        sent_by[session].push_back(sequence);
      }
      if (random.one_in(3)) {
        for (const auto& one : hold.take_to_store()) storing.push_back(one->info().sequence);
      }
      if (!random.one_in(3)) continue;
      std::vector<StoreResult> piece;
      for (std::uint64_t left = random.below(4); left > 0 && !storing.empty(); --left) {
        piece.push_back(results.at(storing.front()));
        storing.pop_front();
      }
      for (const auto& ready : hold.stored(piece)) {
        const std::uint64_t number = ready.publication->info().sequence;
        got_by[ready.session].push_back(number);
        const auto result = results.find(number);
        BOOST_REQUIRE(ready.result ==
                      (result == results.end() ? StoreResult::done : result->second));
      }
    }
    for (std::uint64_t session = 0; session < 8; ++session) {
      BOOST_REQUIRE_MESSAGE(got_by[session] == sent_by[session], "seed " << seed);
      BOOST_REQUIRE(!hold.holds(session));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::retain
