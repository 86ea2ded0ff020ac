// The retain state machine against a model that is nothing but a map of messages.
#include "mqtt/retain/state_machine.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/base/random.h"
#include "mqtt/retain/record.h"
#include "mqtt/topic/topic.h"
#include "tests/retain/publications.h"

namespace skald::retain {
namespace {

using Name = std::pair<std::string, std::string>;
using Records = std::map<std::string, std::string>;

const char* const kTenants[] = {"t", "u", "tt"};
const char* const kTopics[] = {"a",  "b",    "a/b",  "a/b/c", "/",     "/a",  "a/",  "a//b",
                               "$x", "$x/a", "a/$x", "c",     "c/d/e", "c/d", "b/b", "b/c"};

range::ApplyContext at(std::uint64_t now_ms) {
  range::ApplyContext context;
  context.index = 1;
  context.stamp_us = now_ms * 1000;
  return context;
}

/// As the range does: into the store, in the batch of the command.
void replay(const std::vector<range::Write>& writes, Records& records) {
  for (const range::Write& write : writes) {
    if (write.kind == range::Write::Kind::put) {
      records[write.key] = write.value;
    } else {
      BOOST_REQUIRE(write.value.empty());
      records.erase(write.key);
    }
  }
}

class Model {
 public:
  explicit Model(Limits limits) : limits_(limits) {}

  StoreResult store(const mqtt::PublicationRef& publication) {
    const Name name{publication->tenant(), publication->topic()};
    if (topic::check_name(name.second) != topic::Refusal::none) return StoreResult::invalid;
    if (!boundary.contains(record_key(name.first, name.second))) return StoreResult::wrong_range;
    if (publication->payload().empty()) {
      messages.erase(name);
      return StoreResult::done;
    }
    auto after = messages;
    after.insert_or_assign(name, publication);
    const StateMachine::Usage used = usage(after, name.first);
    if (used.messages > limits_.max_messages || used.bytes > limits_.max_bytes) {
      return StoreResult::quota;
    }
    messages = std::move(after);
    return StoreResult::done;
  }

  /// The names that one Expire takes away.
  std::vector<Name> expire(std::uint64_t now_ms, std::uint32_t limit) {
    std::vector<std::pair<mqtt::TimeMs, Name>> due;
    for (const auto& [name, message] : messages) {
      const mqtt::TimeMs when = message->info().expiry_ms;
      if (when != 0 && when <= now_ms) due.emplace_back(when, name);
    }
    std::sort(due.begin(), due.end());
    if (due.size() > limit) due.resize(limit);
    std::vector<Name> gone;
    for (const auto& [when, name] : due) {
      messages.erase(name);
      gone.push_back(name);
    }
    return gone;
  }

  static StateMachine::Usage usage(const std::map<Name, mqtt::PublicationRef>& messages,
                                   const std::string& tenant) {
    StateMachine::Usage used;
    for (const auto& [name, message] : messages) {
      if (name.first != tenant) continue;
      ++used.messages;
      used.bytes += message->size_bytes();
    }
    return used;
  }

  std::optional<mqtt::TimeMs> next_expiry_ms() const {
    std::optional<mqtt::TimeMs> next;
    for (const auto& [name, message] : messages) {
      const mqtt::TimeMs when = message->info().expiry_ms;
      if (when != 0 && (!next || when < *next)) next = when;
    }
    return next;
  }

  Records records() const {
    Records all;
    for (const auto& [name, message] : messages) {
      all[record_key(name.first, name.second)] = record_value(*message);
    }
    return all;
  }

  std::map<Name, mqtt::PublicationRef> messages;
  range::Boundary boundary;

