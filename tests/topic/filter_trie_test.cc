// The persistent map and the filter trie against naive models, old snapshots included.
#include "mqtt/topic/filter_trie.h"

#include <boost/test/unit_test.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/base/random.h"
#include "mqtt/topic/tenant_tries.h"

namespace skald::topic {
namespace {

using Model = std::map<std::string, std::uint64_t>;

std::string random_level(Random& random, bool wild) {
  static const char* const kLevels[] = {"", "a", "b", "c", "$x", "ab"};
  if (wild && random.one_in(4)) return "+";
  return kLevels[random.below(6)];
}

std::string random_filter(Random& random) {
  for (;;) {
    std::string filter;
    const std::uint64_t levels = random.between(1, 5);
    for (std::uint64_t i = 0; i < levels; ++i) {
      if (i > 0) filter += '/';
      filter += random_level(random, true);
    }
    if (random.one_in(4)) filter += filter.empty() ? "#" : "/#";
    if (check_plain_filter(filter) == Refusal::none) return filter;
  }
}

std::string random_topic(Random& random) {
  std::string topic;
  const std::uint64_t levels = random.between(1, 6);
  for (std::uint64_t i = 0; i < levels; ++i) {
    if (i > 0) topic += '/';
    topic += random_level(random, false);
  }
  return topic.empty() ? "a" : topic;
}

std::multiset<std::uint64_t> naive_match(const Model& model, const std::string& topic) {
  std::multiset<std::uint64_t> values;
  for (const auto& [filter, value] : model) {
    if (matches(filter, topic)) values.insert(value);
  }
  return values;
}

std::multiset<std::uint64_t> trie_match(const FilterTrie<std::uint64_t>& trie,
                                        const std::string& topic) {
  std::multiset<std::uint64_t> values;
  trie.match(topic, [&values](std::uint64_t value) { values.insert(value); });
  return values;
}

void check_equal(const FilterTrie<std::uint64_t>& trie, const Model& model) {
  BOOST_REQUIRE_EQUAL(trie.size(), model.size());
  Model seen;
  trie.for_each([&seen](const std::string& filter, std::uint64_t value) { seen[filter] = value; });
  BOOST_REQUIRE(seen == model);
}

BOOST_AUTO_TEST_SUITE(filter_trie)

/// A hash so weak that branches below the last bit (lists of equal hashes) are used.
struct WeakHash {
  unsigned bits;

