// Which loops want a filter: scripts by hand, and seeded ones against a model of loops and of dist.
#include "mqtt/dispatch/node_routes.h"

#include <boost/test/unit_test.hpp>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/base/random.h"

namespace skald::dispatch {
namespace {

using Outcome = NodeRoutes::Outcome;
using Answers = std::vector<NodeRoutes::Answer>;
using Kind = dist::RouteChange::Kind;

constexpr Life kSelf{NodeId{1}, LifeNumber{2}};

std::vector<std::string> text_of(const NodeRoutes::Ready& ready) {
  std::vector<std::string> lines;
  for (const NodeRoutes::Batch& batch : ready.proposals) {
    for (const dist::RouteChange& change : batch.command.changes) {
      BOOST_CHECK(change.route.receiver == dist::Receiver{dist::NodeReceiver{kSelf}});
      lines.push_back(std::to_string(batch.id) + (change.kind == Kind::add ? " add " : " remove ") +
                      change.route.tenant + " " + change.route.filter);
    }
  }
  return lines;
}

using Lines = std::vector<std::string>;

void reply(NodeRoutes& routes, std::uint64_t batch, std::vector<Outcome> outcomes) {
  routes.on_reply(batch, outcomes);
  routes.check_invariants();
}

BOOST_AUTO_TEST_SUITE(node_routes)

BOOST_AUTO_TEST_CASE(first_loop_adds_second_joins_last_removes) {
  NodeRoutes routes(kSelf);
  BOOST_CHECK(!routes.has_ready());
  routes.subscribe("t", "a/+", 3, 100);
  BOOST_CHECK(routes.has_ready());
  NodeRoutes::Ready ready = routes.take_ready();
  BOOST_CHECK(text_of(ready) == Lines{"1 add t a/+"});
  BOOST_REQUIRE(ready.interest);
  BOOST_CHECK_EQUAL(ready.interest->match("t", "a/b"), 1U << 3);
  BOOST_CHECK_EQUAL(ready.interest->match("u", "a/b"), 0U);
  BOOST_CHECK(ready.answers.empty());

  routes.subscribe("t", "a/+", 4, 101);  // waits for the same add
  ready = routes.take_ready();
  BOOST_CHECK(text_of(ready).empty());
  BOOST_CHECK(ready.answers.empty());

  reply(routes, 1, {Outcome::visible});
  ready = routes.take_ready();
  BOOST_CHECK((ready.answers ==
               Answers{{3, 100, SubscribeOutcome::done}, {4, 101, SubscribeOutcome::done}}));
  BOOST_CHECK_EQUAL(routes.transitions(), 0U);

  routes.subscribe("t", "a/+", 5, 102);  // present: the interest is all that it needs
  ready = routes.take_ready();
  BOOST_REQUIRE(ready.interest);
  BOOST_CHECK_EQUAL(ready.interest->find("t", "a/+"), 0b111000U);
  BOOST_CHECK(text_of(ready).empty());
  BOOST_CHECK((ready.answers == Answers{{5, 102, SubscribeOutcome::done}}));

  for (const std::uint32_t loop : {3U, 4U}) routes.unsubscribe("t", "a/+", loop);
  ready = routes.take_ready();
  BOOST_CHECK(text_of(ready).empty());
  routes.unsubscribe("t", "a/+", 5);
  ready = routes.take_ready();  // the interest goes before the route
  BOOST_REQUIRE(ready.interest);
  BOOST_CHECK_EQUAL(ready.interest->version("t"), 0U);
  BOOST_CHECK(text_of(ready) == Lines{"2 remove t a/+"});
  reply(routes, 2, {Outcome::visible});
  BOOST_CHECK_EQUAL(routes.filters(), 0U);
  BOOST_CHECK(!routes.has_ready());
}

BOOST_AUTO_TEST_CASE(subscribe_while_removing_adds_again) {
  NodeRoutes routes(kSelf);
  routes.subscribe("t", "a", 0, 1);
  routes.take_ready();
  reply(routes, 1, {Outcome::visible});
  routes.unsubscribe("t", "a", 0);
  BOOST_CHECK(text_of(routes.take_ready()) == Lines{"2 remove t a"});
  routes.subscribe("t", "a", 0, 2);
  NodeRoutes::Ready ready = routes.take_ready();
  BOOST_CHECK(text_of(ready).empty());
  BOOST_CHECK(ready.answers.empty());
  reply(routes, 2, {Outcome::visible});
  BOOST_CHECK(text_of(routes.take_ready()) == Lines{"3 add t a"});
  reply(routes, 3, {Outcome::visible});
  BOOST_CHECK((routes.take_ready().answers == Answers{{0, 2, SubscribeOutcome::done}}));
}

BOOST_AUTO_TEST_CASE(a_refused_add_fails_and_can_be_retried) {
  NodeRoutes routes(kSelf);
  routes.subscribe("t", "a", 0, 1);
  routes.subscribe("t", "a", 1, 2);
  routes.take_ready();
  reply(routes, 1, {Outcome::refused});
  NodeRoutes::Ready ready = routes.take_ready();
  BOOST_REQUIRE(ready.interest);
  BOOST_CHECK_EQUAL(ready.interest->version("t"), 0U);
  BOOST_CHECK((ready.answers ==
               Answers{{0, 1, SubscribeOutcome::failed}, {1, 2, SubscribeOutcome::failed}}));
  BOOST_CHECK(text_of(ready).empty());
  BOOST_CHECK_EQUAL(routes.filters(), 0U);
  routes.subscribe("t", "a", 0, 3);
  BOOST_CHECK(text_of(routes.take_ready()) == Lines{"2 add t a"});
}

BOOST_AUTO_TEST_CASE(an_unknown_add_is_cleaned_up) {
  NodeRoutes routes(kSelf);
  routes.subscribe("t", "a", 0, 1);
  routes.take_ready();
  reply(routes, 1, {Outcome::unknown});
  NodeRoutes::Ready ready = routes.take_ready();
  BOOST_CHECK((ready.answers == Answers{{0, 1, SubscribeOutcome::failed}}));
  BOOST_CHECK(text_of(ready) == Lines{"2 remove t a"});
  reply(routes, 2, {Outcome::unknown});
  BOOST_CHECK(!routes.has_ready());
  BOOST_CHECK_EQUAL(routes.removals_to_retry(), 1U);
  routes.retry();
  BOOST_CHECK(text_of(routes.take_ready()) == Lines{"3 remove t a"});
  reply(routes, 3, {Outcome::refused});
  routes.subscribe("t", "a", 0, 2);  // needs no retry() to go on
  BOOST_CHECK(text_of(routes.take_ready()) == Lines{"4 add t a"});
  reply(routes, 4, {Outcome::refused});  // the first add may still be there
  BOOST_CHECK(text_of(routes.take_ready()) == Lines{"5 remove t a"});
  reply(routes, 5, {Outcome::refused});
  routes.subscribe("t", "a", 0, 3);
  routes.unsubscribe("t", "a", 0);  // before the add was proposed: the old one is still to go
  BOOST_CHECK(text_of(routes.take_ready()) == Lines{"6 remove t a"});
  reply(routes, 6, {Outcome::visible});
  BOOST_CHECK_EQUAL(routes.filters(), 0U);
}

BOOST_AUTO_TEST_CASE(unsubscribed_before_it_was_done) {
  NodeRoutes routes(kSelf);
  routes.subscribe("t", "a", 0, 1);
  routes.unsubscribe("t", "a", 0);  // not even proposed
  NodeRoutes::Ready ready = routes.take_ready();
  BOOST_CHECK((ready.answers == Answers{{0, 1, SubscribeOutcome::cancelled}}));
  BOOST_CHECK(text_of(ready).empty());
  BOOST_CHECK_EQUAL(routes.filters(), 0U);

  routes.subscribe("t", "a", 0, 2);
  routes.take_ready();
  routes.unsubscribe("t", "a", 0);
  ready = routes.take_ready();
  BOOST_CHECK((ready.answers == Answers{{0, 2, SubscribeOutcome::cancelled}}));
  reply(routes, 1, {Outcome::visible});
  BOOST_CHECK(text_of(routes.take_ready()) == Lines{"2 remove t a"});
  routes.unsubscribe("t", "a", 0);  // no effect
  reply(routes, 2, {Outcome::visible});
  BOOST_CHECK(!routes.has_ready());
}

BOOST_AUTO_TEST_CASE(limits) {
  NodeRoutes routes(kSelf, 0,
                    {.max_filters = 5, .max_changes_per_batch = 2, .max_batches_in_flight = 2});
  for (std::uint64_t i = 0; i < 6; ++i) routes.subscribe("t", std::to_string(i), 0, i);
  NodeRoutes::Ready ready = routes.take_ready();
  BOOST_CHECK((text_of(ready) == Lines{"1 add t 0", "1 add t 1", "2 add t 2", "2 add t 3"}));
  BOOST_CHECK((ready.answers == Answers{{0, 5, SubscribeOutcome::full}}));
  routes.check_invariants();
  BOOST_CHECK(!routes.has_ready());
  reply(routes, 2, {Outcome::visible, Outcome::refused});
  ready = routes.take_ready();
  BOOST_CHECK(text_of(ready) == Lines{"3 add t 4"});
  routes.subscribe("t", "5", 0, 6);  // the refused one made room
  BOOST_CHECK(routes.take_ready().answers.empty());
  routes.subscribe("t", "0", 63, 7);  // a filter that is there needs no room
  reply(routes, 1, {Outcome::visible, Outcome::visible});
  BOOST_CHECK_EQUAL(routes.interest().find("t", "0"), 1ULL << 63 | 1);
}

/// Loops that change their minds, a dist that applies in order but may refuse or lose, and a
/// network that delivers answers late and in any order.
class World {
 public:
  explicit World(std::uint64_t seed)
      : random_(seed),
        routes_(kSelf, random_.next(),
                {.max_filters = random_.between(3, 12),
                 .max_changes_per_batch = random_.between(1, 4),
                 .max_batches_in_flight = random_.between(1, 3)}) {}

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      switch (random_.below(8)) {
        case 0:
        case 1:
        case 2:
          loop_acts();
          break;
        case 3:
        case 4:
          dist_acts(true);
          break;
        case 5:
        case 6:
          deliver();
          break;
        default:
          if (random_.one_in(3)) routes_.retry();
          break;
      }
      if (!random_.one_in(4)) drain();
      check();
    }
    settle();
    for (const auto& [at, mind] : std::map(minds_)) {
      if (mind.wants) unsubscribe(at);
    }
    settle();
    BOOST_REQUIRE_EQUAL(routes_.filters(), 0U);
    BOOST_REQUIRE(dist_.empty());
    BOOST_REQUIRE(open_tokens_.empty());
  }

