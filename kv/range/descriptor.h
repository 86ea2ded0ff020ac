// What a range is, as all its replicas agree: identity, boundary, epoch, who holds it.
//
// A plain value, part of the replicated state: it changes only by applied log entries, so equal
// (range, epoch) means an equal descriptor. Stores announce it, routers and balancers read it.
//
// Epoch: conf_ver grows with each configuration entry that is applied, boundary_ver with each
// split. Data requests name the boundary_ver that they were routed by, management commands both.
// A child of a split goes on with its parent's conf_ver: 1 says that no member ever changed.
// The upper half of conf_ver is the generation: an unsafe recovery begins a new one, and replicas
// of different generations do not talk (recovery.h).
//
// Replica ids are never used twice in a range: the leader of term T gives out T * kIdsPerTerm + n.
// Terms have one leader, so two leaders cannot give one id to two stores, even when the entry that
// first named it is lost.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/base/ids.h"
#include "config/base/result.h"
#include "kv/raft/config.h"
#include "kv/range/state_machine.h"

namespace skald::range {

/// One store of a subcluster: a data directory's identity, new when the directory is.
using StoreId = Id<struct StoreIdTag>;

inline constexpr std::uint64_t kIdsPerTerm = 1 << 20;
inline constexpr unsigned kGenerationShift = 32;

/// The term whose leader gave this id out; 0 for those that a range began with.
constexpr std::uint64_t term_of(ReplicaId id) { return id.value / kIdsPerTerm; }

struct Epoch {
  std::uint64_t conf_ver = 0;
  std::uint64_t boundary_ver = 0;

  auto operator<=>(const Epoch&) const = default;
  std::uint64_t generation() const { return conf_ver >> kGenerationShift; }
};

struct Replica {
  /// In a joint configuration: incoming votes in the new set only, outgoing and demoting in the
  /// old one only; who is demoting stays as a learner.
  enum class Role : std::uint8_t { kVoter, kLearner, kIncoming, kOutgoing, kDemoting };

  StoreId store;
  ReplicaId id;
  Role role = Role::kVoter;

  auto operator<=>(const Replica&) const = default;
};

/// One bootstrap of a key space (design.md section 6).
struct Genesis {
  std::uint64_t id = 0;
  std::uint64_t stamp_us = 0;  ///< when: the oldest wins among the unused
  bool used = false;           ///< a user command is committed in this range or in a parent

  bool operator==(const Genesis&) const = default;
};

struct Descriptor {
  /// Merge is not built; its values are reserved so that they never mean anything else. A retired
  /// range takes no commands: its genesis gave way, its replicas go.
  enum class State : std::uint8_t {
    kNormal = 0,
    kMergeReserved1 = 1,
    kMergeReserved2 = 2,
    kRetired = 3
  };

  RangeId id;
  Boundary boundary;
  Epoch epoch;
  std::vector<Replica> replicas;  ///< by id
  Genesis genesis;
  std::uint32_t level = 1;  ///< commands up to this level may be proposed
  State state = State::kNormal;

  bool operator==(const Descriptor&) const = default;

  const Replica* find(ReplicaId replica) const;
  const Replica* on(StoreId store) const;
};

/// Both directions between a descriptor's roles and Raft's sets; one to one.
raft::Config config_of(const Descriptor& descriptor);
/// Requires: every member has a store in `stores`.
std::vector<Replica> replicas_of(const raft::Config& config,
                                 const std::map<ReplicaId, StoreId>& stores);

/// Whether the two overlap in some key.
bool overlap(const Boundary& a, const Boundary& b);
bool valid(const Boundary& boundary);

std::string encode(const Descriptor& descriptor);
Result<Descriptor> decode_descriptor(std::string_view bytes);

/// For logs and traces.
std::string describe(const Descriptor& descriptor);

}  // namespace skald::range
