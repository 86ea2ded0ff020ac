// Terms, the three doors (tick, step, written), and what comes out of take_ready().
#include "kv/raft/raft.h"

#include <algorithm>
#include <limits>

#include "config/base/assert.h"

namespace skald::raft {
namespace {

bool from_leader(const Message& message) {
  return std::holds_alternative<Append>(message.body) ||
         std::holds_alternative<Heartbeat>(message.body) ||
         std::holds_alternative<InstallSnapshot>(message.body);
}

void check(const Options& options) {
  SKALD_ASSERT(options.id);
  SKALD_ASSERT(options.heartbeat_ticks > 0);
  SKALD_ASSERT(options.election_ticks > options.heartbeat_ticks);
  SKALD_ASSERT(options.inflight_messages_max > 0);
  SKALD_ASSERT(options.inflight_bytes_max > 0);
  SKALD_ASSERT(options.apply_bytes_max > 0);
}

}  // namespace

Raft::Raft(const Options& options, const LogView& view, const Restart& restart, Random random)
    : options_(options),
      random_(random),
      log_(view),
      configs_(restart.applied, restart.config),
      term_(restart.hard_state.term),
      vote_(restart.hard_state.vote),
      commit_(std::max(restart.hard_state.commit, restart.applied)),
      applied_(restart.applied),
      handed_to_apply_(restart.applied),
      next_read_id_(random_.next()) {
  check(options_);
  SKALD_ASSERT(restart.applied + 1 >= log_.first_index());
  SKALD_ASSERT(commit_ <= log_.last_index());
  SKALD_ASSERT(term_ >= log_.last_term());
  for (Index index = applied_ + 1; index <= log_.last_index();) {
    const Fetch fetch = log_.entries(index, log_.last_index() + 1, options_.apply_bytes_max);
    SKALD_ASSERT(fetch.status == Fetch::Status::kOk);  // a log is opened before it is used
    for (const Entry& entry : fetch.entries) {
      if (entry.kind != EntryKind::kConfig) continue;
      Result<ConfigEntry> decoded = decode_config_entry(*entry.data);
      SKALD_ASSERT(decoded.ok());
      configs_.append(entry.index, std::move(decoded->config));
    }
    index += fetch.entries.size();
  }
  configs_.prune(commit_);
  reset_election_timer();
}

void Raft::tick(std::uint64_t now) {
  ++ticks_;
  now_ = now;
  tick_reads();
  if (leads()) {
    tick_leader();
  } else {
    tick_follower();
  }
}

void Raft::step(const Message& message) {
  if (message.to != id() || message.from == id() || !message.from) {
    violation(message.from);
    return;
  }
  if (message.term > term_) {
    if (!on_higher_term(message)) return;
  } else if (message.term < term_ && SKALD_GUARD(Guard::kLowerTermRefused)) {
    on_lower_term(message);
    return;
  }
  dispatch(message);
}

void Raft::dispatch(const Message& message) {
  struct Visitor {
    Raft& raft;
    const Message& message;
    void operator()(const VoteRequest& body) const { raft.on_vote_request(message, body); }
    void operator()(const VoteResponse& body) const { raft.on_vote_response(message, body); }
    void operator()(const Append& body) const { raft.on_append(message, body); }
    void operator()(const AppendResponse& body) const { raft.on_append_response(message, body); }
    void operator()(const Heartbeat& body) const { raft.on_heartbeat(message, body); }
    void operator()(const HeartbeatResponse& body) const {
      raft.on_heartbeat_response(message, body);
    }
    void operator()(const InstallSnapshot& body) const { raft.on_install_snapshot(message, body); }
    void operator()(const ReadRequest& body) const { raft.on_read_request(message, body); }
    void operator()(const ReadResponse& body) const { raft.on_read_response(message, body); }
    void operator()(const TimeoutNow&) const { raft.on_timeout_now(message); }
    void operator()(const Removed& body) const { raft.on_removed(message, body); }
  };
  std::visit(Visitor{*this, message}, message.body);
}

/// False if the message must not be looked at further.
bool Raft::on_higher_term(const Message& message) {
  if (const auto* request = std::get_if<VoteRequest>(&message.body)) {
    if (!request->forced && hears_leader()) {
      answer_removed(message);
      return false;
    }
    if (request->pre) return true;  // asking costs no term
  }
  if (const auto* response = std::get_if<VoteResponse>(&message.body)) {
    if (response->pre && response->granted) return true;  // it carries the term we asked for
  }
  if (leads() && !SKALD_GUARD(Guard::kHigherTermYields)) {
    set_term(message.term, {});
    return true;
  }
  become_follower(message.term, from_leader(message) ? message.from : ReplicaId{});
  return true;
}

/// The sender missed an election; our term tells it so. A leader of old would otherwise go on for
/// good against a follower that has moved ahead.
void Raft::on_lower_term(const Message& message) {
  if (from_leader(message)) {
    send(message.from, AppendResponse{.rejected = true});
    return;
  }
  const auto* request = std::get_if<VoteRequest>(&message.body);
  if (request == nullptr) return;
  if (leads() && !progress_.contains(message.from)) {
    answer_removed(message);
  } else {
    send(message.from, VoteResponse{.pre = request->pre, .granted = false});
  }
}

void Raft::set_term(Term term, ReplicaId vote) {
  SKALD_ASSERT(term >= term_);
  if (term > term_) held_.clear();  // promises of a term that is over help nobody
  term_ = term;
  vote_ = vote;
  if (!vote && !SKALD_GUARD(Guard::kNewTermPersisted)) return;
  hard_state_dirty_ = true;
  hard_state_write_ = log_.last_issued() + 1;
}

/// Drops what belongs to the present role and its leader.
void Raft::leave_role() {
  if (leads()) event(Event::Kind::kSteppedDown);
  fail_reads();
  votes_.clear();
  own_vote_pending_ = false;
  std::erase_if(held_, [](const Held& held) {  // nobody stands for this election any more
    return std::holds_alternative<VoteRequest>(held.message.body);
  });
  matched_ = 0;
  last_ack_ = 0;
  ack_owed_ = false;
  leader_ = {};
  leader_silence_ = 0;
  leader_link_broken_ = false;
  progress_.clear();
  departing_.clear();
  uncommitted_.clear();
  uncommitted_bytes_ = 0;
  round_stamps_.clear();
  anchor_.reset();
  transferee_ = {};
  timeout_now_sent_ = false;
  pending_.snapshots.clear();
}

void Raft::become_follower(Term term, ReplicaId leader) {
  SKALD_ASSERT(term >= term_);
  leave_role();
  if (term > term_) set_term(term, {});
  role_ = Role::kFollower;
  leader_ = leader;
  reset_election_timer();
  event(Event::Kind::kBecameFollower, 0, leader);
}

void Raft::reset_election_timer() {
  election_elapsed_ = 0;
  election_timeout_ = static_cast<std::uint32_t>(
      random_.between(options_.election_ticks, 2 * options_.election_ticks - 1));
}

void Raft::event(Event::Kind kind, Index index, ReplicaId peer) {
  pending_.events.push_back({kind, term_, index, peer});
}

void Raft::send(ReplicaId to, Term term, Body body) {
  outbox_.push_back({id(), to, term, std::move(body)});
}

/// Sends once term and vote are durable. A newer promise of a kind to a peer replaces an older one
/// that still waits, so a stalled disk holds a bounded number of them.
void Raft::promise(ReplicaId to, Body body, bool wait) {
  if (!wait || hard_state_write_ <= log_.last_done()) {
    send(to, std::move(body));
    return;
  }
  std::erase_if(held_, [&to, &body](const Held& held) {
    return held.message.to == to && held.message.body.index() == body.index();
  });
  held_.push_back({{id(), to, term_, std::move(body)}, hard_state_write_});
}

void Raft::written(std::uint64_t write_number) {
  if (const std::optional<SnapshotMeta> installed = log_.write_done(write_number)) {
    applied_ = installed->index;
    handed_to_apply_ = installed->index;
    applying_.clear();
    applying_bytes_ = 0;
  }
  while (!held_.empty() && held_.front().after_write <= write_number) {
    outbox_.push_back(std::move(held_.front().message));
    held_.pop_front();
  }
  if (own_vote_pending_ && hard_state_write_ <= write_number) {
    own_vote_pending_ = false;
    votes_[id()] = true;
    count_votes();
  }
  if (leads()) maybe_commit();
}

void Raft::applied(Index index) {
  SKALD_ASSERT(index <= handed_to_apply_);
  if (index <= applied_) return;  // reported before a snapshot overtook it
  applied_ = index;
  while (!applying_.empty() && applying_.front().last <= index) {
    applying_bytes_ -= applying_.front().bytes;
    applying_.pop_front();
  }
}

void Raft::peer_disconnected(ReplicaId peer) {
  if (leads()) {
    const auto found = progress_.find(peer);
    if (found == progress_.end() || found->second.flow != Progress::Flow::kReplicate) return;
    found->second.become_probe(found->second.match + 1);
    return;
  }
  if (!leader_ || peer != leader_ || leader_link_broken_) return;
  leader_link_broken_ = true;
  const auto wait = static_cast<std::uint32_t>(random_.between(0, options_.disconnect_ticks_max));
  election_timeout_ = std::min(election_timeout_, election_elapsed_ + wait);
  if (wait == 0) campaign();
}

Ready Raft::take_ready() {
  if (leads()) {
    flush_leader();
  } else {
    flush_ack();
  }
  Ready ready = std::move(pending_);
  pending_ = Ready{};
  ready.messages = std::move(outbox_);
  outbox_.clear();
  take_write(ready);
  take_committed(ready);
  return ready;
}

void Raft::take_write(Ready& ready) {
  if (!log_.has_unwritten() && !hard_state_dirty_) return;
  Write write;
  write.number = log_.last_issued() + 1;
  write.snapshot = log_.take_unwritten_snapshot();
  write.entries = log_.take_unwritten();
  write.hard_state = {term_, vote_, commit_};
  hard_state_dirty_ = false;
  log_.write_issued(write.number, ticks_);
  ready.write = std::move(write);
}

void Raft::take_committed(Ready& ready) {
  if (log_.installing()) return;
  const Index synced = SKALD_GUARD(Guard::kApplySynced) ? log_.stable() : log_.last_index();
  const Index high = std::min(commit_, synced);
  if (handed_to_apply_ >= high || applying_bytes_ >= options_.apply_bytes_max) return;
  Fetch fetch =
      log_.entries(handed_to_apply_ + 1, high + 1, options_.apply_bytes_max - applying_bytes_);
  SKALD_ASSERT(fetch.status != Fetch::Status::kCompacted);  // only applied entries are truncated
  if (fetch.status == Fetch::Status::kPending) return;
  std::size_t bytes = 0;
  for (const Entry& entry : fetch.entries) bytes += entry.bytes();
  handed_to_apply_ += fetch.entries.size();
  applying_bytes_ += bytes;
  applying_.push_back({handed_to_apply_, bytes});
  ready.committed = std::move(fetch.entries);
}

std::optional<std::uint64_t> Raft::lease_anchor() const {
  if (!commit_is_current() || transferee_) return std::nullopt;
  return anchor_;
}

}  // namespace skald::raft