 private:
  using Key = std::pair<std::string, std::string>;
  using At = std::pair<Key, std::uint32_t>;  // a loop's interest in a filter
  struct Mind {
    bool wants = false;
    bool done = false;
    std::uint64_t token = 0;  // of its last subscribe; 0 when it does not want
  };

  void loop_acts() {
    const Key key{random_.one_in(2) ? "t" : "u", std::string(1, "abcdefg"[random_.below(7)])};
    const At at{key, static_cast<std::uint32_t>(random_.below(3)) * 31};
    if (minds_[at].wants) {
      unsubscribe(at);
    } else {
      const std::uint64_t token = ++last_token_;
      open_tokens_[token] = at;
      minds_[at] = {.wants = true, .done = false, .token = token};
      routes_.subscribe(key.first, key.second, at.second, token);
    }
  }

  void unsubscribe(const At& at) {
    minds_[at] = {};
    routes_.unsubscribe(at.first.first, at.first.second, at.second);
  }

  void drain() {
    NodeRoutes::Ready ready = routes_.take_ready();
    if (ready.interest) published_ = *ready.interest;
    for (NodeRoutes::Batch& batch : ready.proposals) lane_.push_back(std::move(batch));
    for (const NodeRoutes::Answer& answer : ready.answers) {
      const auto token = open_tokens_.find(answer.token);
      BOOST_REQUIRE(token != open_tokens_.end());
      const At at = token->second;
      BOOST_REQUIRE_EQUAL(at.second, answer.loop);
      open_tokens_.erase(token);
      Mind& mind = minds_[at];
      if (mind.token != answer.token) continue;  // it has changed its mind since
      BOOST_REQUIRE(answer.outcome != SubscribeOutcome::cancelled);
      mind.done = answer.outcome == SubscribeOutcome::done;
      mind.wants = mind.done;
    }
    BOOST_REQUIRE(!routes_.has_ready());
  }

