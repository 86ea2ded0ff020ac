#include "kv/store/catalog.h"

#include <utility>

#include "config/base/assert.h"
#include "config/base/coding.h"

namespace skald::store {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr Space kOwnSpace = 0;
constexpr std::uint64_t kMostExtents = 1 << 20;

std::string be64_string(std::uint64_t v) {
  std::string out;
  put_be64(out, v);
  return out;
}

std::string be32_string(std::uint32_t v) {
  std::string out;
  put_be32(out, v);
  return out;
}

void put_interval(std::string& out, const Interval& interval) {
  put_bytes(out, interval.begin);
  put_u8(out, interval.end.has_value() ? 1 : 0);
  if (interval.end.has_value()) put_bytes(out, *interval.end);
}

Interval read_interval(Reader& r) {
  Interval interval;
  interval.begin = r.bytes();
  if (r.u8() != 0) interval.end = r.bytes();
  return interval;
}

std::string encode(const ReplicaRecord& record) {
  std::string out;
  put_u8(out, kVersion);
  put_varint(out, record.replica.value);
  put_varint(out, record.local_space);
  put_bytes(out, record.config);
  put_varint(out, record.extents.size());
  for (const Extent& extent : record.extents) {
    put_interval(out, extent.interval);
    put_varint(out, extent.space);
  }
  return out;
}

ReplicaRecord read_replica(Reader& r) {
  ReplicaRecord record;
  record.replica.value = r.varint();
  record.local_space = static_cast<Space>(r.varint());
  record.config = r.bytes();
  std::uint64_t count = r.varint();
  if (count > kMostExtents) r.fail();
  for (; r.ok() && count > 0; --count) {
    Interval interval = read_interval(r);
    record.extents.push_back({std::move(interval), static_cast<Space>(r.varint())});
  }
  return record;
}

std::string encode(const Applied& applied) {
  std::string out;
  put_u8(out, kVersion);
  put_varint(out, applied.index);
  put_varint(out, applied.term);
  return out;
}

std::string encode(const Garbage& garbage) {
  std::string out;
  put_u8(out, kVersion);
  put_varint(out, garbage.space);
  put_interval(out, garbage.interval);
  return out;
}

}  // namespace

std::string physical_key(Space space, std::string_view key) {
  std::string out;
  out.reserve(4 + key.size());
  put_be32(out, space);
  out.append(key);
  return out;
}

std::string physical_end(Space space, const std::optional<std::string>& end) {
  return end.has_value() ? physical_key(space, *end) : physical_key(space + 1, {});
}

void DataBatch::discard(const ReplicaRecord& old) {
  for (const Extent& extent : old.extents) garbage.push_back({extent.space, extent.interval});
  if (old.local_space != 0) garbage.push_back({old.local_space, {}});
}

void DataBatch::install(const ReplicaRecord& old, ReplicaRecord fresh, Applied at) {
  for (const Extent& was : old.extents) {
    SKALD_ASSERT(was.space != fresh.local_space);
    for (const Extent& is : fresh.extents) SKALD_ASSERT(was.space != is.space);
  }
  discard(old);
  applied.emplace_back(fresh.range, at);
  replicas.push_back(std::move(fresh));
}

void DataBatch::destroy(const ReplicaRecord& old) {
  discard(old);
  removed.push_back(old.range);
}

Status Catalog::load(std::string_view key, std::string_view value) {
  Reader k(key);
  Reader v(value);
  const char tag = static_cast<char>(k.u8());
  v.version(kVersion);
  switch (tag) {
    case 'n':
      next_space_ = static_cast<Space>(v.varint());
      next_garbage_ = v.varint();
      break;
    case 'a': {
      Applied& applied = applied_[RangeId{k.be64()}];
      applied.index = v.varint();
      applied.term = v.varint();
      break;
    }
    case 'r': {
      const RangeId range{k.be64()};
      ReplicaRecord record = read_replica(v);
      record.range = range;
      replicas_[range] = std::move(record);
      break;
    }
    case 'p':
      pending_.insert(k.be32());
      break;
    case 'g': {
      Garbage& garbage = garbage_[k.be64()];
      garbage.space = static_cast<Space>(v.varint());
      garbage.interval = read_interval(v);
      break;
    }
    default:
      k.fail();
  }
  if (k.done() && v.done()) return {};
  const std::string what = "record '" + std::string(1, tag) + "' of the data store";
  if (v.newer_version() != 0) {
    return Error{"the " + what + " has version " + std::to_string(v.newer_version()) +
                 ", this release reads up to " + std::to_string(kVersion)};
  }
  return Error{"the " + what + " cannot be decoded"};
}

void Catalog::recycle_pending() {
  for (const Space space : std::exchange(pending_, {})) {
    erase('p', be32_string(space));
    add_garbage({space, {}});
  }
}

Space Catalog::allocate_space() {
  const Space space = next_space_++;
  SKALD_ASSERT(next_space_ != 0);
  pending_.insert(space);
  put_counters();
  std::string value;
  put_u8(value, kVersion);
  put('p', be32_string(space), std::move(value));
  return space;
}

void Catalog::abandon_space(Space space) {
  in_use(space);
  add_garbage({space, {}});
}

void Catalog::in_use(Space space) {
  SKALD_ASSERT(space < next_space_);
  if (pending_.erase(space) > 0) erase('p', be32_string(space));
}

void Catalog::apply(const DataBatch& batch) {
  for (const RangeId range : batch.removed) {
    replicas_.erase(range);
    applied_.erase(range);
    erase('r', be64_string(range.value));
    erase('a', be64_string(range.value));
  }
  for (const ReplicaRecord& record : batch.replicas) {
    check_extents(record.extents);
    for (const Extent& extent : record.extents) in_use(extent.space);
    in_use(record.local_space);
    replicas_[record.range] = record;
    put('r', be64_string(record.range.value), encode(record));
  }
  for (const auto& [range, applied] : batch.applied) {
    SKALD_ASSERT(replicas_.contains(range));
    applied_[range] = applied;
    put('a', be64_string(range.value), encode(applied));
  }
  for (const Garbage& garbage : batch.garbage) add_garbage(garbage);
}

void Catalog::note_deleted(std::uint64_t number, const std::optional<Garbage>& left) {
  if (left.has_value()) {
    garbage_[number] = *left;
    put('g', be64_string(number), encode(*left));
  } else {
    garbage_.erase(number);
    erase('g', be64_string(number));
  }
}

std::vector<EngineWrite> Catalog::take_changes() {
  std::vector<EngineWrite> writes;
  for (auto& [key, value] : std::exchange(changes_, {})) {
    writes.push_back({physical_key(kOwnSpace, key), value});
  }
  return writes;
}

void Catalog::put(char tag, std::string suffix, std::string value) {
  changes_[tag + std::move(suffix)] = std::move(value);
}

void Catalog::erase(char tag, std::string suffix) {
  changes_[tag + std::move(suffix)] = std::nullopt;
}

void Catalog::put_counters() {
  std::string value;
  put_u8(value, kVersion);
  put_varint(value, next_space_);
  put_varint(value, next_garbage_);
  put('n', {}, std::move(value));
}

void Catalog::add_garbage(Garbage garbage) {
  if (garbage.interval.empty()) return;
  const std::uint64_t number = next_garbage_++;
  put_counters();
  put('g', be64_string(number), encode(garbage));
  garbage_[number] = std::move(garbage);
}

}  // namespace skald::store
