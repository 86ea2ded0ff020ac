// A persistent hash map from strings to T: copies are O(1) and immutable from then on.
//
// A hash array mapped trie (Bagwell, "Ideal Hash Trees", 2001) of 32-way branches that hold only
// the occupied slots. A change clones the shared part of one path, O(log32 n) small nodes, and
// works in place where nothing is shared. Copies may be read and destroyed on other threads while
// the owner of the original goes on; one handle is used by one thread at a time.
//
// Keys come with their hash, made by SeededHash with the seed of whoever owns the map, so that a
// client cannot choose names that collide. Equal hashes still work, in a list.
// Iteration is in no useful order: sort what must be deterministic (see sorted_entries).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include "config/base/assert.h"
#include "mqtt/topic/counted.h"

namespace skald::topic {

namespace detail {

inline std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

template <class Word>
std::uint64_t load(const char* bytes) {
  Word word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

}  // namespace detail

/// A seeded hash for keys in memory. Differs between platforms; never stored or sent.
inline std::uint64_t hash_text(std::string_view text, std::uint64_t seed) {
  constexpr std::uint64_t k1 = 0x9e3779b97f4a7c15ULL;
  constexpr std::uint64_t k2 = 0xd6e8feb86659fd93ULL;
  const char* at = text.data();
  std::size_t left = text.size();
  std::uint64_t hash = seed ^ k1 ^ left;
  for (; left >= 8; at += 8, left -= 8) {
    hash = detail::fold(hash ^ detail::load<std::uint64_t>(at), k1);
  }
  std::uint64_t tail = 0;
  if (left >= 4) {
    tail = detail::load<std::uint32_t>(at) | detail::load<std::uint32_t>(at + left - 4) << 32;
  } else if (left > 0) {
    tail = detail::load<std::uint8_t>(at) | detail::load<std::uint8_t>(at + left / 2) << 8 |
           detail::load<std::uint8_t>(at + left - 1) << 16;
  }
  return detail::fold(detail::fold(hash ^ tail, k2), k1 ^ text.size());
}

/// hash_text with its seed: what a map's owner keeps.
struct SeededHash {
  std::uint64_t seed = 0;

  std::uint64_t operator()(std::string_view text) const { return hash_text(text, seed); }
};

/// A key together with its hash.
struct HashedKey {
  std::string_view text;
  std::uint64_t hash = 0;
};

/// One key and its value in one allocation, the key's bytes behind the object.
template <class T>
class MapEntry : public Counted {
 public:
  T value;

  std::string_view key() const {
    return {reinterpret_cast<const char*>(this) + sizeof(MapEntry), key_size_};
  }

  static MapEntry* create(std::string_view key, T value) {
    void* memory = ::operator new(sizeof(MapEntry) + key.size());
    auto* entry = new (memory) MapEntry(static_cast<std::uint32_t>(key.size()), std::move(value));
    std::memcpy(static_cast<char*>(memory) + sizeof(MapEntry), key.data(), key.size());
    return entry;
  }
  // The object is larger than its class, so the sized form must not be used.
  static void operator delete(void* memory) { ::operator delete(memory); }

 private:
  MapEntry(std::uint32_t key_size, T&& initial) : value(std::move(initial)), key_size_(key_size) {}
  MapEntry(const MapEntry&) = delete;

  std::uint32_t key_size_;
};

/// Invariants: a branch that holds a single entry is never kept (the entry takes its place); a
/// branch below the last hash bit is a plain list of entries with equal hashes.
template <class T>
class PersistentMap {
 public:
  using Entry = MapEntry<T>;

  PersistentMap() = default;
  PersistentMap(const PersistentMap& other) : root_(other.root_) { retain(root_); }
  PersistentMap(PersistentMap&& other) noexcept : root_(std::exchange(other.root_, Slot())) {}
  PersistentMap& operator=(PersistentMap other) noexcept {
    std::swap(root_, other.root_);
    return *this;
  }
  ~PersistentMap() { release(root_, 0); }

  bool empty() const { return root_.empty(); }

  const Entry* find_entry(const HashedKey& key) const {
    Slot slot = root_;
    for (unsigned shift = 0; slot.is_branch(); shift += kBits) {
      const Branch* branch = slot.branch();
      if (shift >= kHashBits) return find_in_list(*branch, key.text);
      const std::uint32_t bit = bit_of(key.hash, shift);
      if ((branch->bitmap & bit) == 0) return nullptr;
      slot = branch->slots()[branch->index_of(bit)];
    }
    if (slot.empty() || slot.entry()->key() != key.text) return nullptr;
    return slot.entry();
  }

  const T* find(const HashedKey& key) const {
    const Entry* entry = find_entry(key);
    return entry == nullptr ? nullptr : &entry->value;
  }

  /// Like find; what it returns is this handle's alone until the next copy of the handle.
  T* find_mutable(const HashedKey& key) {
    return find_entry(key) == nullptr ? nullptr : &at_or_insert(key, SeededHash());
  }