 private:
  Limits limits_;
};

void check_snapshot(const RetainSnapshot& snapshot,
                    const std::map<Name, mqtt::PublicationRef>& all) {
  for (const std::string tenant : kTenants) {
    std::map<std::string, mqtt::PublicationRef> found;
    for (const char* filter : {"#", "$x/#"}) {
      for (const mqtt::PublicationRef& one : snapshot.match(tenant, filter)) {
        BOOST_REQUIRE_EQUAL(one->tenant(), tenant);
        BOOST_REQUIRE(found.emplace(one->topic(), one).second);
      }
    }
    for (const char* topic : kTopics) {
      const auto wanted = all.find({tenant, topic});
      const mqtt::PublicationRef* exact = snapshot.find(tenant, topic);
      BOOST_REQUIRE_EQUAL(exact != nullptr, wanted != all.end());
      BOOST_REQUIRE_EQUAL(found.contains(topic), wanted != all.end());
      if (exact == nullptr) continue;
      BOOST_REQUIRE(same(**exact, *wanted->second));
      BOOST_REQUIRE(same(*found[topic], *wanted->second));
      found.erase(topic);
    }
    BOOST_REQUIRE(found.empty());
  }
}

void check_equal(const StateMachine& machine, const Model& model) {
  check_snapshot(machine.snapshot(), model.messages);
  for (const std::string tenant : kTenants) {
    BOOST_REQUIRE(machine.usage(tenant) == Model::usage(model.messages, tenant));
  }
  BOOST_REQUIRE(machine.next_expiry_ms() == model.next_expiry_ms());
}

StateMachine rebuilt(const range::Boundary& boundary, const Records& records, std::size_t chunk) {
  StateMachine machine(99);
  machine.boundary_changed(boundary);
  // Something that must not survive.
  machine.apply(at(1), Store{{make({.topic = "left/over", .expiry_ms = 1})}});
  machine.rebuild_start();
  std::vector<range::Record> views;
  for (const auto& [key, value] : records) {
    views.push_back({key, value});
    if (views.size() < chunk) continue;
    BOOST_REQUIRE(machine.rebuild_chunk(views).ok());
    views.clear();
  }
  BOOST_REQUIRE(machine.rebuild_chunk(views).ok());
  machine.rebuild_finish();
  return machine;
}

struct Script {
  Script(std::uint64_t seed, const Limits& given)
      : random(seed), limits(given), model(given), machine(5) {}

  Random random;
  Limits limits;
  Model model;
  StateMachine machine;
  Records records{};
  std::uint64_t now_ms = 1000;
  std::uint64_t sequence = 0;

  mqtt::PublicationRef random_publication() {
    static const char* const kInvalid[] = {"", "+", "a/#", "#"};
    const bool invalid = random.one_in(30);
    const std::string payload(random.one_in(4) ? 0 : random.between(1, 40), 'p');
    return make({.tenant = kTenants[random.below(3)],
                 .topic = invalid ? kInvalid[random.below(4)] : kTopics[random.below(16)],
                 .payload = payload,
                 .properties = random.one_in(5) ? "props" : "",
                 .expiry_ms = random.one_in(3) ? now_ms + random.between(1, 300) : 0,
                 .sequence = ++sequence,
                 .qos = static_cast<codec::QoS>(random.below(3))});
  }

  void store() {
    Store command{.publications = {}, .most = limits};
    for (std::uint64_t left = random.between(0, 8); left > 0; --left) {
      command.publications.push_back(random_publication());
    }
    const RetainSnapshot before = machine.snapshot();
    const auto old_messages = model.messages;
    Reply wanted;
    std::map<std::string, int> touched;
    for (const mqtt::PublicationRef& one : command.publications) {
      wanted.results.push_back(model.store(one));
      if (wanted.results.back() == StoreResult::done) {
        touched[record_key(one->tenant(), one->topic())] = 0;
      }
    }
    const auto applied = machine.apply(at(now_ms), command);
    BOOST_REQUIRE(applied.reply == wanted);
    for (const range::Write& write : applied.writes) {  // coalesced: at most once each
      BOOST_REQUIRE_EQUAL(++touched.at(write.key), 1);
    }
    replay(applied.writes, records);
    if (!applied.writes.empty()) BOOST_REQUIRE_EQUAL(applied.effects.size(), 1U);
    check_snapshot(before, old_messages);  // an old snapshot does not move
  }

