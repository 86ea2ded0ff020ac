// What a data store keeps for each replica, and one batch of changes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/base/ids.h"
#include "kv/store/extents.h"

namespace skald::store {

/// The last log entry whose effects are in the data.
struct Applied {
  std::uint64_t index = 0;
  std::uint64_t term = 0;

  bool operator==(const Applied&) const = default;
};

/// Where a replica's data is. `local_space` holds keys that belong to the replica as a whole and
/// not to a key of the range (lanes, stamps): a split does not share them out.
struct ReplicaRecord {
  RangeId range;
  ReplicaId replica;
  Space local_space = 0;
  Extents extents;
  std::string config;  // the caller's: boundary, epoch, members

  bool operator==(const ReplicaRecord&) const = default;
};

/// Keys of a space that nobody needs.
struct Garbage {
  Space space = 0;
  Interval interval;

  bool operator==(const Garbage&) const = default;
};

struct DataWrite {
  Space space = 0;
  std::string key;
  std::optional<std::string> value;  // none deletes it
};

/// Changes that are made all or nothing, over any number of ranges of the store.
struct DataBatch {
  std::vector<DataWrite> writes;
  std::vector<std::pair<RangeId, Applied>> applied;
  std::vector<ReplicaRecord> replicas;
  std::vector<RangeId> removed;
  std::vector<Garbage> garbage;

  void put(Space space, std::string key, std::string value) {
    writes.push_back({space, std::move(key), std::move(value)});
  }
  void erase(Space space, std::string key) {
    writes.push_back({space, std::move(key), std::nullopt});
  }
  /// A snapshot's switch: `fresh` takes over, all that `old` had is garbage. Requires: no space of
  /// `old` is in `fresh`.
  void install(const ReplicaRecord& old, ReplicaRecord fresh, Applied at);
  /// The replica goes, and its data with it.
  void destroy(const ReplicaRecord& old);

 private:
  void discard(const ReplicaRecord& old);
};

}  // namespace skald::store