  void dist_acts(bool faults) {
    if (lane_.empty()) return;
    const NodeRoutes::Batch batch = std::move(lane_.front());
    lane_.pop_front();
    std::vector<Outcome> outcomes;
    for (const dist::RouteChange& change : batch.command.changes) {
      const Outcome outcome =
          faults && random_.one_in(3) ? static_cast<Outcome>(random_.below(3)) : Outcome::visible;
      outcomes.push_back(outcome);
      if (outcome == Outcome::refused) continue;
      if (outcome == Outcome::unknown && random_.one_in(2)) continue;
      const Key key{change.route.tenant, change.route.filter};
      if (change.kind == Kind::add) {
        dist_.insert(key);
      } else {
        dist_.erase(key);
      }
    }
    answers_.emplace_back(batch.id, std::move(outcomes));
  }

  void deliver() {
    if (answers_.empty()) return;
    const auto at = answers_.begin() + static_cast<long>(random_.below(answers_.size()));
    routes_.on_reply(at->first, at->second);
    answers_.erase(at);
  }

  /// Whoever was told "done" and has not left is matched: in the published interest and in dist.
  void check() {
    routes_.check_invariants();
    for (const auto& [at, mind] : minds_) {
      if (!mind.done) continue;
      const LoopMask loops = published_.match(at.first.first, at.first.second);
      BOOST_REQUIRE((loops >> at.second & 1) == 1);
      BOOST_REQUIRE(dist_.contains(at.first));
    }
  }

