// A LogView in memory, with the writes that a log engine has: for tests and simulation.
#pragma once

#include <vector>

#include "kv/raft/log_view.h"

namespace skald::raft {

class MemoryLog final : public LogView {
 public:
  /// A log that begins after `index`, whose entry had `term`.
  MemoryLog() : MemoryLog(0, 0) {}
  MemoryLog(Index index, Term term) : base_index_(index), base_term_(term) {}

  Index first_index() const override { return base_index_ + 1; }
  Index last_index() const override { return base_index_ + entries_.size(); }
  std::optional<Term> term(Index index) const override;
  Fetch entries(Index low, Index high, std::size_t bytes_max) const override;

  /// Writes entries, replacing everything from the first of them on.
  /// Requires: no gap, none at or below the base.
  void append(const std::vector<Entry>& entries);
  /// Forgets everything: the log begins after a snapshot.
  void reset(Index index, Term term);
  /// Forgets entries up to and including `index`. Requires: index <= last_index().
  void compact(Index index);

 private:
  Index base_index_;
  Term base_term_;
  std::vector<Entry> entries_;  ///< entries_[i] has index base_index_ + 1 + i
};

}  // namespace skald::raft