  void expire() {
    now_ms += random.below(150);
    const auto limit = static_cast<std::uint32_t>(random.between(1, 4));
    const std::vector<Name> gone = model.expire(now_ms, limit);
    const auto applied = machine.apply(at(now_ms), Expire{limit});
    BOOST_REQUIRE_EQUAL(applied.writes.size(), gone.size());
    BOOST_REQUIRE_EQUAL(applied.effects.size(), gone.empty() ? 0U : 1U);
    const auto next = model.next_expiry_ms();
    BOOST_REQUIRE_EQUAL(applied.reply.more, next.has_value() && *next <= now_ms);
    replay(applied.writes, records);
  }

  /// A split: what is outside is forgotten, and nobody writes anything.
  void move_boundary() {
    range::Boundary boundary;
    if (random.one_in(2)) boundary.start = random_key();
    if (random.one_in(2)) boundary.end = random_key();
    if (boundary.end && *boundary.end <= boundary.start) boundary.end.reset();
    model.boundary = boundary;
    machine.boundary_changed(boundary);
    std::erase_if(model.messages, [&boundary](const auto& entry) {
      return !boundary.contains(record_key(entry.first.first, entry.first.second));
    });
    std::erase_if(records,
                  [&boundary](const auto& entry) { return !boundary.contains(entry.first); });
  }

  std::string random_key() {
    return record_key(kTenants[random.below(3)], kTopics[random.below(16)]);
  }

