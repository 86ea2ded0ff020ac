#include "kv/store/memory_engine.h"

#include <utility>

#include "config/base/assert.h"

namespace skald::store {

class MemoryEngine::Snapshot final : public EngineSnapshot {
 public:
  explicit Snapshot(std::shared_ptr<const Map> map) : map(std::move(map)) {}
  const std::shared_ptr<const Map> map;
};

class MemoryEngine::Cursor final : public EngineCursor {
 public:
  explicit Cursor(std::shared_ptr<const Map> map) : map_(std::move(map)), at_(map_->end()) {}
  void seek(std::string_view key) override { at_ = map_->lower_bound(key); }
  void next() override { ++at_; }
  bool valid() const override { return at_ != map_->end(); }
  std::string_view key() const override { return at_->first; }
  std::string_view value() const override { return at_->second; }
  Status status() const override { return {}; }

 private:
  const std::shared_ptr<const Map> map_;
  Map::const_iterator at_;
};

MemoryEngine::Map& MemoryEngine::writable() {
  if (map_.use_count() > 1) map_ = std::make_shared<Map>(*map_);
  return *map_;
}

/// No value: the key goes.
void MemoryEngine::put(Map& map, const std::string& key, const std::optional<std::string>& value) {
  auto at = map.find(key);
  if (at != map.end()) bytes_ -= key.size() + at->second.size();
  if (value.has_value()) {
    bytes_ += key.size() + value->size();
    if (at == map.end()) at = map.emplace(key, std::string()).first;
    at->second = *value;
  } else if (at != map.end()) {
    map.erase(at);
  }
}

void MemoryEngine::crash(std::uint64_t kept) {
  Map& map = writable();
  while (undo_.size() > kept) {
    for (auto undo = undo_.back().rbegin(); undo != undo_.back().rend(); ++undo) {
      put(map, undo->key, undo->value);
    }
    undo_.pop_back();
  }
  undo_.clear();
}

void MemoryEngine::fail_next(Error reason) { fail_next_ = std::move(reason); }

void MemoryEngine::refuse_reopen(std::optional<Error> reason) {
  refuse_reopen_ = std::move(reason);
}

bool MemoryEngine::fails() {
  if (status_.ok() && fail_next_.has_value()) {
    status_ = *std::exchange(fail_next_, std::nullopt);
  }
  return !status_.ok();
}

Status MemoryEngine::apply(std::span<const EngineWrite> writes) {
  if (fails()) return status_;
  Map& map = writable();
  std::vector<EngineWrite>& undo = undo_.emplace_back();
  for (const EngineWrite& write : writes) {
    const auto old = map.find(write.key);
    undo.push_back({write.key, old == map.end() ? std::nullopt : std::optional(old->second)});
    put(map, write.key, write.value);
  }
  return {};
}

Result<std::optional<std::string>> MemoryEngine::get(std::string_view key) {
  if (!status_.ok()) return status_.error();
  const auto found = map_->find(key);
  if (found == map_->end()) return std::optional<std::string>();
  return std::optional(found->second);
}

std::shared_ptr<EngineSnapshot> MemoryEngine::snapshot() {
  return std::make_shared<Snapshot>(map_);
}

Result<std::unique_ptr<EngineCursor>> MemoryEngine::cursor(const EngineSnapshot* snapshot) {
  if (!status_.ok()) return status_.error();
  std::shared_ptr<const Map> map = map_;
  if (snapshot != nullptr) map = static_cast<const Snapshot*>(snapshot)->map;
  return std::unique_ptr<EngineCursor>(std::make_unique<Cursor>(std::move(map)));
}

Status MemoryEngine::flush() {
  if (fails()) return status_;
  undo_.clear();
  return {};
}

Status MemoryEngine::compact(std::string_view, std::string_view) { return status_; }

std::uint64_t MemoryEngine::approximate_bytes(std::string_view begin, std::string_view end) {
  std::uint64_t bytes = 0;
  for (auto at = map_->lower_bound(begin); at != map_->end() && at->first < end; ++at) {
    bytes += at->first.size() + at->second.size();
  }
  return bytes;
}

Status MemoryEngine::status() const { return status_; }

Status MemoryEngine::reopen() {
  if (refuse_reopen_.has_value()) {
    status_ = *refuse_reopen_;
    return status_;
  }
  crash(0);
  status_ = {};
  return {};
}

}  // namespace skald::store