  std::uint64_t operator()(std::string_view text) const {
    const std::uint64_t hash = hash_text(text, 1);
    return bits == 64 ? hash : hash & ((1ULL << bits) - 1);
  }
};

void map_against_model(WeakHash hash, std::uint64_t keys) {
  using Map = PersistentMap<std::uint64_t>;
  Random random(7 + hash.bits);
  Map map;
  Model model;
  std::vector<std::pair<Map, Model>> old;
  for (int step = 0; step < 20000; ++step) {
    const std::string text = "k" + std::to_string(random.below(keys));
    const HashedKey key{text, hash(text)};
    if (random.one_in(3)) {
      BOOST_REQUIRE_EQUAL(map.erase(key), model.erase(text) == 1);
    } else {
      map.at_or_insert(key, hash) = model[text] = random.next();
    }
    const std::string probe = "k" + std::to_string(random.below(keys));
    const auto found = model.find(probe);
    const std::uint64_t* value = map.find({probe, hash(probe)});
    BOOST_REQUIRE_EQUAL(value != nullptr, found != model.end());
    if (value != nullptr) BOOST_REQUIRE_EQUAL(*value, found->second);
    if (random.one_in(2000)) old.emplace_back(map, model);
  }
  old.emplace_back(map, model);
  for (const auto& [snapshot, then] : old) {
    Model seen;
    for (const auto* entry : snapshot.sorted_entries()) {
      seen[std::string(entry->key())] = entry->value;
    }
    BOOST_REQUIRE(seen == then);
  }
  for (std::uint64_t i = 0; i < keys; ++i) {
    const std::string text = "k" + std::to_string(i);
    map.erase({text, hash(text)});
  }
  BOOST_CHECK(map.empty());
}

BOOST_AUTO_TEST_CASE(persistent_map_against_std_map) {
  map_against_model({.bits = 64}, 3000);
  map_against_model({.bits = 6}, 300);
  map_against_model({.bits = 0}, 30);
}

BOOST_AUTO_TEST_CASE(random_against_naive_matcher) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      FilterTrie<std::uint64_t> trie(random.next());
      Model model;
      std::vector<std::pair<FilterTrie<std::uint64_t>, Model>> old;
      for (int step = 0; step < 2000; ++step) {
        const std::string filter = random_filter(random);
        if (random.one_in(3)) {
          BOOST_REQUIRE_EQUAL(trie.erase(filter), model.erase(filter) == 1);
        } else {
          trie.at_or_insert(filter) = model[filter] = random.next();
        }
        const std::string probe = random_filter(random);
        const auto found = model.find(probe);
        const std::uint64_t* value = trie.find(probe);
        BOOST_REQUIRE_EQUAL(value != nullptr, found != model.end());
        if (value != nullptr) BOOST_REQUIRE_EQUAL(*value, found->second);
        const std::string topic = random_topic(random);
        BOOST_REQUIRE(trie_match(trie, topic) == naive_match(model, topic));
        if (random.one_in(100)) old.emplace_back(trie, model);
        if (!old.empty() && random.one_in(50)) {
          const auto& [snapshot, then] = old[random.below(old.size())];
          BOOST_REQUIRE(trie_match(snapshot, topic) == naive_match(then, topic));
        }
        if (old.size() > 5) old.erase(old.begin() + static_cast<int>(random.below(5)));
      }
      check_equal(trie, model);
      for (const auto& [snapshot, then] : old) check_equal(snapshot, then);
      while (!model.empty()) {
        BOOST_REQUIRE(trie.erase(model.begin()->first));
        model.erase(model.begin());
      }
      check_equal(trie, model);
      BOOST_CHECK(trie_match(trie, "a").empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(deepest_filter_and_deeper_topic) {
  FilterTrie<std::uint64_t> trie;
  const std::string deepest(kMaxLevels - 1, '/');
  trie.at_or_insert(deepest) = 1;
  trie.at_or_insert(deepest.substr(1) + "#") = 2;
  trie.at_or_insert("#") = 3;
  BOOST_CHECK(trie_match(trie, deepest) == (std::multiset<std::uint64_t>{1, 2, 3}));
  BOOST_CHECK(trie_match(trie, deepest + "/") == (std::multiset<std::uint64_t>{2, 3}));
  BOOST_CHECK(trie_match(trie, std::string(65535, '/')) == (std::multiset<std::uint64_t>{2, 3}));
  BOOST_CHECK(trie.erase(deepest));
  BOOST_CHECK(trie_match(trie, deepest) == (std::multiset<std::uint64_t>{2, 3}));
}

BOOST_AUTO_TEST_CASE(order_is_by_level) {
  FilterTrie<std::uint64_t> trie(99);
  for (const char* filter : {"b", "a!", "a/z", "a", "a/+/c", "#", "a/+"}) trie.at_or_insert(filter);
  std::vector<std::string> seen;
  trie.for_each([&seen](const std::string& filter, std::uint64_t) { seen.push_back(filter); });
  const std::vector<std::string> want{"#", "a", "a/+", "a/+/c", "a/z", "a!", "b"};
  BOOST_CHECK_EQUAL_COLLECTIONS(seen.begin(), seen.end(), want.begin(), want.end());
}

BOOST_AUTO_TEST_CASE(tenants_have_their_own_versions) {
  TenantTries<std::uint64_t> tries(5);
  tries.change("t", "a") = 1;
  tries.change("u", "a") = 2;
  const TenantTries<std::uint64_t> before = tries;
  const std::uint64_t t = tries.version("t");
  const std::uint64_t u = tries.version("u");
  BOOST_CHECK_NE(t, 0U);
  tries.change("u", "b") = 3;
  BOOST_CHECK_EQUAL(tries.version("t"), t);
  BOOST_CHECK_GT(tries.version("u"), u);
  BOOST_CHECK(!tries.erase("t", "b"));
  BOOST_CHECK_EQUAL(tries.version("t"), t);
  BOOST_CHECK(tries.erase("t", "a"));
  BOOST_CHECK_EQUAL(tries.version("t"), 0U);
  BOOST_CHECK(tries.find("t") == nullptr);
  tries.change("t", "a") = 4;
  BOOST_CHECK_GT(tries.version("t"), t);
  BOOST_CHECK_EQUAL(before.version("t"), t);
  BOOST_CHECK_EQUAL(*before.find("t")->find("a"), 1U);
  BOOST_CHECK_EQUAL(before.find("u")->size(), 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::topic
