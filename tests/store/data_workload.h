// Random work for data stores, and a data store's whole state to compare.
#pragma once

#include <string>
#include <vector>

#include "config/base/random.h"
#include "kv/store/data_store.h"

namespace skald::store {

/// All replicas with their applied indexes and data, as one string.
Result<std::string> dump(DataStore& store);
/// Keys in spaces that belong to no replica.
std::uint64_t count_leaked(DataStore& store);

/// One step, to be carried out on any number of equal stores.
struct DataStep {
  enum class Kind : std::uint8_t { kBatch, kInstall, kAbandon, kCollect, kFlush };

  Kind kind = Kind::kBatch;
  Space spaces = 0;            // kBatch: allocated first; 1, 2 ... in its records stand for them
  DataBatch batch;             // kBatch
  ReplicaRecord fresh;         // kInstall: spaces are still to be given
  Applied at;                  // kInstall
  std::vector<KeyValue> data;  // kInstall, kAbandon
  std::uint64_t count = 0;     // kCollect; for the last two: flush before the last batch
};

Status perform(DataStore& store, const DataStep& step);

/// Makes steps that fit a store's state: writes over several ranges, splits, snapshot installs,
/// destruction, garbage collection, flushes.
class DataWorkload {
 public:
  DataWorkload(std::uint64_t seed, std::size_t value_bytes_max)
      : random_(seed), value_bytes_max_(value_bytes_max) {}

  /// The first step makes the ranges.
  DataStep next(DataStore& now);

 private:
  DataStep bootstrap();
  DataStep split(const ReplicaRecord& record);
  DataStep install(const ReplicaRecord& record);
  void write_some(const ReplicaRecord& record, DataBatch& batch);
  std::string key();
  std::string value();

  Random random_;
  const std::size_t value_bytes_max_;
  std::uint64_t next_range_ = 1;
  std::uint64_t index_ = 0;
};

}  // namespace skald::store