  void run(int steps) {
    for (int step = 0; step < steps; ++step) {
      const std::uint64_t what = random.below(20);
      if (what < 14) {
        store();
      } else if (what < 19) {
        expire();
      } else {
        move_boundary();
      }
      check_equal(machine, model);
      BOOST_REQUIRE(records == model.records());
      if (!random.one_in(10)) continue;
      check_equal(rebuilt(model.boundary, records, random.between(1, 7)), model);
      if (random.one_in(2)) machine = rebuilt(model.boundary, records, 3);
    }
  }
};

BOOST_AUTO_TEST_SUITE(state_machine)

BOOST_AUTO_TEST_CASE(against_the_model) {
  const std::uint64_t one = make({})->size_bytes();
  const Limits limits[] = {{}, {.max_messages = 5}, {.max_bytes = one * 4}, {4, one * 4}};
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Script script(seed, limits[seed % 4]);
      script.run(120);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_last_one_of_a_batch_wins) {
  StateMachine machine;
  const auto applied = machine.apply(
      at(1), Store{{make({.payload = "1"}), make({.payload = "2"}), make({.topic = "b"}),
                    make({.topic = "b", .payload = ""}), make({.payload = "3", .sequence = 4})}});
  BOOST_CHECK(applied.reply.results == std::vector<StoreResult>(5, StoreResult::done));
  BOOST_REQUIRE_EQUAL(applied.writes.size(), 2U);
  Records records;
  replay(applied.writes, records);
  BOOST_REQUIRE_EQUAL(records.size(), 1U);
  BOOST_CHECK_EQUAL(records.begin()->second, record_value(*make({.payload = "3", .sequence = 4})));
}

BOOST_AUTO_TEST_CASE(quota_leaves_what_was_there) {
  const std::uint64_t one = make({})->size_bytes();
  const Limits most{.max_messages = 2, .max_bytes = one * 2 + 5};
  StateMachine machine;
  const auto store = [&](const Sample& sample) {
    return machine.apply(at(1), Store{{make(sample)}, {}, most}).reply.results.at(0);
  };
  BOOST_CHECK(store({.topic = "a"}) == StoreResult::done);
  BOOST_CHECK(store({.topic = "b"}) == StoreResult::done);
  BOOST_CHECK(store({.topic = "c"}) == StoreResult::quota);                      // one too many
  BOOST_CHECK(store({.topic = "b", .payload = "123456"}) == StoreResult::done);  // just fits
  BOOST_CHECK(store({.topic = "b", .payload = "1234567"}) == StoreResult::quota);
  BOOST_CHECK_EQUAL((*machine.snapshot().find("t", "b"))->payload(), "123456");
  BOOST_CHECK(store({.tenant = "u", .topic = "c"}) == StoreResult::done);  // nobody else's limit
  BOOST_CHECK(store({.topic = "a", .payload = ""}) == StoreResult::done);
  BOOST_CHECK(store({.topic = "c"}) == StoreResult::done);
}

/// A command brings its tenants' own limits; those of all stay the ceiling.
BOOST_AUTO_TEST_CASE(limits_of_a_tenant) {
  const std::uint64_t one = make({})->size_bytes();
  const Limits most{.max_messages = 3, .max_bytes = one * 10};
  StateMachine machine;
  const auto store = [&](const Sample& sample, std::vector<Store::Limit> limits) {
    return machine.apply(at(1), Store{{make(sample)}, std::move(limits), most}).reply.results.at(0);
  };
  const std::vector<Store::Limit> two = {{"u", 1, 1}, {"t", 2, 0}};
  BOOST_CHECK(store({.topic = "a"}, two) == StoreResult::done);
  BOOST_CHECK(store({.topic = "b"}, two) == StoreResult::done);
  BOOST_CHECK(store({.topic = "c"}, two) == StoreResult::quota);
  BOOST_CHECK(store({.topic = "b", .payload = "123456"}, two) == StoreResult::done);
  BOOST_CHECK(store({.topic = "c"}, {{"t", 9, 0}}) == StoreResult::done);
  BOOST_CHECK(store({.topic = "d"}, {{"t", 9, 0}}) == StoreResult::quota);
  BOOST_CHECK(store({.topic = "c", .payload = "123456"}, {{"t", 0, one * 3}}) ==
              StoreResult::quota);
  BOOST_CHECK(store({.topic = "c", .payload = ""}, two) == StoreResult::done);
  BOOST_CHECK(store({.tenant = "u", .topic = "a"}, two) == StoreResult::quota);  // by its bytes
}

/// What is there may be more than a limit that was lowered since: it stays, and may shrink.
BOOST_AUTO_TEST_CASE(lowered_limits) {
  Records records;
  for (const char* topic : {"a", "b", "c"}) {
    records[record_key("t", topic)] = record_value(*make({.topic = topic, .payload = "12345"}));
  }
  const std::uint64_t one = make({.payload = "12345"})->size_bytes();
  const Limits most{.max_messages = 2, .max_bytes = one};
  StateMachine machine = rebuilt({}, records, 2);
  BOOST_CHECK_EQUAL(machine.usage("t").messages, 3U);
  const auto store = [&](const Sample& sample) {
    return machine.apply(at(1), Store{{make(sample)}, {}, most}).reply.results.at(0);
  };
  BOOST_CHECK(store({.topic = "a", .payload = "new"}) == StoreResult::done);
  BOOST_CHECK(store({.topic = "a", .payload = "larger"}) == StoreResult::quota);
  BOOST_CHECK(store({.topic = "d", .payload = "n"}) == StoreResult::quota);
}

BOOST_AUTO_TEST_CASE(rebuild_refuses_what_it_cannot_read) {
  StateMachine machine;
  machine.rebuild_start();
  const std::string key = record_key("t", "a");
  const range::Record bad[] = {{key, "\2 from tomorrow"}};
  BOOST_CHECK(!machine.rebuild_chunk(bad).ok());
}

BOOST_AUTO_TEST_CASE(split_keys) {
  StateMachine machine;
  machine.boundary_changed({"b", "m"});
  BOOST_CHECK(!machine.split_key("a"));
  BOOST_CHECK(!machine.split_key("b"));
  BOOST_CHECK(!machine.split_key("m"));
  BOOST_CHECK(machine.split_key("c") == "c");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::retain
