#include "kv/raft/log.h"

#include <algorithm>
#include <iterator>

#include "config/base/assert.h"
#include "kv/raft/guards.h"

namespace skald::raft {

Index Log::first_index() const { return snapshot_ ? snapshot_->index + 1 : view_.first_index(); }

std::optional<Term> Log::term(Index index) const {
  if (index > last_index()) return std::nullopt;
  if (index >= offset_) return tail_[index - offset_].term;
  if (!snapshot_) return view_.term(index);
  if (index == snapshot_->index) return snapshot_->term;
  return std::nullopt;
}

bool Log::up_to_date(Index last_index_there, Term last_term_there) const {
  const Term here = last_term();
  if (last_term_there != here) return last_term_there > here;
  return last_index_there >= last_index();
}

Index Log::last_not_after(Index index, Term at) const {
  Index low = first_index() - 1;  // the answer is in [low, high]
  Index high = std::clamp(index, low, last_index());
  while (low < high) {
    const Index middle = high - (high - low) / 2;
    if (*term(middle) <= at) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

Fetch Log::entries(Index low, Index high, std::size_t bytes_max) const {
  SKALD_ASSERT(low < high);
  SKALD_ASSERT(high <= last_index() + 1);
  if (low < first_index()) return {Fetch::Status::kCompacted, {}};
  Fetch fetch;
  if (low < offset_) {
    const Index stable_high = std::min(high, offset_);
    fetch = view_.entries(low, stable_high, bytes_max);
    if (fetch.status != Fetch::Status::kOk) return fetch;
    SKALD_ASSERT(!fetch.entries.empty());
    if (low + fetch.entries.size() < stable_high) return fetch;
  }
  std::size_t bytes = 0;
  for (const Entry& entry : fetch.entries) bytes += entry.bytes();
  for (Index index = std::max(low, offset_); index < high; ++index) {
    const Entry& entry = tail_[index - offset_];
    bytes += entry.bytes();
    if (!fetch.entries.empty() && bytes > bytes_max) break;
    fetch.entries.push_back(entry);
  }
  return fetch;
}

Index Log::stable() const {
  if (snapshot_) return SKALD_GUARD(Guard::kSnapshotAckDurable) ? 0 : snapshot_->index;
  return offset_ - 1;
}

void Log::append(std::vector<Entry> entries) {
  if (entries.empty()) return;
  const Index first = entries.front().index;
  SKALD_ASSERT(first >= first_index());
  SKALD_ASSERT(first <= last_index() + 1);
  if (first <= last_index()) truncate_from(first);
  for (Entry& entry : entries) {
    SKALD_ASSERT(entry.index == last_index() + 1);
    tail_.push_back(std::move(entry));
  }
}

void Log::truncate_from(Index index) {
  if (index >= offset_) {
    tail_.erase(tail_.begin() + static_cast<std::ptrdiff_t>(index - offset_), tail_.end());
  } else {
    tail_.clear();
    offset_ = index;
  }
  handed_out_ = std::min(handed_out_, index);
  if (!SKALD_GUARD(Guard::kStaleWrite)) return;
  for (Issued& issued : issued_) issued.last = std::min(issued.last, index - 1);
}

void Log::restore(const SnapshotMeta& meta) {
  snapshot_ = meta;
  snapshot_unwritten_ = true;
  tail_.clear();
  offset_ = meta.index + 1;
  handed_out_ = offset_;
  for (Issued& issued : issued_) {
    issued.last = 0;
    issued.snapshot_ready = false;
  }
}

std::optional<SnapshotMeta> Log::take_unwritten_snapshot() {
  if (!snapshot_unwritten_) return std::nullopt;
  snapshot_unwritten_ = false;
  return snapshot_;
}

std::vector<Entry> Log::take_unwritten() {
  const auto first = tail_.begin() + static_cast<std::ptrdiff_t>(handed_out_ - offset_);
  std::vector<Entry> entries(first, tail_.end());
  handed_out_ = last_index() + 1;
  return entries;
}

void Log::write_issued(std::uint64_t number, std::uint64_t tick) {
  SKALD_ASSERT(number == last_issued_ + 1);
  SKALD_ASSERT(handed_out_ == last_index() + 1);
  last_issued_ = number;
  issued_.push_back({number, tick, last_index(), snapshot_.has_value()});
}

std::optional<SnapshotMeta> Log::write_done(std::uint64_t number) {
  SKALD_ASSERT(number > last_done_);
  SKALD_ASSERT(number <= last_issued_);
  last_done_ = number;
  std::optional<SnapshotMeta> installed;
  while (!issued_.empty() && issued_.front().number <= number) {
    const Issued done = issued_.front();
    issued_.pop_front();
    if (done.snapshot_ready && snapshot_) {
      installed = std::move(snapshot_);
      snapshot_.reset();
    }
    if (!snapshot_) mark_stable(done.last);
  }
  return installed;
}

void Log::mark_stable(Index index) {
  index = std::min(index, last_index());
  while (offset_ <= index) {
    tail_.pop_front();
    ++offset_;
  }
  handed_out_ = std::max(handed_out_, offset_);
}

std::optional<std::uint64_t> Log::oldest_write_tick() const {
  if (issued_.empty()) return std::nullopt;
  return issued_.front().tick;
}

}  // namespace skald::raft