  /// The value of `key`, default-constructed when it was absent. `hash` is what made key.hash.
  template <class Hash>
  T& at_or_insert(const HashedKey& key, const Hash& hash) {
    Slot* at = &root_;
    for (unsigned shift = 0;; shift += kBits) {
      if (at->empty()) return plant(*at, key.text);
      if (!at->is_branch()) {
        if (at->entry()->key() == key.text) return own_entry(*at)->value;
        push_down(*at, shift, shift < kHashBits ? hash(at->entry()->key()) : 0);
      }
      Branch* branch = own_branch(*at, shift);
      if (shift >= kHashBits) return at_or_insert_in_list(*at, key.text);
      const std::uint32_t bit = bit_of(key.hash, shift);
      const unsigned index = branch->index_of(bit);
      if ((branch->bitmap & bit) == 0) {
        grow(*at, index, branch->count(shift));
        at->branch()->bitmap |= bit;
        return plant(at->branch()->slots()[index], key.text);
      }
      at = &branch->slots()[index];
    }
  }

  /// False when there was no such key.
  bool erase(const HashedKey& key) {
    if (find_entry(key) == nullptr) return false;
    erase_below(root_, key, 0);
    return true;
  }

  /// Calls visit(const Entry&) for all, in no useful order.
  template <class F>
  void for_each(F&& visit) const {
    for_each_below(root_, 0, visit);
  }

  /// All entries by key. O(n log n) and allocating: for rare walks whose order must be
  /// deterministic.
  std::vector<const Entry*> sorted_entries() const {
    std::vector<const Entry*> entries;
    for_each([&entries](const Entry& entry) { entries.push_back(&entry); });
    std::sort(entries.begin(), entries.end(),
              [](const Entry* a, const Entry* b) { return a->key() < b->key(); });
    return entries;
  }

 private:
  static constexpr unsigned kBits = 5;
  static constexpr unsigned kHashBits = 64;
  static constexpr unsigned kMaxDepth = kHashBits / kBits + 2;  // branches on a path, a list last

  struct Branch;

  /// Nothing, an entry, or a branch (told by the lowest bit of the pointer).
  class Slot {
   public:
    Slot() = default;
    explicit Slot(Entry* entry) : bits_(reinterpret_cast<std::uintptr_t>(entry)) {}
    explicit Slot(Branch* branch) : bits_(reinterpret_cast<std::uintptr_t>(branch) | 1) {}

    bool empty() const { return bits_ == 0; }
    bool is_branch() const { return (bits_ & 1) != 0; }
    Entry* entry() const { return reinterpret_cast<Entry*>(bits_); }
    Branch* branch() const { return reinterpret_cast<Branch*>(bits_ - 1); }

   private:
    std::uintptr_t bits_ = 0;
  };

 public:
  /// Gives all entries one after the other, in the order of for_each. Requires: the map stays as it
  /// is meanwhile (a copy does).
  class Walk {
   public:
    explicit Walk(const PersistentMap& map) : first_(map.root_) {
      if (first_.is_branch()) push(std::exchange(first_, Slot()).branch());
    }

    /// Null at the end.
    const Entry* next() {
      if (!first_.empty()) return std::exchange(first_, Slot()).entry();
      while (depth_ > 0) {
        Frame& top = path_[depth_ - 1];
        if (top.next == top.branch->count((depth_ - 1) * kBits)) {
          --depth_;
          continue;
        }
        const Slot slot = top.branch->slots()[top.next++];
        if (!slot.is_branch()) return slot.entry();
        push(slot.branch());
      }
      return nullptr;
    }

   private:
    struct Frame {
      const Branch* branch;
      unsigned next;
    };

    void push(const Branch* branch) { path_[depth_++] = {branch, 0}; }

    Slot first_;  // of a map of one entry
    unsigned depth_ = 0;
    union {  // not initialised: most maps are shallow
      std::array<Frame, kMaxDepth> path_;
    };
  };

 private:
  /// The occupied slots follow the object. `bitmap` says which they are; in a list, how many.
  struct Branch : Counted {
    std::uint32_t bitmap = 0;

    Slot* slots() { return reinterpret_cast<Slot*>(this + 1); }
    const Slot* slots() const { return reinterpret_cast<const Slot*>(this + 1); }
    unsigned index_of(std::uint32_t bit) const {
      return static_cast<unsigned>(std::popcount(bitmap & (bit - 1)));
    }
    unsigned count(unsigned shift) const {
      return shift >= kHashBits ? bitmap : static_cast<unsigned>(std::popcount(bitmap));
    }

    static Branch* create(unsigned count) {
      void* memory = ::operator new(sizeof(Branch) + count * sizeof(Slot));
      auto* branch = new (memory) Branch();
      for (unsigned i = 0; i < count; ++i) new (branch->slots() + i) Slot();
      return branch;
    }
    static void operator delete(void* memory) { ::operator delete(memory); }
  };
  static_assert(sizeof(Branch) % alignof(Slot) == 0);

  static std::uint32_t bit_of(std::uint64_t hash, unsigned shift) {
    return 1U << ((hash >> shift) & 31);
  }

