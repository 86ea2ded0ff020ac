// The replicated log as the core knows it: the stable part behind LogView, and the tail that is
// not known to be durable.
//
// Owned by one Raft. Invariants: commit <= last_index(); entries of the tail are contiguous and
// start right after stable(); what was handed to the disk is a prefix of the tail. The tail is
// bounded by the limits of Options: proposals by uncommitted_bytes_max, appends by the leader's
// window, since both are only acked when durable.
//
// A write on its way to the disk vouches for its entries only while they stand: truncation lowers
// what writes under way will make stable. So a late report about entries that were replaced since
// (even by equal ones) can never count (the append ABA race).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "kv/raft/log_view.h"

namespace skald::raft {

class Log {
 public:
  explicit Log(const LogView& view) : view_(view), offset_(view.last_index() + 1) {
    handed_out_ = offset_;
  }

  Index first_index() const;
  Index last_index() const { return offset_ + tail_.size() - 1; }
  Term last_term() const { return *term(last_index()); }
  /// Empty outside [first_index() - 1, last_index()].
  std::optional<Term> term(Index index) const;
  bool matches(Index index, Term at) const { return term(index) == at; }
  /// Whether a log that ends so is at least as good as this one (Raft 5.4.1).
  bool up_to_date(Index last_index, Term last_term) const;
  /// The last index <= `index` whose term is <= `at`; first_index() - 1 at the least.
  Index last_not_after(Index index, Term at) const;
  /// Entries [low, high). Requires: low < high <= last_index() + 1.
  Fetch entries(Index low, Index high, std::size_t bytes_max) const;

  /// The last entry known to be durable here; 0 while a snapshot waits to be installed.
  Index stable() const;

  /// Appends behind last_index(), after cutting off everything from the first entry on.
  void append(std::vector<Entry> entries);
  /// Forgets everything, begins after the snapshot.
  void restore(const SnapshotMeta& meta);
  bool installing() const { return snapshot_.has_value(); }

  /// What must go into the next Write.
  bool has_unwritten() const { return handed_out_ <= last_index() || snapshot_unwritten_; }
  std::optional<SnapshotMeta> take_unwritten_snapshot();
  std::vector<Entry> take_unwritten();
  /// Remembers what write `number` carries. Call after take_*(), for every write.
  void write_issued(std::uint64_t number, std::uint64_t tick);
  /// Write `number` and all before it are durable. Returns the snapshot that became so.
  std::optional<SnapshotMeta> write_done(std::uint64_t number);

  std::uint64_t last_issued() const { return last_issued_; }
  std::uint64_t last_done() const { return last_done_; }
  /// When the oldest unfinished write was issued.
  std::optional<std::uint64_t> oldest_write_tick() const;

 private:
  struct Issued {
    std::uint64_t number;
    std::uint64_t tick;
    Index last;           ///< stable once done; lowered by truncation, 0 if nothing stands
    bool snapshot_ready;  ///< the pending snapshot is installed once done
  };

  void truncate_from(Index index);
  void mark_stable(Index index);

  const LogView& view_;
  std::optional<SnapshotMeta> snapshot_;  ///< restored, not known to be installed
  bool snapshot_unwritten_ = false;
  Index offset_;      ///< of tail_[0]
  Index handed_out_;  ///< first index not yet in a Write
  std::deque<Entry> tail_;
  std::deque<Issued> issued_;
  std::uint64_t last_issued_ = 0;
  std::uint64_t last_done_ = 0;
};

}  // namespace skald::raft
