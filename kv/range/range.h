// One replica of a range: Raft, lanes, epochs, requests, and the state machine's turn.
//
// Owned by a StoreHost. A pure core: ticks, stamps, messages and reports come in, a RangeReady
// comes out; its comment is the contract. An *uninitialised* replica was made by a message of its
// group and knows nothing yet: it votes and waits for its first snapshot.
//
// Bounds: the log in memory by truncation (Options::keep_entries behind what is flushed, and
// hold_entries for followers), proposals by Raft's byte limits and Options::unapplied_entries,
// reads by raft::Options::reads_max.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/base/random.h"
#include "kv/raft/memory_log.h"
#include "kv/raft/raft.h"
#include "kv/range/applier.h"
#include "kv/range/reply.h"
#include "kv/range/requests.h"
#include "kv/range/serve_lease.h"
#include "kv/store/log_types.h"

namespace skald::range {

struct RangeOptions {
  raft::Options raft;
  StoreId store;
  std::uint64_t keep_entries = 1000;     ///< behind the flushed state, for slow followers
  std::uint64_t hold_entries = 10'000;   ///< no active follower holds back more than this
  std::uint64_t catch_up_entries = 100;  ///< a learner that lacks no more than these may vote
  std::uint32_t catch_up_ticks = 1200;   ///< a learner that is slower is given up
  std::uint32_t ask_ticks = 40;          ///< without a leader for so long: am I still a member?
  /// A leader that has so many entries to apply takes no commands, retryable.
  std::uint64_t unapplied_entries = 20'000;
  /// Replies to commands wait until all that may serve have published them (serve_lease.h); 0: they
  /// leave when the command is applied.
  std::uint64_t serve_lease_us = 0;
  std::uint32_t report_ticks = 4;  ///< between a replica's requests for a serve lease
};

/// A snapshot that has arrived whole: the state at `meta`, in spaces that nobody else uses.
struct StagedSnapshot {
  raft::SnapshotMeta meta;
  store::ReplicaRecord record;
  Descriptor descriptor;
};

/// What a replica is made from.
struct RangeStart {
  store::ReplicaKey key;
  store::HardState hard_state;
  raft::MemoryLog log;
  /// Absent: uninitialised.
  struct State {
    store::ReplicaRecord record;
    store::Applied applied;
    Descriptor descriptor;
  };
  std::optional<State> state;
  /// A child of this replica has its log already: up to here the log must be applied again before
  /// anything replaces the data.
  raft::Index replay_to = 0;
};

/// To be carried out in field order.
///
///  - `serve_until_us`, when it changed: whoever matches on this replica's state may do so until
///    then, by the clock of tick(), and must know it before the messages leave; ~0 needs no clock.
///  - `messages` may leave at once.
///  - `install`: its data switch (DataBatch::install) is written *and flushed* before `log` is
///    appended. `abandon`: a staged snapshot was not wanted, its spaces go.
///  - `log`: synced, with what other ranges have. Then Range::written(write_number), unless that
///    is 0.
///  - `replies`: may leave at once; the data behind them is in the batches of earlier applies.
///  - `effects`: of what was applied; those that are for leaders are there only if this is one.
///  - `snapshots`: to be sent; see raft/ready.h.
///  - Range::has_entries(): apply() is due, then its batch goes into the data store.
struct RangeReady {
  struct Message {
    StoreId to;
    raft::Message message;
  };
  struct Answer {
    std::uint64_t id = 0;
    Reply reply;
  };

  struct Report {
    StoreId leader;
    LeaseHolder::Report report;
  };
  struct Grant {
    StoreId to;
    ReplicaId replica;
    std::uint64_t number = 0;
    std::uint64_t duration_us = 0;
  };

  std::optional<std::uint64_t> serve_until_us;
  std::vector<Message> messages;
  std::optional<Report> report;
  std::vector<Grant> grants;
  std::optional<StagedSnapshot> install;
  std::optional<StagedSnapshot> abandon;
  std::optional<store::ReplicaWrite> log;
  std::uint64_t write_number = 0;
  std::vector<Answer> replies;
  std::vector<ApplyResult::Effect> effects;
  std::vector<raft::SnapshotRequest> snapshots;
  std::vector<raft::Event> events;
  bool ask_membership = false;  ///< this replica may have been removed: find out