  static void retain(Slot slot) {
    if (slot.is_branch()) {
      slot.branch()->retain();
    } else if (!slot.empty()) {
      slot.entry()->retain();
    }
  }

  static void release(Slot slot, unsigned shift) {
    if (slot.empty()) return;
    if (!slot.is_branch()) {
      if (slot.entry()->release()) delete slot.entry();
      return;
    }
    Branch* branch = slot.branch();
    if (!branch->release()) return;
    const unsigned count = branch->count(shift);
    for (unsigned i = 0; i < count; ++i) release(branch->slots()[i], shift + kBits);
    delete branch;
  }

  static const Entry* find_in_list(const Branch& list, std::string_view key) {
    for (unsigned i = 0; i < list.bitmap; ++i) {
      const Entry* entry = list.slots()[i].entry();
      if (entry->key() == key) return entry;
    }
    return nullptr;
  }

  static T& plant(Slot& empty_slot, std::string_view key) {
    empty_slot = Slot(Entry::create(key, T()));
    return empty_slot.entry()->value;
  }

  /// Replaces the entry in `at` by a branch that holds it.
  static void push_down(Slot& at, unsigned shift, std::uint64_t hash) {
    Branch* branch = Branch::create(1);
    branch->slots()[0] = at;
    branch->bitmap = shift >= kHashBits ? 1 : bit_of(hash, shift);
    at = Slot(branch);
  }

  static Entry* own_entry(Slot& at) {
    Entry* entry = at.entry();
    if (entry->unique()) return entry;
    at = Slot(Entry::create(entry->key(), entry->value));
    release(Slot(entry), 0);
    return at.entry();
  }

  static Branch* own_branch(Slot& at, unsigned shift) {
    Branch* shared = at.branch();
    if (shared->unique()) return shared;
    const unsigned count = shared->count(shift);
    Branch* own = Branch::create(count);
    own->bitmap = shared->bitmap;
    for (unsigned i = 0; i < count; ++i) {
      own->slots()[i] = shared->slots()[i];
      retain(own->slots()[i]);
    }
    release(at, shift);
    at = Slot(own);
    return own;
  }

  /// Makes room for one slot at `index` of the branch in `at`, which is this handle's alone.
  static void grow(Slot& at, unsigned index, unsigned count) {
    Branch* small = at.branch();
    Branch* large = Branch::create(count + 1);
    large->bitmap = small->bitmap;
    std::copy_n(small->slots(), index, large->slots());
    std::copy_n(small->slots() + index, count - index, large->slots() + index + 1);
    delete small;
    at = Slot(large);
  }

  /// Takes the slot at `index`, already released, out of the branch in `at`.
  static void shrink(Slot& at, unsigned index, unsigned count) {
    Branch* large = at.branch();
    Branch* small = Branch::create(count - 1);
    small->bitmap = large->bitmap;
    std::copy_n(large->slots(), index, small->slots());
    std::copy_n(large->slots() + index + 1, count - 1 - index, small->slots() + index);
    delete large;
    at = Slot(small);
  }

  static T& at_or_insert_in_list(Slot& at, std::string_view key) {
    Branch* list = at.branch();
    const unsigned count = list->bitmap;
    for (unsigned i = 0; i < count; ++i) {
      if (list->slots()[i].entry()->key() == key) return own_entry(list->slots()[i])->value;
    }
    grow(at, count, count);
    at.branch()->bitmap = count + 1;
    return plant(at.branch()->slots()[count], key);
  }

  /// Requires: the key is below `at`.
  static void erase_below(Slot& at, const HashedKey& key, unsigned shift) {
    if (!at.is_branch()) {
      release(at, shift);
      at = Slot();
      return;
    }
    Branch* branch = own_branch(at, shift);
    unsigned count = branch->count(shift);
    unsigned index = 0;
    if (shift >= kHashBits) {
      while (branch->slots()[index].entry()->key() != key.text) ++index;
    } else {
      index = branch->index_of(bit_of(key.hash, shift));
    }
    erase_below(branch->slots()[index], key, shift + kBits);
    if (branch->slots()[index].empty()) {
      shrink(at, index, count);
      branch = at.branch();
      --count;
      branch->bitmap = shift >= kHashBits ? count : branch->bitmap & ~bit_of(key.hash, shift);
    }
    SKALD_ASSERT(count > 0);
    if (count == 1 && !branch->slots()[0].is_branch()) {
      at = branch->slots()[0];
      delete branch;
    }
  }

  template <class F>
  static void for_each_below(Slot slot, unsigned shift, F& visit) {
    if (slot.empty()) return;
    if (!slot.is_branch()) {
      visit(static_cast<const Entry&>(*slot.entry()));
      return;
    }
    const unsigned count = slot.branch()->count(shift);
    for (unsigned i = 0; i < count; ++i) {
      for_each_below(slot.branch()->slots()[i], shift + kBits, visit);
    }
  }

  Slot root_;
};

}  // namespace skald::topic
