// Strong ids: numbers that cannot be mistaken for one another.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace skald {

/// A u64 that only compares with its own kind. `Tag` is never defined.
template <class Tag>
struct Id {
  std::uint64_t value = 0;

  constexpr auto operator<=>(const Id&) const = default;
  constexpr explicit operator bool() const { return value != 0; }
};

/// A Skald process's stable identity, kept in its data directory.
using NodeId = Id<struct NodeIdTag>;
/// One start of a process, granted by the meta range (design.md section 4). Never reused.
using LifeNumber = Id<struct LifeNumberTag>;
/// One range of a key space.
using RangeId = Id<struct RangeIdTag>;
/// One replica of a range; never reused on a store.
using ReplicaId = Id<struct ReplicaIdTag>;

/// Who owns a session or a route: a node, in one of its lives.
struct Life {
  NodeId node;
  LifeNumber number;

  constexpr auto operator<=>(const Life&) const = default;
};

}  // namespace skald

template <class Tag>
struct std::hash<skald::Id<Tag>> {
  std::size_t operator()(const skald::Id<Tag>& id) const noexcept {
    return std::hash<std::uint64_t>()(id.value);
  }
};
