#include <algorithm>
#include <utility>

#include "kv/store/data_store.h"

namespace skald::store {

DataCursor::DataCursor(std::unique_ptr<EngineCursor> cursor, Extents extents)
    : cursor_(std::move(cursor)), extents_(std::move(extents)) {
  seek({});
}

void DataCursor::seek(std::string_view key) {
  extent_ = 0;
  while (extent_ < extents_.size()) {
    const std::optional<std::string>& end = extents_[extent_].interval.end;
    if (!end.has_value() || key < *end) break;
    ++extent_;
  }
  valid_ = extent_ < extents_.size();
  if (!valid_) return;
  const Extent& extent = extents_[extent_];
  end_ = physical_end(extent.space, extent.interval.end);
  cursor_->seek(physical_key(extent.space, std::max<std::string_view>(key, extent.interval.begin)));
  settle();
}

void DataCursor::next() {
  cursor_->next();
  settle();
}

/// Goes on to the next extent that holds a key, when this one is at its end.
void DataCursor::settle() {
  while (!cursor_->valid() || cursor_->key() >= end_) {
    if (!cursor_->status().ok() || ++extent_ >= extents_.size()) {
      valid_ = false;
      return;
    }
    const Extent& extent = extents_[extent_];
    end_ = physical_end(extent.space, extent.interval.end);
    cursor_->seek(physical_key(extent.space, extent.interval.begin));
  }
}

DataSnapshot::DataSnapshot(Engine& engine, ReplicaRecord record, Applied applied,
                           std::uint64_t deadline_ms)
    : engine_(engine),
      record_(std::move(record)),
      applied_(applied),
      deadline_ms_(deadline_ms),
      snapshot_(engine.snapshot()) {}

void DataSnapshot::end() {
  const std::lock_guard lock(mutex_);
  snapshot_.reset();
}

Result<DataSnapshot::Chunk> DataSnapshot::read(Part part, std::string_view from,
                                               std::uint64_t max_bytes) {
  const std::lock_guard lock(mutex_);
  if (snapshot_ == nullptr) {
    return Error{"the snapshot of range " + std::to_string(record_.range.value) + " has ended"};
  }
  Result<std::unique_ptr<EngineCursor>> cursor = engine_.cursor(snapshot_.get());
  if (!cursor) return cursor.error();
  const Extents local = {{.interval = {}, .space = record_.local_space}};
  DataCursor at(std::move(*cursor), part == Part::kLocal ? local : record_.extents);
  Chunk chunk;
  std::uint64_t bytes = 0;
  for (at.seek(from); at.valid(); at.next()) {
    if (bytes > max_bytes) {
      chunk.next = std::string(at.key());
      break;
    }
    chunk.items.push_back({std::string(at.key()), std::string(at.value())});
    bytes += at.key().size() + at.value().size();
  }
  if (!at.status().ok()) return at.status().error();
  return chunk;
}

}  // namespace skald::store
