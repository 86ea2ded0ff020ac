// Linearizable reads without a log entry (ReadIndex, Raft 6.4).
#include <algorithm>

#include "config/base/assert.h"
#include "kv/raft/raft.h"

namespace skald::raft {

Refusal Raft::read(std::uint64_t context) {
  if (reads_.size() >= options_.reads_max) return Refusal::kOverloaded;
  if (leads()) {
    leader_read({}, context);
    return Refusal::kNone;
  }
  if (role_ != Role::kFollower || !leader_) return Refusal::kNotLeader;
  const std::uint64_t id = next_read_id_++;
  reads_.forwarded.push_back({id, context, 0});
  send(leader_, ReadRequest{id});
  return Refusal::kNone;
}

void Raft::on_read_request(const Message& message, const ReadRequest& request) {
  if (!leads() || reads_.size() >= options_.reads_max) return;  // the asker gives up by itself
  leader_read(message.from, request.id);
}

/// A new leader may not know the last commits of its predecessor before its own no-op is committed.
void Raft::leader_read(ReplicaId from, std::uint64_t id) {
  if (!commit_is_current() && SKALD_GUARD(Guard::kReadOwnTerm)) {
    reads_.early.push_back({from, id, 0, 0});
    return;
  }
  const std::uint64_t round = SKALD_GUARD(Guard::kReadRoundLater) ? 0 : quorum_round();
  reads_.waiting.push_back({from, id, commit_, round});
}

void Raft::release_early_reads() {
  if (!commit_is_current()) return;
  for (WaitingRead& read : reads_.early) {
    read.index = commit_;
    reads_.waiting.push_back(read);
  }
  reads_.early.clear();
}

/// The last heartbeat round that a quorum answered.
std::uint64_t Raft::quorum_round() const {
  return quorum_reached(config(), [this](ReplicaId voter) {
    return voter == id() ? round_ : progress_.at(voter).acked_round;
  });
}

void Raft::update_anchor() {
  const std::uint64_t answered = quorum_round();
  while (!round_stamps_.empty() && round_stamps_.front().first <= answered) {
    anchor_ = round_stamps_.front().second;
    round_stamps_.pop_front();
  }
}

void Raft::release_reads() {
  const std::uint64_t answered = quorum_round();
  const bool wait = SKALD_GUARD(Guard::kReadQuorum);
  while (!reads_.waiting.empty()) {
    const WaitingRead& read = reads_.waiting.front();
    if (wait && SKALD_GUARD(Guard::kReadRoundLater) && read.round == 0) return;
    if (wait && read.round > answered) return;
    answer_read(read);
    reads_.waiting.pop_front();
  }
}

void Raft::answer_read(const WaitingRead& read) {
  if (read.from) {
    send(read.from, ReadResponse{read.id, read.index});
  } else {
    pending_.reads.push_back({read.id, true, read.index});
  }
}

void Raft::on_read_response(const Message& message, const ReadResponse& response) {
  if (message.from != leader_) return;
  const auto found =
      std::find_if(reads_.forwarded.begin(), reads_.forwarded.end(),
                   [&response](const ForwardedRead& read) { return read.id == response.id; });
  if (found == reads_.forwarded.end()) return;
  pending_.reads.push_back({found->context, true, response.index});
  reads_.forwarded.erase(found);
}

void Raft::fail_reads() {
  const auto fail = [this](const std::deque<WaitingRead>& reads) {
    for (const WaitingRead& read : reads) {
      if (!read.from) pending_.reads.push_back({read.id, false, 0});
    }
  };
  fail(reads_.waiting);
  fail(reads_.early);
  for (const ForwardedRead& read : reads_.forwarded) {
    pending_.reads.push_back({read.context, false, 0});
  }
  reads_ = ReadQueue{};
}

/// Answers that do not come are not waited for longer than an election would take.
void Raft::tick_reads() {
  for (ForwardedRead& read : reads_.forwarded) ++read.ticks;
  while (!reads_.forwarded.empty() && reads_.forwarded.front().ticks > options_.election_ticks) {
    pending_.reads.push_back({reads_.forwarded.front().context, false, 0});
    reads_.forwarded.pop_front();
  }
}

}  // namespace skald::raft
