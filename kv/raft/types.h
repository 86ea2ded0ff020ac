// The nouns of Raft: terms, indexes, entries, hard state, snapshot meta.
//
// Plain values, owned by whoever holds them. Index 0 is the place before the first entry, term 0
// the time before the first election, replica 0 is nobody.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "config/base/ids.h"
#include "kv/raft/config.h"

namespace skald::raft {

using Term = std::uint64_t;
using Index = std::uint64_t;

/// Immutable bytes shared by log, messages and state machine; null is empty.
using Payload = std::shared_ptr<const std::string>;

inline Payload make_payload(std::string bytes) {
  return std::make_shared<const std::string>(std::move(bytes));
}

enum class EntryKind : std::uint8_t {
  kNoop = 0,     ///< a leader's first entry: commits what came before it (Raft 5.4.2, 6.4)
  kCommand = 1,  ///< bytes for the state machine
  kConfig = 2,   ///< an encoded ConfigEntry (config.h), in force from its append
};

/// What an entry weighs besides its payload, in every byte limit.
inline constexpr std::size_t kEntryOverheadBytes = 32;

struct Entry {
  Term term = 0;
  Index index = 0;
  EntryKind kind = EntryKind::kNoop;
  Payload data;

  std::size_t bytes() const { return kEntryOverheadBytes + (data ? data->size() : 0); }
};

/// What must survive a restart besides the log. `commit` is a hint: losing it loses nothing.
struct HardState {
  Term term = 0;
  ReplicaId vote;
  Index commit = 0;

  bool operator==(const HardState&) const = default;
};

/// The place in the log that a snapshot stands for, and the configuration in force there.
struct SnapshotMeta {
  Index index = 0;
  Term term = 0;
  Config config;

  bool operator==(const SnapshotMeta&) const = default;
};

}  // namespace skald::raft
