// Filter tries by tenant, each with a version: the snapshot that loops match against.
//
// Copying is O(1) and gives an immutable snapshot (see PersistentMap). The version of a tenant
// changes with every change of that tenant and of no other, and never takes a value that it had
// before with other content, so that "same version" proves a cached match valid.
#pragma once

#include <cstdint>
#include <string_view>

#include "mqtt/topic/filter_trie.h"

namespace skald::topic {

template <class V>
class TenantTries {
 public:
  /// `seed`: see FilterTrie. Versions given out are greater than `last_version`.
  explicit TenantTries(std::uint64_t seed = 0, std::uint64_t last_version = 0)
      : hash_{seed}, last_version_(last_version) {}

  /// 0: the tenant has no filters.
  std::uint64_t version(std::string_view tenant) const {
    const Tenant* found = tenants_.find(hashed(tenant));
    return found == nullptr ? 0 : found->version;
  }

  /// Null when the tenant has no filters.
  const FilterTrie<V>* find(std::string_view tenant) const {
    const Tenant* found = tenants_.find(hashed(tenant));
    return found == nullptr ? nullptr : &found->trie;
  }

  /// The value of (tenant, filter), V() when absent, to be changed by the caller.
  V& change(std::string_view tenant, std::string_view filter) {
    Tenant& changed = tenants_.at_or_insert(hashed(tenant), hash_);
    if (changed.version == 0) changed.trie = FilterTrie<V>(hash_.seed);
    changed.version = ++last_version_;
    return changed.trie.at_or_insert(filter);
  }

  /// False when (tenant, filter) was absent. A tenant goes with its last filter.
  bool erase(std::string_view tenant, std::string_view filter) {
    const FilterTrie<V>* trie = find(tenant);
    if (trie == nullptr || trie->find(filter) == nullptr) return false;
    Tenant* changed = tenants_.find_mutable(hashed(tenant));
    changed->version = ++last_version_;
    changed->trie.erase(filter);
    if (changed->trie.empty()) tenants_.erase(hashed(tenant));
    return true;
  }

  /// Calls on_match(const V&) for every filter of the tenant that matches `topic`.
  template <class F>
  void match(std::string_view tenant, std::string_view topic, F&& on_match) const {
    if (const FilterTrie<V>* trie = find(tenant)) trie->match(topic, on_match);
  }

  /// Calls visit(tenant, const FilterTrie<V>&), sorted by tenant.
  template <class F>
  void for_each_tenant(F&& visit) const {
    for (const MapEntry<Tenant>* entry : tenants_.sorted_entries()) {
      visit(entry->key(), entry->value.trie);
    }
  }

  /// Drops everything; versions go on from where they were.
  void clear() { tenants_ = {}; }

  std::uint64_t last_version() const { return last_version_; }

 private:
  struct Tenant {
    std::uint64_t version = 0;
    FilterTrie<V> trie;
  };

  HashedKey hashed(std::string_view tenant) const { return {tenant, hash_(tenant)}; }

  PersistentMap<Tenant> tenants_;
  SeededHash hash_;
  std::uint64_t last_version_;
};

}  // namespace skald::topic
