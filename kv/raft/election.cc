// Who leads: pre-votes, votes, stickiness, and what removed replicas are told.
#include "config/base/assert.h"
#include "kv/raft/raft.h"

namespace skald::raft {

/// Hearing a leader means refusing every other candidate (4.2.3). A broken connection to it ends
/// the hearing, or else no replica could vote for the one that noticed the leader's death first.
/// Nothing may rest on stickiness: serve leases are honoured by the next leader instead.
bool Raft::hears_leader() const {
  if (!SKALD_GUARD(Guard::kVoteStickiness)) return false;
  if (leads()) return true;  // else CheckQuorum would have ended it
  return leader_ && leader_silence_ < options_.election_ticks && !leader_link_broken_;
}

/// Also a voter on its way out, until the configuration without it is committed: it may hold the
/// only log that can be elected (4.2.2). Its own vote then counts for nothing.
bool Raft::may_campaign() const {
  if (log_.installing()) return false;
  if (!SKALD_GUARD(Guard::kRemovedCampaigns)) return config().is_voter(id());
  return configs_.may_vote(id());
}

void Raft::tick_follower() {
  ++election_elapsed_;
  ++leader_silence_;
  if (election_elapsed_ >= election_timeout_) campaign();
}

void Raft::campaign() {
  if (leads() || !may_campaign()) return;
  if (disk_stalled()) return;  // it could not even vote for itself
  if (options_.pre_vote && SKALD_GUARD(Guard::kPreVote)) {
    pre_campaign();
  } else {
    start_election(false);
  }
}

void Raft::pre_campaign() {
  leave_role();
  role_ = Role::kPreCandidate;
  reset_election_timer();
  event(Event::Kind::kPreCampaign);
  votes_[id()] = true;
  for (ReplicaId voter : config().all_voters()) {
    if (voter == id()) continue;
    send(voter, term_ + 1,
         VoteRequest{.pre = true, .last_index = last_index(), .last_term = log_.last_term()});
  }
  count_votes();
}

/// The request tells of a log and a vote that must survive a crash, so it waits for their sync,
/// and so does the own vote.
void Raft::start_election(bool forced) {
  leave_role();
  role_ = Role::kCandidate;
  set_term(term_ + 1, id());
  reset_election_timer();
  event(Event::Kind::kCampaign);
  const bool wait = SKALD_GUARD(Guard::kOwnVoteDurable);
  own_vote_pending_ = wait;
  for (ReplicaId voter : config().all_voters()) {
    if (voter == id()) continue;
    promise(
        voter,
        VoteRequest{.forced = forced, .last_index = last_index(), .last_term = log_.last_term()},
        wait);
  }
  if (wait) return;
  votes_[id()] = true;
  count_votes();
}

void Raft::count_votes() {
  const auto vote = [this](ReplicaId voter) -> std::optional<bool> {
    const auto found = votes_.find(voter);
    if (found == votes_.end()) return std::nullopt;
    return found->second;
  };
  switch (quorum_vote(config(), vote)) {
    case VoteResult::kPending:
      return;
    case VoteResult::kLost:
      become_follower(term_, {});
      return;
    case VoteResult::kWon:
      if (role_ == Role::kPreCandidate) {
        start_election(false);
      } else {
        become_leader();
      }
      return;
  }
}

void Raft::become_leader() {
  SKALD_ASSERT(role_ == Role::kCandidate);
  SKALD_ASSERT(vote_ == id() || !SKALD_GUARD(Guard::kHigherTermYields) ||
               !SKALD_GUARD(Guard::kVoteOnce));
  leave_role();
  role_ = Role::kLeader;
  leader_ = id();
  election_elapsed_ = 0;
  round_ = 0;
  event(Event::Kind::kBecameLeader);
  sync_progress();
  for (auto& [peer, progress] : progress_) progress.recently_active = false;
  own_term_start_ = last_index() + 1;
  append_own(EntryKind::kNoop, nullptr);
  begin_round();
}

void Raft::on_vote_request(const Message& message, const VoteRequest& request) {
  const bool free = vote_ == message.from || (!vote_ && !leader_) ||
                    (request.pre && message.term > term_) || !SKALD_GUARD(Guard::kVoteOnce);
  const bool good =
      log_.up_to_date(request.last_index, request.last_term) || !SKALD_GUARD(Guard::kVoteUpToDate);
  if (!free || !good || !yields_to(message, request)) {
    promise(message.from, VoteResponse{.pre = request.pre, .granted = false}, !request.pre);
    return;
  }
  if (role_ == Role::kPreCandidate) become_follower(term_, {});
  if (request.pre) {
    send(message.from, message.term, VoteResponse{.pre = true, .granted = true});
    return;
  }
  if (vote_ != message.from) set_term(term_, message.from);
  election_elapsed_ = 0;
  promise(message.from, VoteResponse{.pre = false, .granted = true},
          SKALD_GUARD(Guard::kVoteDurable));
}

/// Two replicas that ask for pre-votes at the same moment would split the election that follows:
/// the one with the better log, then with the lower id, goes on and the other withdraws.
bool Raft::yields_to(const Message& message, const VoteRequest& request) const {
  if (!request.pre || role_ != Role::kPreCandidate) return true;
  const bool better = request.last_index != last_index() || request.last_term != log_.last_term();
  return better || message.from < id();
}

void Raft::on_vote_response(const Message& message, const VoteResponse& response) {
  if (response.pre) {
    if (role_ != Role::kPreCandidate) return;
    if (response.granted && message.term != term_ + 1) return;
  } else if (role_ != Role::kCandidate) {
    return;
  }
  votes_.emplace(message.from, response.granted);
  count_votes();
}

/// A campaign by someone in no configuration of ours: probably it was removed and never heard.
void Raft::answer_removed(const Message& message) {
  if (!leads() || progress_.contains(message.from)) return;
  if (config().is_member(message.from) || configs_.oldest().config.is_member(message.from)) return;
  if (!SKALD_GUARD(Guard::kRemovedTold)) return;
  send(message.from, Removed{configs_.oldest().index});
}

void Raft::on_removed(const Message& message, const Removed& removed) {
  event(Event::Kind::kToldRemoved, removed.config_index, message.from);
  if (role_ == Role::kFollower) {
    reset_election_timer();
  } else if (!leads()) {
    become_follower(term_, {});
  }
}

}  // namespace skald::raft
