// How a leader spreads its log, counts acks, commits, and keeps its followers' patience.
#include <algorithm>

#include "config/base/assert.h"
#include "kv/raft/raft.h"

namespace skald::raft {
namespace {

/// Unanswered heartbeat rounds whose send time is remembered for lease_anchor().
constexpr std::size_t kRoundStampsMax = 64;

}  // namespace

void Raft::tick_leader() {
  ++heartbeat_elapsed_;
  ++election_elapsed_;
  if (disk_stalled()) {
    // A leader that cannot write commits through others at best, and serves nobody.
    step_down(Event::Kind::kDiskStalled, true);
    return;
  }
  if (election_elapsed_ >= options_.election_ticks) {
    election_elapsed_ = 0;
    if (!quorum_is_active() && SKALD_GUARD(Guard::kCheckQuorum)) {
      step_down(Event::Kind::kLostQuorum, false);
      return;
    }
  }
  tick_transfer();
  tick_snapshots();
  tick_departing();
  if (heartbeat_elapsed_ >= options_.heartbeat_ticks) begin_round();
}

bool Raft::disk_stalled() const {
  const std::optional<std::uint64_t> issued = log_.oldest_write_tick();
  return issued && ticks_ - *issued > options_.disk_stall_ticks && SKALD_GUARD(Guard::kDiskStall);
}

void Raft::tick_snapshots() {
  for (auto& [peer, progress] : progress_) {
    if (progress.flow != Progress::Flow::kSnapshot) continue;
    if (++progress.snapshot_ticks < options_.snapshot_ticks) continue;
    if (SKALD_GUARD(Guard::kLostSnapshot)) progress.become_probe(progress.match + 1);
  }
}

void Raft::step_down(Event::Kind why, bool hand_over_first) {
  event(why);
  if (hand_over_first) {
    for (auto& [peer, progress] : progress_) send_commit(peer, progress);
    hand_over();
  }
  become_follower(term_, {});
}

bool Raft::quorum_is_active() {
  const auto active = [this](ReplicaId voter) -> std::optional<bool> {
    if (voter == id() || progress_.at(voter).recently_active) return true;
    return std::nullopt;
  };
  const bool won = quorum_vote(config(), active) == VoteResult::kWon;
  for (auto& [peer, progress] : progress_) progress.recently_active = false;
  return won;
}

Refusal Raft::refuses_proposal(std::size_t bytes) const {
  if (!leads()) return Refusal::kNotLeader;
  if (transferee_ && SKALD_GUARD(Guard::kTransferStops)) return Refusal::kTransferring;
  if (bytes > options_.entry_bytes_max) return Refusal::kTooLarge;
  // One proposal always fits, or an entry larger than the limit could never be made.
  if (uncommitted_bytes_ > 0 && uncommitted_bytes_ + bytes > options_.uncommitted_bytes_max &&
      SKALD_GUARD(Guard::kUncommittedLimit)) {
    return Refusal::kOverloaded;
  }
  return Refusal::kNone;
}

Proposal Raft::propose(Payload command) {
  const std::size_t bytes = kEntryOverheadBytes + (command ? command->size() : 0);
  const Refusal refusal = refuses_proposal(bytes);
  if (refusal != Refusal::kNone) return {refusal, 0, 0};
  append_own(EntryKind::kCommand, std::move(command));
  return {Refusal::kNone, last_index(), term_};
}

void Raft::append_own(EntryKind kind, Payload data) {
  Entry entry{term_, last_index() + 1, kind, std::move(data)};
  uncommitted_.push_back({entry.index, entry.bytes()});
  uncommitted_bytes_ += entry.bytes();
  std::vector<Entry> entries;
  entries.push_back(std::move(entry));
  append_entries(std::move(entries));
}

/// Heartbeats carry no more commit than the follower is known to have: it checks nothing.
void Raft::begin_round() {
  ++round_;
  heartbeat_elapsed_ = 0;
  round_stamps_.emplace_back(round_, now_);
  if (round_stamps_.size() > kRoundStampsMax) round_stamps_.pop_front();
  reads_.assign_round(round_);
  for (auto& [peer, progress] : progress_) {
    const Index commit =
        SKALD_GUARD(Guard::kHeartbeatCommit) ? std::min(progress.match, commit_) : commit_;
    progress.sent_commit = std::max(progress.sent_commit, commit);
    send(peer, Heartbeat{.round = round_, .commit = commit});
  }
}

void Raft::on_append_response(const Message& message, const AppendResponse& response) {
  const auto found = progress_.find(message.from);
  if (!leads() || found == progress_.end()) return;
  Progress& progress = found->second;
  progress.recently_active = true;
  if (!response.rejected) {
    acked(message.from, progress, response.index);
    return;
  }
  // The hint is the follower's last entry of a term not above ours there; ours of a term not
  // above the hint's may lie further back.
  const Index hint = log_.last_not_after(response.hint_index, response.hint_term);
  progress.rejected(response.rejected_index, hint);
}

void Raft::on_heartbeat_response(const Message& message, const HeartbeatResponse& response) {
  const auto found = progress_.find(message.from);
  if (!leads() || found == progress_.end()) return;
  if (response.round > round_) {
    violation(message.from);
    return;
  }
  Progress& progress = found->second;
  progress.recently_active = true;
  progress.acked_round = std::max(progress.acked_round, response.round);
  if (response.round > progress.probe_round) progress.probe_sent = false;
  // Nothing new was acked for a whole round: an append may be lost. An empty one will tell.
  progress.poke = progress.flow == Progress::Flow::kReplicate && !progress.inflights.empty() &&
                  progress.match == progress.match_at_heartbeat && SKALD_GUARD(Guard::kLostAppend);
  progress.match_at_heartbeat = progress.match;
  if (response.index > progress.match) acked(message.from, progress, response.index);
}

void Raft::acked(ReplicaId peer, Progress& progress, Index index) {
  if (index > last_index()) {
    violation(peer);
    return;
  }
  const bool news = progress.acked(index);
  switch (progress.flow) {
    case Progress::Flow::kProbe:
      if (news || index == progress.match) progress.become_replicate();
      break;
    case Progress::Flow::kSnapshot:
      // However it got there, the log serves it again: no report needed.
      if (progress.match + 1 >= log_.first_index()) progress.become_replicate();
      break;
    case Progress::Flow::kReplicate:
      break;
  }
  if (!news) return;
  continue_transfer();
  maybe_commit();
}

/// Counts acks (5.3, 5.4.2): a leader commits by counting only in its own term.
void Raft::maybe_commit() {
  const Index own = SKALD_GUARD(Guard::kLeaderCountsSynced) ? log_.stable() : last_index();
  const Index index = quorum_reached(config(), [this, own](ReplicaId voter) {
    return voter == id() ? own : progress_.at(voter).match;
  });
  if (index <= commit_) return;
  if (log_.term(index) != term_ && SKALD_GUARD(Guard::kCommitOwnTerm)) return;
  commit_to(index);
  while (!uncommitted_.empty() && uncommitted_.front().last <= commit_) {
    uncommitted_bytes_ -= uncommitted_.front().bytes;
    uncommitted_.pop_front();
  }
  release_early_reads();
  config_committed();
}

/// All sending is done here, once a burst: many proposals travel in one Append.
void Raft::flush_leader() {
  maybe_commit();  // a configuration may have made the quorum smaller
  if (!leads()) return;
  update_anchor();
  release_reads();
  if (reads_.wants_round() && reads_.waiting.front().round == 0) {
    begin_round();
    release_reads();
  }
  for (auto& [peer, progress] : progress_) replicate_to(peer, progress);
  forget_departed();
}

void Raft::replicate_to(ReplicaId peer, Progress& progress) {
  bool sent = false;
  while (progress.next <= last_index() && send_append(peer, progress, false)) sent = true;
  const bool probe = progress.flow == Progress::Flow::kProbe && progress.match < last_index();
  if (!sent && (probe || progress.poke)) send_append(peer, progress, true);
  send_commit(peer, progress);
}

bool Raft::send_append(ReplicaId peer, Progress& progress, bool even_empty) {
  const bool poke = even_empty && progress.poke;
  if (!poke && !progress.may_send(options_)) return false;
  const Index prev = progress.next - 1;
  const std::optional<Term> prev_term = log_.term(prev);
  if (!prev_term) {
    ask_for_snapshot(peer, progress);
    return false;
  }
  Append append{prev, *prev_term, commit_, {}};
  if (!poke && progress.next <= last_index()) {
    Fetch fetch = log_.entries(progress.next, last_index() + 1, options_.append_bytes_max);
    if (fetch.status == Fetch::Status::kCompacted) ask_for_snapshot(peer, progress);
    if (fetch.status != Fetch::Status::kOk) return false;
    append.entries = std::move(fetch.entries);
  }
  std::size_t bytes = 0;
  for (const Entry& entry : append.entries) bytes += entry.bytes();
  const Index last = prev + append.entries.size();
  progress.poke = false;
  progress.probe_round = round_;
  progress.sent(last, bytes);
  progress.sent_commit = std::max(progress.sent_commit, std::min(commit_, last));
  send(peer, std::move(append));
  return true;
}

void Raft::ask_for_snapshot(ReplicaId peer, Progress& progress) {
  if (!progress.recently_active) return;  // not for the dead
  progress.become_snapshot();
  pending_.snapshots.push_back({peer, term_});
}

/// An idle follower learns of a commit at once, not with the next heartbeat.
void Raft::send_commit(ReplicaId peer, Progress& progress) {
  const Index commit = std::min(progress.match, commit_);
  if (commit <= progress.sent_commit) return;
  progress.sent_commit = commit;
  send(peer, Heartbeat{.round = 0, .commit = commit});
}

void Raft::snapshot_progress(ReplicaId to) {
  const auto found = progress_.find(to);
  if (found != progress_.end()) found->second.snapshot_ticks = 0;
}

/// Either way the next heartbeat's answer starts the probing: the follower needs time to install,
/// and a sender that failed must not try again at once.
void Raft::snapshot_finished(ReplicaId to, Index index, bool ok) {
  const auto found = progress_.find(to);
  if (found == progress_.end() || found->second.flow != Progress::Flow::kSnapshot) return;
  Progress& progress = found->second;
  progress.become_probe(ok ? index + 1 : progress.match + 1);
  progress.next = std::min(progress.next, last_index() + 1);
  progress.probe_sent = true;
  progress.probe_round = round_;
}

}  // namespace skald::raft
