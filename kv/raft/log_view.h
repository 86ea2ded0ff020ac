// How the Raft core sees the stable part of its log. Owned by the shell, read by the core.
//
// Two implementations: MemoryLog (tests, simulation) and the log engine of kv/store. The core
// reads only what it knows to be durable: entries that it handed out in a Write and that were
// reported by Raft::written(), or that were there when it was constructed. Calls must not block:
// terms and bounds are answered from memory; entries that would need the disk are kPending, and
// once the shell has fetched them it calls Raft::take_ready(), which asks again. Only while a Raft
// is constructed everything behind the applied index must be at hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "kv/raft/types.h"

namespace skald::raft {

struct Fetch {
  enum class Status : std::uint8_t { kOk, kPending, kCompacted };

  Status status = Status::kOk;
  std::vector<Entry> entries;  ///< kOk: a non-empty prefix of what was asked for
};

class LogView {
 public:
  virtual ~LogView() = default;

  /// The first index that can be read. The term at first_index() - 1 is known too.
  virtual Index first_index() const = 0;
  /// The last stable index; first_index() - 1 if there is no entry.
  virtual Index last_index() const = 0;
  /// Empty outside [first_index() - 1, last_index()].
  virtual std::optional<Term> term(Index index) const = 0;
  /// Entries [low, high), at least one, no more than `bytes_max` after the first.
  /// Requires: low < high <= last_index() + 1.
  virtual Fetch entries(Index low, Index high, std::size_t bytes_max) const = 0;
};

}  // namespace skald::raft
