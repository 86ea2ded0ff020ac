#include "kv/store/log_codec.h"

#include "config/base/coding.h"

namespace skald::store::log_codec {
namespace {

constexpr std::uint8_t kVersion = 1;

std::string versioned() {
  std::string out;
  put_u8(out, kVersion);
  return out;
}

/// `value` when the record was read to its end.
template <class T>
Result<T> finished(const Reader& r, std::string_view what, T value) {
  if (r.done()) return value;
  if (r.newer_version() != 0) {
    return Error{"the " + std::string(what) + " has version " + std::to_string(r.newer_version()) +
                 ", this release reads up to " + std::to_string(kVersion)};
  }
  return Error{"the " + std::string(what) + " cannot be decoded"};
}

}  // namespace

std::string tag_prefix(Tag tag) { return std::string(1, static_cast<char>(tag)); }

std::string replica_key(Tag tag, const ReplicaKey& who) {
  std::string key = tag_prefix(tag);
  put_u8(key, who.store);
  put_be64(key, who.range.value);
  put_be64(key, who.replica.value);
  return key;
}

std::string entry_key(const ReplicaKey& who, std::uint64_t index) {
  std::string key = replica_key(Tag::kEntry, who);
  put_be64(key, index);
  return key;
}

std::string garbage_key(const ReplicaKey& who, std::uint64_t start) {
  std::string key = replica_key(Tag::kGarbage, who);
  put_be64(key, start);
  return key;
}

std::string record_key(StoreNumber store, std::string_view key) {
  std::string out = tag_prefix(Tag::kRecord);
  put_u8(out, store);
  out.append(key);
  return out;
}

Result<ReplicaKey> parse_replica_key(std::string_view key) {
  Reader r(key);
  r.u8();
  ReplicaKey who;
  who.store = r.u8();
  who.range.value = r.be64();
  who.replica.value = r.be64();
  if (!r.ok()) return Error{"a replica's key cannot be decoded"};
  return who;
}

Result<std::uint64_t> parse_index(std::string_view key) {
  Reader r(key);
  r.raw(1 + 1 + 8 + 8);
  const std::uint64_t index = r.be64();
  return finished(r, "key of a log entry or garbage record", index);
}

std::string encode_sequence(std::uint64_t sequence) {
  std::string out = versioned();
  put_be64(out, sequence);
  return out;
}

Result<std::uint64_t> decode_sequence(std::string_view value) {
  Reader r(value);
  r.version(kVersion);
  const std::uint64_t sequence = r.be64();
  return finished(r, "commit number", sequence);
}

std::string encode_base(const BaseRecord& record) {
  std::string out = versioned();
  put_varint(out, record.base.index);
  put_varint(out, record.base.term);
  put_varint(out, record.deleted_to);
  return out;
}

Result<BaseRecord> decode_base(std::string_view value) {
  Reader r(value);
  r.version(kVersion);
  BaseRecord record;
  record.base.index = r.varint();
  record.base.term = r.varint();
  record.deleted_to = r.varint();
  return finished(r, "base record of a log", record);
}

std::string encode_hard_state(const HardState& state) {
  std::string out = versioned();
  put_varint(out, state.term);
  put_varint(out, state.vote.value);
  put_varint(out, state.commit);
  return out;
}

Result<HardState> decode_hard_state(std::string_view value) {
  Reader r(value);
  r.version(kVersion);
  HardState state;
  state.term = r.varint();
  state.vote.value = r.varint();
  state.commit = r.varint();
  return finished(r, "hard state", state);
}

std::string encode_garbage(const Garbage& garbage) {
  std::string out = versioned();
  put_varint(out, garbage.next);
  put_varint(out, garbage.end);
  return out;
}

Result<Garbage> decode_garbage(std::string_view value) {
  Reader r(value);
  r.version(kVersion);
  Garbage garbage;
  garbage.next = r.varint();
  garbage.end = r.varint();
  return finished(r, "garbage record", garbage);
}

std::string encode_entry(const LogEntry& entry) {
  std::string out;
  out.reserve(entry.data.size() + 8);
  put_u8(out, kVersion);
  put_u8(out, entry.kind);
  put_varint(out, entry.term);
  out.append(entry.data);
  return out;
}

Result<LogEntry> decode_entry(std::uint64_t index, std::string_view value) {
  Reader r(value);
  r.version(kVersion);
  LogEntry entry;
  entry.index = index;
  entry.kind = r.u8();
  entry.term = r.varint();
  entry.data = r.raw(r.rest().size());
  return finished(r, "log entry", std::move(entry));
}

}  // namespace skald::store::log_codec