  bool empty() const {
    return !serve_until_us && messages.empty() && !report && grants.empty() && !install &&
           !abandon && !log && replies.empty() && effects.empty() && snapshots.empty() &&
           events.empty() && !ask_membership;
  }
};

class Range {
 public:
  /// `machine`: null if there is no state.
  Range(const RangeOptions& options, RangeStart start, std::unique_ptr<Machine> machine,
        Random random);
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;

  // Inputs. After any of them, take_ready().

  /// `now_us` of the monotonic clock, `wall_us` of the node's time.
  void tick(std::uint64_t now_us, std::uint64_t wall_us);
  void step(StoreId from, const raft::Message& message);
  /// A whole snapshot came from the leader of `term`. `machine`: a new one, for its state.
  void step_snapshot(ReplicaId from, raft::Term term, StagedSnapshot staged,
                     std::unique_ptr<Machine> machine);
  void request(const DataRequest& request, std::uint64_t wall_us);
  void read(const ReadRequest& request);
  void manage(const ManageRequest& request, std::uint64_t wall_us);
  void campaign() { raft_.campaign(); }
  void store_disconnected(StoreId store);
  void written(std::uint64_t write_number);
  /// The data store has all up to `index` on disk.
  void flushed(const store::Applied& applied);
  void snapshot_progress(ReplicaId to) { raft_.snapshot_progress(to); }
  void snapshot_finished(ReplicaId to, raft::Index index, bool ok) {
    raft_.snapshot_finished(to, index, ok);
  }

  /// Every match from now on sees what was applied up to `index`. To be told after rebuilds and
  /// applies; of entries that the machine has nothing to do with the range knows it by itself.
  void published(raft::Index index);
  void on_report(ReplicaId replica, raft::Term term, const LeaseHolder::Report& report);
  void on_grant(std::uint64_t number, std::uint64_t duration_us);

  RangeReady take_ready();

  // The state machine's turn.

  /// The machine's memory must be built from the data store before it can apply: first all records
  /// of the local space, then all of the extents, in order.
  bool needs_rebuild() const { return rebuilding_; }
  Status rebuild_local(std::string_view key, std::string_view value);
  Status rebuild_chunk(std::span<const Record> records);
  void rebuild_finish();

  bool has_entries() const { return !committed_.empty() && !rebuilding_ && !installing_; }
  /// Applies what is committed, roughly `bytes_max` of it. The result's batch goes into the data
  /// store before anything else of this range does.
  ApplyResult apply(std::size_t bytes_max);

  // State.

  const store::ReplicaKey& key() const { return key_; }
  ReplicaId id() const { return key_.replica; }
  bool is_installing() const { return installing_.has_value() || staged_.has_value(); }
  const raft::MemoryLog& durable_log() const { return view_; }
  bool initialised() const { return applier_ != nullptr; }
  /// Requires: initialised().
  const Descriptor& descriptor() const { return applier_->descriptor(); }
  const Applier& applier() const { return *applier_; }
  Machine& machine() { return applier_->machine(); }
  Epoch epoch() const { return applier_ ? applier_->descriptor().epoch : Epoch{}; }
  const raft::Raft& raft() const { return raft_; }
  bool leads() const { return raft_.leads(); }
  /// Until when this replica may answer matches (serve_lease.h).
  std::uint64_t serve_until_us() const;
  const std::optional<Error>& halted() const { return halted_; }
  /// Leads, and has applied an entry of its own term.
  bool leads_up_to_date() const { return leading_; }
  /// No configuration is under way, and the one applied is the last in the log.
  bool settled() const;
  /// An applied, committed configuration leaves this replica out, and one before had it: a
  /// newcomer's snapshot may be older than the entry that adds it.
  bool removed() const;
  /// Its genesis gave way: every replica that knows goes, and tells who asks.
  bool retired() const {
    return initialised() && descriptor().state == Descriptor::State::kRetired;
  }
  bool replayed() const;
  std::optional<StoreId> store_of(ReplicaId replica) const;

 private:
  struct Proposed {
    raft::Term term = 0;
    std::uint64_t id = 0;
    bool change = false;  ///< of the change of replicas under way
  };
  struct PendingRead {
    std::uint64_t id = 0;
    LaneId lane;
  };
  struct Change {
    enum class Phase : std::uint8_t { kLearners, kCatchUp, kVoters };

