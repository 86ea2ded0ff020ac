// One replica's part of a Raft group, as a pure state machine.
//
// Owned by one shell (an actor, or the simulator), which calls it from one thread, feeds it ticks,
// messages and reports, and carries out each Ready (ready.h holds that contract). It has no
// thread, clock, file or global; time is ticks, randomness the Random given.
//
// Implements Ongaro's thesis with: PreVote (9.6), CheckQuorum (6.2), vote stickiness (4.2.3), a
// no-op at election (6.4), ReadIndex (6.4), learners (4.2.1), joint consensus in force at append
// (4.3), leadership transfer (3.10). Deliberately absent: lease reads, quiescence, single-step
// membership changes.
//
// Durability is asynchronous: entries and hard state are handed out in numbered Writes, and nothing
// is counted, acked or granted on their strength before written(). Leaders replicate in parallel
// with their own disk.
//
// Input of peers is checked: what no correct replica sends is ignored and told as an Event.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "config/base/random.h"
#include "kv/raft/config_history.h"
#include "kv/raft/log.h"
#include "kv/raft/options.h"
#include "kv/raft/progress.h"
#include "kv/raft/quorum.h"
#include "kv/raft/read_queue.h"
#include "kv/raft/ready.h"

namespace skald::raft {

enum class Role : std::uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

/// Why an input from above was not taken. All but the last three may succeed later.
enum class Refusal : std::uint8_t {
  kNone,
  kNotLeader,       ///< ask leader()
  kTransferring,    ///< leadership is moving
  kOverloaded,      ///< too many uncommitted bytes, or too many reads
  kChangeUnderWay,  ///< the configuration before is not committed, or still joint
  kNotReady,        ///< nothing of the own term is committed yet
  kTooLarge,        ///< will never fit
  kInvalid,         ///< the change or the target makes no sense
  kAlready,         ///< the configuration is the one asked for
};

/// Where a proposal went. It is committed when an entry of that index *and term* is.
struct Proposal {
  Refusal refusal = Refusal::kNone;
  Index index = 0;
  Term term = 0;

  bool ok() const { return refusal == Refusal::kNone; }
};

class Raft {
 public:
  /// `view` must outlive this.
  Raft(const Options& options, const LogView& view, const Restart& restart, Random random);
  Raft(const Raft&) = delete;
  Raft& operator=(const Raft&) = delete;

  // Inputs. After any of them, take_ready().

  /// Time passes. `now` is the shell's monotonic clock in any unit; it only stamps lease_anchor().
  void tick(std::uint64_t now);
  void step(const Message& message);
  Proposal propose(Payload command);
  Proposal propose_config(const ConfigChange& change);
  /// Asks for an index at which a read is linearizable; answered in Ready::reads by `context`.
  Refusal read(std::uint64_t context);
  Refusal transfer(ReplicaId target);
  /// Tries an election now (after a split, on the store that led the parent).
  void campaign();
  /// The connection to that peer broke: what was in flight may be lost, and if it leads, this
  /// replica may ask for pre-votes soon. Proves nothing and shortens no lease.
  void peer_disconnected(ReplicaId peer);
  void written(std::uint64_t write_number);
  void applied(Index index);
  void snapshot_progress(ReplicaId to);
  /// `index` of the snapshot that was sent; not ok if it could not be.
  void snapshot_finished(ReplicaId to, Index index, bool ok);

  Ready take_ready();

  // State.

  ReplicaId id() const { return options_.id; }
  Role role() const { return role_; }
  bool leads() const { return role_ == Role::kLeader; }
  Term term() const { return term_; }
  ReplicaId vote() const { return vote_; }
  /// Who leads, as far as known; nobody if 0.
  ReplicaId leader() const { return leader_; }
  Index commit() const { return commit_; }
  Index applied() const { return applied_; }
  Index last_index() const { return log_.last_index(); }
  Index stable() const { return log_.stable(); }
  const Log& log() const { return log_; }
  const Config& config() const { return configs_.latest().config; }
  Index config_index() const { return configs_.latest().index; }
  const std::map<ReplicaId, Progress>& progress() const { return progress_; }
  ReplicaId transferee() const { return transferee_; }
  std::size_t uncommitted_bytes() const { return uncommitted_bytes_; }
  /// A leader that has committed in its own term: its commit index is up to date.
  bool commit_is_current() const { return leads() && log_.term(commit_) == term_; }
  /// `now` of the tick before the last heartbeat round that a quorum answered: until then this
  /// replica surely led. Empty if it does not lead, is handing over, or knows of none.
  std::optional<std::uint64_t> lease_anchor() const;

  /// Asserts every invariant between the parts. For tests and simulation: O(members).
  void check_invariants() const;

 private:
  struct Held {
    Message message;
    std::uint64_t after_write;  ///< leaves when this write is durable
  };
  struct Sized {
    Index last;
    std::size_t bytes;
  };

