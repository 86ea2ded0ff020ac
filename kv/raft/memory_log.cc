#include "kv/raft/memory_log.h"

#include <algorithm>

#include "config/base/assert.h"

namespace skald::raft {

std::optional<Term> MemoryLog::term(Index index) const {
  if (index < base_index_ || index > last_index()) return std::nullopt;
  return index == base_index_ ? base_term_ : entries_[index - base_index_ - 1].term;
}

Fetch MemoryLog::entries(Index low, Index high, std::size_t bytes_max) const {
  SKALD_ASSERT(low < high);
  SKALD_ASSERT(high <= last_index() + 1);
  if (low <= base_index_) return {Fetch::Status::kCompacted, {}};
  Fetch fetch;
  std::size_t bytes = 0;
  for (Index index = low; index < high; ++index) {
    const Entry& entry = entries_[index - base_index_ - 1];
    bytes += entry.bytes();
    if (!fetch.entries.empty() && bytes > bytes_max) break;
    fetch.entries.push_back(entry);
  }
  return fetch;
}

void MemoryLog::append(const std::vector<Entry>& entries) {
  if (entries.empty()) return;
  const Index first = entries.front().index;
  SKALD_ASSERT(first > base_index_);
  SKALD_ASSERT(first <= last_index() + 1);
  entries_.resize(first - base_index_ - 1);
  for (const Entry& entry : entries) {
    SKALD_ASSERT(entry.index == last_index() + 1);
    entries_.push_back(entry);
  }
}

void MemoryLog::reset(Index index, Term term) {
  base_index_ = index;
  base_term_ = term;
  entries_.clear();
}

void MemoryLog::compact(Index index) {
  SKALD_ASSERT(index <= last_index());
  if (index <= base_index_) return;
  const Term term_there = *term(index);
  entries_.erase(entries_.begin(),
                 entries_.begin() + static_cast<std::ptrdiff_t>(index - base_index_));
  base_index_ = index;
  base_term_ = term_there;
}

}  // namespace skald::raft
