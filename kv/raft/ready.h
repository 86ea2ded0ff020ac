// What the Raft core wants done: the contract between core and shell.
//
// After every input (or a burst of them) the shell calls Raft::take_ready() and carries the Ready
// out **in field order**. The order that safety needs is kept by the core, not by the shell:
//
//  - `messages` may leave at once. Whatever promises something that must survive a crash (a vote,
//    an ack, a request for votes) stays inside the core until the write it leans on was reported
//    by Raft::written(), and comes out of a later Ready.
//  - `write` goes to the disk: everything in one Write is atomic (one batch), writes reach the
//    disk in order of their numbers, and Raft::written(n) is called when write n and all before
//    it are synced and LogView shows them. Several may be under way; many groups may share one
//    sync. A write that fails is never reported: the shell stops the replica.
//  - `committed` is applied in order, later or on another thread; Raft::applied(index) tells so.
//    Everything in it is synced on this replica too.
//  - `reads` that are ok may be served once the state machine has applied `index`.
//  - `snapshots`: send a snapshot of the applied state to that follower. The receiver's shell
//    stages it, then steps Message{leader, follower, term, InstallSnapshot{meta}} into its own
//    core, which answers with a Write that installs it or ignores it. The sender's shell calls
//    Raft::snapshot_progress() while bytes flow and Raft::snapshot_finished() at the end; both
//    may be lost.
//  - `events` are for logs and counters only.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kv/raft/message.h"

namespace skald::raft {

/// One atomic batch for the disk. In order: `snapshot` replaces log and state; `entries` replace
/// everything in the log from their first index on; `hard_state` replaces the last one.
struct Write {
  std::uint64_t number = 0;
  std::optional<SnapshotMeta> snapshot;
  std::vector<Entry> entries;
  HardState hard_state;
};

/// The answer to Raft::read(context). Not ok: leadership was lost or the leader did not answer;
/// ask again.
struct ReadResult {
  std::uint64_t context = 0;
  bool ok = false;
  Index index = 0;
};

struct SnapshotRequest {
  ReplicaId to;
  Term term = 0;
};

struct Event {
  enum class Kind : std::uint8_t {
    kBecameLeader,
    kPreCampaign,
    kCampaign,
    kBecameFollower,
    kSteppedDown,        ///< a leader of `term` no longer leads
    kLostQuorum,         ///< why: CheckQuorum
    kDiskStalled,        ///< why: the disk has not finished a write in time
    kLeftGroup,          ///< why: its own removal is committed
    kTransferStarted,    ///< to `peer`
    kTransferAborted,    ///< to `peer`
    kConfigAppended,     ///< at `index`, in force from now
    kConfigCommitted,    ///< at `index`
    kSnapshotRestored,   ///< at `index`
    kToldRemoved,        ///< by `peer`: verify through a quorum, then destroy
    kProtocolViolation,  ///< `peer` sent what no correct replica sends; it was ignored
  };

  Kind kind;
  Term term = 0;
  Index index = 0;
  ReplicaId peer;
};

struct Ready {
  std::vector<Message> messages;
  std::optional<Write> write;
  std::vector<Entry> committed;
  std::vector<ReadResult> reads;
  std::vector<SnapshotRequest> snapshots;
  std::vector<Event> events;

  bool empty() const {
    return messages.empty() && !write && committed.empty() && reads.empty() && snapshots.empty() &&
           events.empty();
  }
};

}  // namespace skald::raft
