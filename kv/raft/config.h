// Who takes part in a Raft group: voters, learners, and both sets of voters during a joint change.
//
// A Config is a value; its vectors are sorted and without duplicates. It is joint while `outgoing`
// is not empty: then every decision needs a majority of `voters` and one of `outgoing` (Raft 6).
// A replica may be outgoing voter and learner at once: it votes until the joint phase ends.
// The codec is versioned and checks everything: bytes may come from a peer or from a disk.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/base/ids.h"
#include "config/base/result.h"

namespace skald::raft {

/// More members than this are refused: no sensible group has them.
inline constexpr std::size_t kMembersMax = 128;

struct Config {
  std::vector<ReplicaId> voters;
  std::vector<ReplicaId> outgoing;
  std::vector<ReplicaId> learners;

  bool operator==(const Config&) const = default;

  bool joint() const { return !outgoing.empty(); }
  bool is_voter(ReplicaId id) const;
  bool is_member(ReplicaId id) const;
  /// Everyone who is sent the log, sorted.
  std::vector<ReplicaId> members() const;
  /// Voters of both sets, sorted.
  std::vector<ReplicaId> all_voters() const;
};

/// The wanted outcome of a change: who votes and who learns when it is over. `context` is carried
/// to the apply of the entry, untouched (kv/range puts the stores of new replicas there).
struct ConfigChange {
  std::vector<ReplicaId> voters;
  std::vector<ReplicaId> learners;
  std::string context;
};

/// What an EntryKind::kConfig entry holds.
struct ConfigEntry {
  Config config;
  std::string context;
};

/// Sorted, no duplicates, no replica 0, some voter, nobody both voter and learner, few enough.
Status validate(const ConfigChange& change);

/// Sorts the sets and drops duplicates.
ConfigChange normalised(ConfigChange change);

/// The first configuration on the way from `current` (not joint) to `change` (valid): itself if no
/// voter changes, else the joint one.
Config first_step(const Config& current, const ConfigChange& change);

/// The configuration that ends a joint one.
Config without_outgoing(const Config& joint);

std::string encode(const ConfigEntry& entry);
Result<ConfigEntry> decode_config_entry(std::string_view bytes);

}  // namespace skald::raft
