// A persistent trie from topic filters to V: what a publish is matched against.
//
// One node a level; the children of a node are a PersistentMap, so that a node with a million
// children is changed in O(log n). Copying a trie is O(1) and gives an immutable snapshot, which
// other threads may read and let go of while the owner of the original changes it. One handle, one
// thread.
//
// V is default-constructible and copied when a node that a snapshot shares is changed: a mask, a
// Ref, a small vector. Filters are valid (topic.h), without `$share/`, at most kMaxLevels deep:
// that bounds recursion. A match visits only nodes whose filter so far matches the topic so far.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/base/assert.h"
#include "mqtt/topic/persistent_map.h"
#include "mqtt/topic/topic.h"

namespace skald::topic {

template <class V>
class FilterTrie {
 public:
  /// `seed`: of the hashes, so that clients cannot choose levels that collide. No result but the
  /// order of match() depends on it.
  explicit FilterTrie(std::uint64_t seed = 0) : hash_{seed} {}

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  /// The value of exactly this filter; null when absent.
  const V* find(std::string_view filter) const {
    const Node* node = &root_;
    for (bool more = true; more && node != nullptr;) {
      node = node->children.find(hashed(next_level(filter, more)));
    }
    return node != nullptr && node->has_value ? &node->value : nullptr;
  }

  /// Like find; clones what snapshots share.
  V* find_mutable(std::string_view filter) {
    return find(filter) == nullptr ? nullptr : &at_or_insert(filter);
  }

  /// The value of this filter, V() when it was absent.
  V& at_or_insert(std::string_view filter) {
    Node* node = &root_;
    std::uint32_t depth = 0;
    for (bool more = true; more;) {
      SKALD_ASSERT(++depth <= kMaxLevels);
      const std::string_view level = next_level(filter, more);
      node->has_plus |= level == "+";
      node->has_hash |= level == "#";
      node = &node->children.at_or_insert(hashed(level), hash_);
    }
    if (!node->has_value) {
      node->has_value = true;
      ++size_;
    }
    return node->value;
  }

  /// False when it was absent. Leaves no empty nodes behind.
  bool erase(std::string_view filter) {
    if (find(filter) == nullptr) return false;
    std::array<Node*, kMaxLevels + 1> path{};
    std::array<HashedKey, kMaxLevels> levels;
    std::uint32_t depth = 0;
    path[0] = &root_;
    for (bool more = true; more; ++depth) {
      levels[depth] = hashed(next_level(filter, more));
      path[depth + 1] = path[depth]->children.find_mutable(levels[depth]);
    }
    path[depth]->value = V();
    path[depth]->has_value = false;
    --size_;
    for (; depth > 0 && !path[depth]->has_value && path[depth]->children.empty(); --depth) {
      Node* parent = path[depth - 1];
      parent->children.erase(levels[depth - 1]);
      if (levels[depth - 1].text == "+") parent->has_plus = false;
      if (levels[depth - 1].text == "#") parent->has_hash = false;
    }
    return true;
  }

  /// Calls on_match(const V&) for every filter that matches `topic`, each once, in no useful order.
  /// Requires: a valid topic name. The values live as long as this handle is not changed.
  template <class F>
  void match(std::string_view topic, F&& on_match) const {
    Levels levels(topic, hash_);
    visit(&root_, 0, levels, on_match);
  }

  /// The other way round, for a trie of topic names: calls on_match(const V&) for every name that
  /// `filter` matches, each once, in no useful order. Requires: a valid filter, without `$share/`.
  template <class F>
  void match_names(std::string_view filter, F&& on_match) const {
    NameWalk walk(*this, filter);
    for (std::size_t steps = SIZE_MAX; const V* found = walk.next(steps);) on_match(*found);
  }

  /// match_names in pieces. Requires: the trie stays as it is meanwhile (a copy does).
  class NameWalk;

  /// Calls visit(const std::string& filter, const V&) for all filters, sorted level by level.
  template <class F>
  void for_each(F&& visit) const {
    std::string prefix;
    for_each_below(root_, prefix, visit);
  }

 private:
  struct Node {
    PersistentMap<Node> children;
    V value{};
    bool has_value = false;
    bool has_plus = false;  // of the children: the wildcards are looked up only where they are
    bool has_hash = false;
  };

  /// The levels of a topic, split and hashed when first asked for.
  class Levels {
   public:
    Levels(std::string_view topic, SeededHash hash)
        : hash_(hash), rest_(topic), dollar_(topic.starts_with('$')) {}

    bool begins_with_dollar() const { return dollar_; }

    /// True when the topic has a level `i`; asked for in order, from 0.
    bool has(std::uint32_t i) {
      if (i < known_) return true;
      if (!more_ || known_ == kMaxLevels) return more_;
      const std::string_view level = next_level(rest_, more_);
      levels_[known_++] = {level, hash_(level)};
      return true;
    }