    std::uint64_t id = 0;
    Phase phase = Phase::kLearners;
    std::vector<ReplicaId> voters;    ///< wanted in the end
    std::vector<ReplicaId> learners;  ///< wanted in the end
    std::uint32_t ticks = 0;
  };

  void reply(std::uint64_t id, Outcome outcome) { reply(id, Reply{outcome, {}, 0, {}, {}}); }
  void reply(std::uint64_t id, Reply reply);
  Reply refusal(raft::Refusal refusal) const;
  Reply stale() const;
  std::string stamped(decltype(Command::body) body, std::uint32_t level, std::uint64_t wall_us);
  void propose(std::uint64_t id, std::string bytes);
  void learn_stores(const raft::Entry& entry);
  store::ReplicaWrite log_write(raft::Write write);
  void leadership();
  void answer_reads();
  void tick_membership();
  void answer(std::uint64_t id, raft::Index index, Reply reply);

  // range_serve.cc
  bool serves() const { return options_.serve_lease_us != 0; }
  bool alone() const;
  void tick_serve(std::uint64_t now_us);
  void release_replies();
  void end_granting();
  void take_serve();

  // range_manage.cc
  void manage_body(std::uint64_t id, const ChangeReplicas& change, std::uint64_t wall_us);
  void manage_body(std::uint64_t id, const SplitAt& split, std::uint64_t wall_us);
  void manage_body(std::uint64_t id, const TransferTo& transfer, std::uint64_t wall_us);
  void manage_body(std::uint64_t id, const SetLevel& level, std::uint64_t wall_us);
  void manage_body(std::uint64_t id, const EndLife& end, std::uint64_t wall_us);
  void manage_body(std::uint64_t id, const Retire& retire, std::uint64_t wall_us);
  ReplicaId replica_for(StoreId store);
  raft::Refusal propose_members(const std::vector<ReplicaId>& voters,
                                const std::vector<ReplicaId>& learners);
  void tick_change();
  void continue_change();
  void end_change(Reply reply);
  bool caught_up(ReplicaId replica) const;
  void maybe_truncate(const store::Applied& applied);

  const RangeOptions options_;
  const store::ReplicaKey key_;
  const raft::Index replay_to_;
  raft::MemoryLog view_;  ///< what is durable
  std::unique_ptr<Applier> applier_;
  bool rebuilding_ = false;
  std::map<ReplicaId, StoreId> stores_;  ///< of all configurations that may matter
  raft::Raft raft_;

  std::deque<raft::Write> issued_;
  std::deque<raft::Entry> committed_;
  std::optional<StagedSnapshot> staged_;      ///< stepped, not yet taken by Raft
  std::unique_ptr<Machine> next_machine_;     ///< for the snapshot that is being installed
  std::optional<StagedSnapshot> installing_;  ///< handed out, not yet written
  std::optional<store::LogBase> truncate_;
  std::map<raft::Index, Proposed> proposed_;
  std::map<std::uint64_t, PendingRead> reads_;         ///< by Raft's context
  std::multimap<raft::Index, PendingRead> due_reads_;  ///< wait until that index is applied
  std::uint64_t next_read_ = 1;
  std::optional<Change> change_;
  std::uint64_t ids_given_ = 0;  ///< in this term
  raft::Term ids_term_ = 0;
  std::uint64_t last_stamp_us_ = 0;
  std::uint64_t wall_us_ = 0;
  bool leading_ = false;
  bool was_member_ = false;
  std::uint32_t leaderless_ticks_ = 0;
  std::optional<Error> halted_;
  RangeReady pending_;

  struct Held {
    raft::Index index = 0;
    std::uint64_t id = 0;
    std::uint64_t since_us = 0;
    Reply reply;
  };
  LeaseHolder lease_;
  std::optional<LeaseGranter> granter_;  ///< from the first tick of a leadership on
  raft::Term granter_term_ = 0;
  std::map<ReplicaId, LeaseHolder::Report> asked_;  ///< to be granted with the next tick
  std::deque<Held> held_;                           ///< replies that wait, by index
  std::uint32_t report_ticks_ = 0;
  bool report_due_ = false;
  std::uint64_t now_us_ = 0;
  std::uint64_t serve_told_us_ = 0;
};

}  // namespace skald::range