  /// Without faults all comes to rest, and dist has exactly what is wanted.
  void settle() {
    for (int round = 0; round < 200; ++round) {
      drain();
      dist_acts(false);
      deliver();
      routes_.retry();
      check();
    }
    drain();
    BOOST_REQUIRE_EQUAL(routes_.transitions(), 0U);
    BOOST_REQUIRE(open_tokens_.empty());
    std::map<Key, LoopMask> wanted;
    for (const auto& [at, mind] : minds_) {
      if (mind.wants) wanted[at.first] |= LoopMask{1} << at.second;
    }
    BOOST_REQUIRE_EQUAL(dist_.size(), wanted.size());
    for (const auto& [key, mask] : wanted) {
      BOOST_REQUIRE(dist_.contains(key));
      BOOST_REQUIRE_EQUAL(published_.find(key.first, key.second), mask);
    }
    BOOST_REQUIRE_EQUAL(routes_.filters(), wanted.size());
  }

  Random random_;
  NodeRoutes routes_;
  std::map<At, Mind> minds_;
  std::map<std::uint64_t, At> open_tokens_;
  std::uint64_t last_token_ = 0;
  InterestSnapshot published_;
  std::deque<NodeRoutes::Batch> lane_;  // proposed, in order
  std::set<Key> dist_;
  std::vector<std::pair<std::uint64_t, std::vector<Outcome>>> answers_;
};

BOOST_AUTO_TEST_CASE(random_scripts) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) { World(seed).run(300); }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::dispatch
