// Keys and records of the log database.
//
// Keys: tag, store, range, replica, then for entries the index, all big-endian, so that a replica's
// entries lie together in order. Records start with a version byte.
//
//   s                              the number of the last group commit
//   b store range replica          base, and where deletion of truncated entries has got to
//   h store range replica          hard state
//   m store range replica          the caller's meta record
//   e store range replica index    an entry
//   g store range replica index    entries from there on that belong to no log and still exist
//   x store key                    a store's record
#pragma once

#include <string>
#include <string_view>

#include "config/base/result.h"
#include "kv/store/log_types.h"

namespace skald::store::log_codec {

enum class Tag : char {
  kBase = 'b',
  kEntry = 'e',
  kGarbage = 'g',
  kHardState = 'h',
  kMeta = 'm',
  kSequence = 's',
  kRecord = 'x',
};

/// Entries `next` .. `end - 1` are garbage that may still be there.
struct Garbage {
  std::uint64_t next = 0;
  std::uint64_t end = 0;

  bool empty() const { return next >= end; }
  std::uint64_t size() const { return empty() ? 0 : end - next; }
  bool operator==(const Garbage&) const = default;
};

struct BaseRecord {
  LogBase base;
  std::uint64_t deleted_to = 1;  // entries below are no longer in the database
};

std::string tag_prefix(Tag tag);
std::string replica_key(Tag tag, const ReplicaKey& who);
std::string entry_key(const ReplicaKey& who, std::uint64_t index);
std::string garbage_key(const ReplicaKey& who, std::uint64_t start);
std::string record_key(StoreNumber store, std::string_view key);

/// The replica of a key made by the first three, and the index at the end of the last two.
Result<ReplicaKey> parse_replica_key(std::string_view key);
Result<std::uint64_t> parse_index(std::string_view key);

std::string encode_sequence(std::uint64_t sequence);
Result<std::uint64_t> decode_sequence(std::string_view value);
std::string encode_base(const BaseRecord& record);
Result<BaseRecord> decode_base(std::string_view value);
std::string encode_hard_state(const HardState& state);
Result<HardState> decode_hard_state(std::string_view value);
std::string encode_garbage(const Garbage& garbage);
Result<Garbage> decode_garbage(std::string_view value);
std::string encode_entry(const LogEntry& entry);
Result<LogEntry> decode_entry(std::uint64_t index, std::string_view value);

}  // namespace skald::store::log_codec