    /// Requires: has(i) was true, i < kMaxLevels.
    const HashedKey& operator[](std::uint32_t i) const { return levels_[i]; }

   private:
    SeededHash hash_;
    std::string_view rest_;
    bool dollar_;
    bool more_ = true;
    std::uint32_t known_ = 0;
    union {  // not initialised: most topics use a few of the many
      std::array<HashedKey, kMaxLevels> levels_;
    };
  };

  HashedKey hashed(std::string_view level) const { return {level, hash_(level)}; }

  template <class F>
  void visit(const Node* node, std::uint32_t depth, Levels& levels, F& on_match) const {
    for (; node != nullptr; ++depth) {
      const bool wild = depth > 0 || !levels.begins_with_dollar();  // [MQTT-4.7.2-1]
      if (node->has_hash && wild) on_match(node->children.find(hashed("#"))->value);
      if (!levels.has(depth)) {
        if (node->has_value) on_match(node->value);
        return;
      }
      if (node->children.empty()) return;
      if (node->has_plus && wild) {
        visit(node->children.find(hashed("+")), depth + 1, levels, on_match);
      }
      node = node->children.find(levels[depth]);
    }
  }

  template <class F>
  static void for_each_below(const Node& node, std::string& prefix, F& visit) {
    for (const MapEntry<Node>* entry : node.children.sorted_entries()) {
      const std::size_t size = prefix.size();
      prefix += entry->key();
      if (entry->value.has_value) visit(std::as_const(prefix), entry->value.value);
      prefix += '/';
      for_each_below(entry->value, prefix, visit);
      prefix.resize(size);
    }
  }

  Node root_;
  SeededHash hash_;
  std::size_t size_ = 0;
};

template <class V>
class FilterTrie<V>::NameWalk {
 public:
  /// Requires: a valid filter, without `$share/`.
  NameWalk(const FilterTrie& names, std::string_view filter) : names_(&names), filter_(filter) {}

  /// The next name that matches. Null: there is none any more (done()), or `steps` ran out, which
  /// go down by one for each node looked at; then it goes on from there with the next call.
  const V* next(std::size_t& steps) {
    if (!begun_) {
      begun_ = true;
      if (const V* found = descend(names_->root_, 0, steps)) return found;
    }
    while (!path_.empty() && steps > 0) {
      --steps;
      const MapEntry<Node>* child = path_.back().children.next();
      if (child == nullptr) {
        path_.pop_back();
      } else if (path_.size() > 1 || !top_is_first_level_ || !child->key().starts_with('$')) {
        if (const V* found = visit(child->value, path_.back(), steps)) return found;
      }
    }
    return nullptr;
  }

  bool done() const { return begun_ && path_.empty(); }

 private:
  static constexpr std::size_t kAll = SIZE_MAX;

  /// Children that a wildcard matches.
  struct Level {
    typename PersistentMap<Node>::Walk children;
    std::size_t rest;  // where the filter goes on below them; its size + 1: nowhere; kAll: `#`
  };

  const V* visit(const Node& node, const Level& level, std::size_t& steps) {
    if (level.rest != kAll) return descend(node, level.rest, steps);
    const V* found = node.has_value ? &node.value : nullptr;
    push(node, kAll);
    return found;
  }

  /// From `node` on, whose own level matched, by the filter from `at` on, to the next wildcard.
  const V* descend(const Node& start, std::size_t at, std::size_t& steps) {
    const Node* node = &start;
    while (at <= filter_.size()) {
      std::string_view rest = std::string_view(filter_).substr(at);
      bool more = true;
      const std::string_view level = next_level(rest, more);
      const std::size_t below = at + level.size() + 1;
      // [MQTT-4.7.2-1]: of the first level, a wildcard does not match what begins with `$`.
      if (level == "#" || level == "+") {
        top_is_first_level_ |= at == 0;
        const V* found = level == "#" && at > 0 && node->has_value ? &node->value : nullptr;
        push(*node, level == "#" ? kAll : below);
        return found;
      }
      node = node->children.find(names_->hashed(level));
      if (node == nullptr) return nullptr;
      steps -= steps > 0 ? 1 : 0;
      at = below;
    }
    return node->has_value ? &node->value : nullptr;
  }

  void push(const Node& node, std::size_t rest) {
    if (node.children.empty()) return;
    path_.push_back({typename PersistentMap<Node>::Walk(node.children), rest});
  }

  const FilterTrie* names_;
  std::string filter_;
  std::vector<Level> path_;  // at most one a level
  bool begun_ = false;
  bool top_is_first_level_ = false;  // the children of path_.front() are those of the root
};

}  // namespace skald::topic
