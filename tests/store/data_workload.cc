#include "tests/store/data_workload.h"

#include <algorithm>
#include <utility>

#include "config/base/assert.h"
#include "config/base/coding.h"

namespace skald::store {
namespace {

Extents whole(Space space) { return {{.interval = {}, .space = space}}; }

Status append_all(DataStore& store, const Extents& extents, std::string& out) {
  Result<DataCursor> at = store.iterate(extents);
  if (!at) return at.error();
  for (; at->valid(); at->next()) {
    put_bytes(out, at->key());
    put_bytes(out, at->value());
  }
  put_u8(out, 0);
  return at->status();
}

}  // namespace

Result<std::string> dump(DataStore& store) {
  std::string out;
  for (const ReplicaRecord& record : store.replicas()) {
    put_varint(out, record.range.value);
    put_varint(out, record.replica.value);
    put_bytes(out, record.config);
    put_varint(out, store.applied(record.range).value_or(Applied{}).index);
    for (const Extent& extent : record.extents) {
      put_bytes(out, extent.interval.begin);
      put_bytes(out, extent.interval.end.value_or("-"));
    }
    if (Status s = append_all(store, record.extents, out); !s) return s.error();
    if (Status s = append_all(store, whole(record.local_space), out); !s) return s.error();
  }
  return out;
}

std::uint64_t count_leaked(DataStore& store) {
  std::uint64_t leaked = 0;
  const std::vector<ReplicaRecord> replicas = store.replicas();
  const auto used = [&replicas](Space space, std::string_view key) {
    return std::any_of(replicas.begin(), replicas.end(), [&](const ReplicaRecord& record) {
      return record.local_space == space || find_space(record.extents, key) == space;
    });
  };
  for (Space space = kFirstSpace; space < kFirstSpace + 400; ++space) {
    Result<DataCursor> at = store.iterate(whole(space));
    SKALD_ASSERT(at.ok());
    for (; at->valid(); at->next()) leaked += used(space, at->key()) ? 0 : 1;
  }
  return leaked;
}

namespace {

DataBatch with_spaces(DataStore& store, const DataStep& step) {
  DataBatch batch = step.batch;
  std::vector<Space> given(1 + step.spaces);
  for (Space i = 1; i <= step.spaces; ++i) given[i] = store.allocate_space();
  for (ReplicaRecord& record : batch.replicas) {
    if (record.local_space < kFirstSpace) record.local_space = given.at(record.local_space);
    for (Extent& extent : record.extents) {
      if (extent.space < kFirstSpace) extent.space = given.at(extent.space);
    }
  }
  return batch;
}

}  // namespace

Status perform(DataStore& store, const DataStep& step) {
  switch (step.kind) {
    case DataStep::Kind::kBatch:
      return store.write(with_spaces(store, step));
    case DataStep::Kind::kCollect: {
      const auto collected = store.collect_garbage(step.count);
      return collected.ok() ? Status() : Status(collected.error());
    }
    case DataStep::Kind::kFlush:
      return store.flush();
    case DataStep::Kind::kInstall:
    case DataStep::Kind::kAbandon:
      break;
  }
  const Space data = store.allocate_space();
  const Space local = store.allocate_space();
  for (const KeyValue& item : step.data) {
    DataBatch chunk;
    chunk.put(data, item.key, item.value);
    chunk.put(local, item.key, item.value);
    if (Status s = store.write(chunk); !s) return s;
  }
  if (step.count > 0) {
    if (Status s = store.flush(); !s) return s;
  }
  if (step.kind == DataStep::Kind::kAbandon) {
    if (Status s = store.abandon_space(data); !s) return s;
    return store.abandon_space(local);
  }
  ReplicaRecord fresh = step.fresh;
  for (Extent& extent : fresh.extents) extent.space = data;
  fresh.local_space = local;
  DataBatch batch;
  batch.install(*store.replica(fresh.range), fresh, step.at);
  return store.write(batch);
}

std::string DataWorkload::key() {
  std::string k(random_.between(1, 3), 'a');
  for (char& c : k) c = static_cast<char>('a' + random_.below(8));
  return k;
}

std::string DataWorkload::value() {
  std::string v(random_.below(value_bytes_max_ + 1), '\0');
  for (char& c : v) c = static_cast<char>(random_.below(256));
  return v;
}

DataStep DataWorkload::bootstrap() {
  DataStep step;
  const std::vector<Interval> intervals = {{"", "c"}, {"c", "f"}, {"f", std::nullopt}};
  Space space = 1;
  step.spaces = 6;
  for (const Interval& interval : intervals) {
    const RangeId range{next_range_++};
    step.batch.replicas.push_back({.range = range,
                                   .replica = ReplicaId{1},
                                   .local_space = space + 1,
                                   .extents = {{interval, space}},
                                   .config = "first"});
    step.batch.applied.emplace_back(range, Applied{++index_, 1});
    space += 2;
  }
  return step;
}

DataStep DataWorkload::split(const ReplicaRecord& record) {
  DataStep step;
  const std::string at = key();
  auto [left, right] = split_extents(record.extents, at);
  if (left.empty() || right.empty()) return step;
  ReplicaRecord parent = record;
  parent.extents = left;
  const RangeId child{next_range_++};
  step.spaces = 1;
  step.batch.replicas = {parent,
                         {.range = child,
                          .replica = ReplicaId{1},
                          .local_space = 1,
                          .extents = right,
                          .config = "child of a split"}};
  step.batch.applied = {{record.range, {++index_, 2}}, {child, {++index_, 2}}};
  write_some(parent, step.batch);
  return step;
}

DataStep DataWorkload::install(const ReplicaRecord& record) {
  DataStep step;
  step.kind = random_.one_in(4) ? DataStep::Kind::kAbandon : DataStep::Kind::kInstall;
  step.fresh = record;
  step.fresh.config = "installed";
  step.count = random_.below(2);
  step.fresh.extents = {
      {{record.extents.front().interval.begin, record.extents.back().interval.end}, 0}};
  step.at = {++index_, 3};
  for (std::uint64_t n = random_.below(6); n > 0; --n) {
    std::string k = key();
    if (step.fresh.extents[0].interval.contains(k)) step.data.push_back({std::move(k), value()});
  }
  return step;
}

void DataWorkload::write_some(const ReplicaRecord& record, DataBatch& batch) {
  for (std::uint64_t n = random_.below(6); n > 0; --n) {
    const std::string k = key();
    const auto space = find_space(record.extents, k);
    if (!space.has_value()) continue;
    if (random_.one_in(3)) {
      batch.erase(*space, k);
    } else {
      batch.put(*space, k, value());
    }
  }
  if (record.local_space != 0 && random_.one_in(3)) {
    batch.put(record.local_space, "lane", value());
  }
}

DataStep DataWorkload::next(DataStore& now) {
  const std::vector<ReplicaRecord> replicas = now.replicas();
  if (replicas.empty()) return bootstrap();
  const ReplicaRecord& record = replicas[random_.below(replicas.size())];
  DataStep step;
  switch (random_.below(24)) {
    case 0:
      return replicas.size() < 8 ? split(record) : step;
    case 1:
      return install(record);
    case 2:
      if (replicas.size() > 3) step.batch.destroy(record);
      return step;
    case 3:
    case 4:
      step.kind = DataStep::Kind::kCollect;
      step.count = random_.between(1, 20);
      return step;
    case 5:
    case 6:
      step.kind = DataStep::Kind::kFlush;
      return step;
    default:
      break;
  }
  for (const ReplicaRecord& each : replicas) {
    if (random_.one_in(2)) continue;
    write_some(each, step.batch);
    step.batch.applied.emplace_back(each.range, Applied{++index_, 1});
  }
  return step;
}

}  // namespace skald::store
