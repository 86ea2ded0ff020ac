// A data store's own records, in memory and as keys of space 0: replicas, applied indexes, garbage,
// spaces given out. Pure: says which records a batch changes; the data store writes them with it.
//
//   n         the next space and the next garbage number
//   a range   applied index
//   r range   replica record
//   p space   given out but not yet part of a replica: becomes garbage at the next start
//   g number  garbage, and where its deletion has got to
#pragma once

#include <map>
#include <set>
#include <vector>

#include "config/base/result.h"
#include "kv/store/data_types.h"
#include "kv/store/engine.h"

namespace skald::store {

std::string physical_key(Space space, std::string_view key);
/// The first physical key behind a space's interval.
std::string physical_end(Space space, const std::optional<std::string>& end);

class Catalog {
 public:
  /// One record found at the start, in any order.
  Status load(std::string_view key, std::string_view value);
  /// After the last `load`: spaces that an unfinished snapshot left behind become garbage.
  void recycle_pending();

  Space allocate_space();
  void abandon_space(Space space);

  /// Takes over the batch's records. Their writes come out of `take_changes`.
  void apply(const DataBatch& batch);
  /// `left` of garbage `number` is still to be deleted; none: it is gone.
  void note_deleted(std::uint64_t number, const std::optional<Garbage>& left);
  /// Records that changed since it was last called.
  std::vector<EngineWrite> take_changes();

  const std::map<RangeId, ReplicaRecord>& replicas() const { return replicas_; }
  const std::map<RangeId, Applied>& applied() const { return applied_; }
  const std::map<std::uint64_t, Garbage>& garbage() const { return garbage_; }

 private:
  void put(char tag, std::string suffix, std::string value);
  void erase(char tag, std::string suffix);
  void put_counters();
  void add_garbage(Garbage garbage);
  void in_use(Space space);

  std::map<RangeId, ReplicaRecord> replicas_;
  std::map<RangeId, Applied> applied_;
  std::map<std::uint64_t, Garbage> garbage_;
  std::set<Space> pending_;
  Space next_space_ = kFirstSpace;
  std::uint64_t next_garbage_ = 1;
  std::map<std::string, std::optional<std::string>> changes_;
};

}  // namespace skald::store
