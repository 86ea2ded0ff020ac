// An ordered map of bytes that forgets, at a crash, all that it has not flushed: what a data store
// stands on.
//
// Two implementations: LevelDB without its write-ahead log, and the memory twin.
//
// Invariant: after a crash the state is exactly that behind some `apply`, none before the last
// flush that returned ok. After a failure the engine is poisoned until `reopen`, which returns to
// such a state as well.
//
// Threads: any, at the same time, but for `reopen`.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/base/result.h"

namespace skald::store {

/// One write; no value deletes the key.
struct EngineWrite {
  std::string key;
  std::optional<std::string> value;
};

/// Walks keys in order, over the state at its creation. To be held for milliseconds: it keeps
/// files and memory alive.
class EngineCursor {
 public:
  virtual ~EngineCursor() = default;
  /// To the first key >= `key`.
  virtual void seek(std::string_view key) = 0;
  /// Requires: valid().
  virtual void next() = 0;
  /// False at the end and after a failure: see `status`.
  virtual bool valid() const = 0;
  /// Requires: valid(). Good until the next call.
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual Status status() const = 0;
};

/// Keeps one state readable until it is destroyed, and with it every version overwritten since.
class EngineSnapshot {
 public:
  virtual ~EngineSnapshot() = default;
};

class Engine {
 public:
  virtual ~Engine() = default;

  /// All or nothing, and visible when it returns; durable at some later time.
  virtual Status apply(std::span<const EngineWrite> writes) = 0;
  virtual Result<std::optional<std::string>> get(std::string_view key) = 0;
  virtual std::shared_ptr<EngineSnapshot> snapshot() = 0;
  /// Over `snapshot`, one of this engine's, or over the state now if null.
  virtual Result<std::unique_ptr<EngineCursor>> cursor(const EngineSnapshot* snapshot) = 0;

  /// All that was applied before is durable.
  virtual Status flush() = 0;
  /// Gives the space of deleted keys in [begin, end) back. Blocks.
  virtual Status compact(std::string_view begin, std::string_view end) = 0;
  /// Bytes on disk in [begin, end), roughly; what is not yet flushed may be left out.
  virtual std::uint64_t approximate_bytes(std::string_view begin, std::string_view end) = 0;

  /// What is held in memory: what is not flushed, caches; of a memory twin keys and values.
  virtual std::uint64_t memory_bytes() = 0;

  virtual Status status() const = 0;
  /// Fails while cursors or snapshots are out.
  virtual Status reopen() = 0;
};

}  // namespace skald::store
