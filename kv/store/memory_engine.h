// The memory twin of the data engine, with crashes and failures on demand.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "kv/store/engine.h"

namespace skald::store {

/// For one thread.
class MemoryEngine final : public Engine {
 public:
  /// Goes back to the state behind the last flush and the first `kept` applies since: a memtable
  /// may have been flushed unasked. Cursors and snapshots keep what they saw.
  void crash(std::uint64_t kept);
  std::uint64_t unflushed() const { return undo_.size(); }
  /// The next apply or flush fails with `reason` and poisons. The `reopen` then goes back to the
  /// last flush, as a crash(0) does.
  void fail_next(Error reason);
  /// From now on `reopen` fails too; none makes it work again.
  void refuse_reopen(std::optional<Error> reason);

  Status apply(std::span<const EngineWrite> writes) override;
  Result<std::optional<std::string>> get(std::string_view key) override;
  std::shared_ptr<EngineSnapshot> snapshot() override;
  Result<std::unique_ptr<EngineCursor>> cursor(const EngineSnapshot* snapshot) override;
  Status flush() override;
  Status compact(std::string_view begin, std::string_view end) override;
  std::uint64_t approximate_bytes(std::string_view begin, std::string_view end) override;
  std::uint64_t memory_bytes() override { return bytes_; }
  Status status() const override;
  Status reopen() override;

 private:
  using Map = std::map<std::string, std::string, std::less<>>;
  class Cursor;
  class Snapshot;

  Map& writable();
  void put(Map& map, const std::string& key, const std::optional<std::string>& value);
  bool fails();

  std::shared_ptr<Map> map_ = std::make_shared<Map>();  // copied on write when shared
  std::uint64_t bytes_ = 0;                             // keys and values in map_
  std::vector<std::vector<EngineWrite>> undo_;          // one for each apply since the last flush
  Status status_;
  std::optional<Error> fail_next_;
  std::optional<Error> refuse_reopen_;
};

}  // namespace skald::store