  // raft.cc: terms, messages, writes
  void dispatch(const Message& message);
  bool on_higher_term(const Message& message);
  void on_lower_term(const Message& message);
  void become_follower(Term term, ReplicaId leader);
  void set_term(Term term, ReplicaId vote);
  void send(ReplicaId to, Body body) { send(to, term_, std::move(body)); }
  void send(ReplicaId to, Term term, Body body);
  void promise(ReplicaId to, Body body, bool wait = true);
  void take_messages(Ready& ready);
  void take_write(Ready& ready);
  void take_committed(Ready& ready);
  void event(Event::Kind kind, Index index = 0, ReplicaId peer = {});
  void violation(ReplicaId peer) { event(Event::Kind::kProtocolViolation, 0, peer); }
  void reset_election_timer();

  // election.cc
  bool may_campaign() const;
  bool hears_leader() const;
  void tick_follower();
  void pre_campaign();
  void start_election(bool forced);
  void count_votes();
  void become_leader();
  void leave_role();
  void on_vote_request(const Message& message, const VoteRequest& request);
  bool yields_to(const Message& message, const VoteRequest& request) const;
  void on_vote_response(const Message& message, const VoteResponse& response);
  void on_removed(const Message& message, const Removed& removed);
  void answer_removed(const Message& message);

  // follower.cc
  bool follow(ReplicaId leader);
  void on_append(const Message& message, const Append& append);
  bool well_formed(const Message& message, const Append& append) const;
  void accept(const Append& append);
  void reject(ReplicaId leader, const Append& append);
  void on_heartbeat(const Message& message, const Heartbeat& heartbeat);
  void on_install_snapshot(const Message& message, const InstallSnapshot& install);
  void flush_ack();
  void append_entries(std::vector<Entry> entries);
  void commit_to(Index index);

  // replication.cc
  void tick_leader();
  bool disk_stalled() const;
  void tick_snapshots();
  void append_own(EntryKind kind, Payload data);
  Refusal refuses_proposal(std::size_t bytes) const;
  void begin_round();
  bool quorum_is_active();
  void on_append_response(const Message& message, const AppendResponse& response);
  void on_heartbeat_response(const Message& message, const HeartbeatResponse& response);
  void acked(ReplicaId peer, Progress& progress, Index index);
  void maybe_commit();
  void flush_leader();
  void replicate_to(ReplicaId peer, Progress& progress);
  bool send_append(ReplicaId peer, Progress& progress, bool even_empty);
  void ask_for_snapshot(ReplicaId peer, Progress& progress);
  void send_commit(ReplicaId peer, Progress& progress);
  void step_down(Event::Kind why, bool hand_over);

  // config_change.cc
  void config_appended(Index index, const Config& config);
  void sync_progress();
  void config_committed();
  void tick_departing();
  void forget_departed();

  // read.cc
  void leader_read(ReplicaId from, std::uint64_t id);
  void on_read_request(const Message& message, const ReadRequest& request);
  void on_read_response(const Message& message, const ReadResponse& response);
  void release_early_reads();
  void release_reads();
  void update_anchor();
  void answer_read(const WaitingRead& read);
  void fail_reads();
  void tick_reads();
  std::uint64_t quorum_round() const;

  // transfer.cc
  void tick_transfer();
  void end_transfer();
  void continue_transfer();
  void on_timeout_now(const Message& message);
  void hand_over();

  const Options options_;
  Random random_;
  Log log_;
  ConfigHistory configs_;

  // Hard state.
  Term term_ = 0;
  ReplicaId vote_;
  Index commit_ = 0;
  bool hard_state_dirty_ = false;
  std::uint64_t hard_state_write_ = 0;  ///< the write that makes term and vote durable

  // Everyone.
  Role role_ = Role::kFollower;
  ReplicaId leader_;
  std::uint64_t ticks_ = 0;
  std::uint64_t now_ = 0;
  std::uint32_t election_elapsed_ = 0;
  std::uint32_t election_timeout_ = 0;  ///< random
  Index applied_ = 0;
  Index handed_to_apply_ = 0;
  std::size_t applying_bytes_ = 0;
  std::deque<Sized> applying_;

  // Followers.
  std::uint32_t leader_silence_ = 0;  ///< ticks since the leader was heard
  bool leader_link_broken_ = false;
  Index matched_ = 0;  ///< known to equal the leader's log, durable or not
  bool ack_owed_ = false;
  Index last_ack_ = 0;  ///< acking no more than this is no news

  // Candidates.
  std::map<ReplicaId, bool> votes_;
  bool own_vote_pending_ = false;

  // Leaders.
  std::map<ReplicaId, Progress> progress_;        ///< all members, and those leaving
  std::map<ReplicaId, std::uint32_t> departing_;  ///< removed, with ticks since that committed
  std::uint32_t heartbeat_elapsed_ = 0;
  std::uint64_t round_ = 0;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> round_stamps_;  ///< (round, now)
  std::optional<std::uint64_t> anchor_;
  std::deque<Sized> uncommitted_;
  std::size_t uncommitted_bytes_ = 0;
  ReplicaId transferee_;
  std::uint32_t transfer_ticks_ = 0;
  bool timeout_now_sent_ = false;
  Index own_term_start_ = 0;  ///< the no-op of this leader

  ReadQueue reads_;
  std::uint64_t next_read_id_;

  std::vector<Message> outbox_;
  std::deque<Held> held_;
  Ready pending_;  ///< reads, snapshots and events that the next Ready takes along
};

}  // namespace skald::raft
