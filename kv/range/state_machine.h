// The contract between a range and the state machine that it replicates (design.md section 6).
//
// A state machine is a pure value: every replica applies the same commands in the same order with
// the same contexts and comes to the same writes and replies. It never reads a clock, the store or
// anything local. It keeps in memory what it needs to decide, and can rebuild that from a scan of
// its records.
//
// Who does what:
//   range    decodes and orders commands, answers retries (lanes.h), checks epochs, calls apply()
//   once
//            per committed command, puts `writes` into the store in the batch that moves the
//            applied index, then carries out `effects` by their tag, then sends `reply`.
//   machine  everything below. It is used by one thread at a time.
//
// Keys are logical: without the store's `space`, so that state hashes compare across stores.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/base/ids.h"
#include "config/base/result.h"

namespace skald::range {

/// One loop of one life to one destination: its commands arrive in order, each once.
struct LaneId {
  Life life;
  std::uint32_t number = 0;

  constexpr auto operator<=>(const LaneId&) const = default;
};

/// Where and when a command is applied: the same on every replica.
struct ApplyContext {
  std::uint64_t index = 0;     // in the Raft log, from 1
  std::uint64_t term = 0;      // of the entry
  std::uint64_t stamp_us = 0;  // hybrid logical clock; greater than that of any command before
  std::uint32_t level = 0;     // what the range is committed to understand
  LaneId lane;                 // who proposed it; all zero: the range itself
  std::uint64_t seq = 0;       // within the lane, from 1
};

/// One change to the store.
struct Write {
  enum class Kind : std::uint8_t { put, erase };

  Kind kind = Kind::put;
  std::string key;
  std::string value;  // empty for erase

  bool operator==(const Write&) const = default;
};

/// Who carries out an effect.
enum class EffectScope : std::uint8_t {
  every_replica,  // e.g. publish a new snapshot
  leader_only,    // lost with the leader: for what somebody else makes good, e.g. a hint to a node
  outbox,  // an intent that is also in `writes`; leaders repeat it until its "done" is applied
};

/// What one command led to. Lists are in the order in which they are to be carried out.
template <class Reply, class Effect>
struct Applied {
  std::vector<Write> writes;
  Reply reply;
  std::vector<std::pair<EffectScope, Effect>> effects;
};

/// A half-open interval of logical keys.
struct Boundary {
  std::string start;               // inclusive; empty: from the first key
  std::optional<std::string> end;  // exclusive; absent: to the last key

  bool contains(std::string_view key) const { return key >= start && (!end || key < *end); }

  bool operator==(const Boundary&) const = default;
};

/// One stored record, as a scan gives it.
struct Record {
  std::string_view key;
  std::string_view value;
};

/// What a range asks of its machine.
///
/// apply             see above. A machine that meets a command or a state that it cannot understand
///                   asserts: a replica halts, it never skips.
/// boundary_changed  after a split, or once before the first command: what lies outside is no
/// longer
///                   this machine's; it is forgotten in memory, nothing is written.
/// leader_started    this replica now leads at `term`; returns what must be driven again (the
/// outbox). leader_stopped    it no longer does. Changes nothing that is replicated. split_key the
/// nearest key to `hint` where a split may fall, strictly inside the boundary;
///                   absent when there is none.
/// rebuild_*         start empties the memory; chunks are all records inside the boundary, by key;
///                   a record that cannot be understood fails the chunk, and the replica halts.
///                   Until rebuild_finish the machine is not asked anything, and holds no serve
///                   lease.
template <class M>
concept StateMachine = requires(M machine, const M const_machine, const ApplyContext& context,
                                const typename M::Command& command, const Boundary& boundary,
                                std::string_view hint, std::span<const Record> records,
                                std::uint64_t number) {
  {
    machine.apply(context, command)
    } -> std::same_as<Applied<typename M::Reply, typename M::Effect>>;
  machine.boundary_changed(boundary);
  {
    machine.leader_started(number, number)
    } -> std::same_as<std::vector<std::pair<EffectScope, typename M::Effect>>>;
  machine.leader_stopped();
  { const_machine.split_key(hint) } -> std::same_as<std::optional<std::string>>;
  machine.rebuild_start();
  { machine.rebuild_chunk(records) } -> std::same_as<Status>;
  machine.rebuild_finish();
};

}  // namespace skald::range
