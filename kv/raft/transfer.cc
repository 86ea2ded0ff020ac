// Leadership transfer (thesis 3.10): stop proposals, let the target catch up, tell it to campaign;
// after an election timeout give up and go on.
#include "config/base/assert.h"
#include "kv/raft/raft.h"

namespace skald::raft {

Refusal Raft::transfer(ReplicaId target) {
  if (!leads()) return Refusal::kNotLeader;
  if (target == id() || !config().is_voter(target)) return Refusal::kInvalid;
  if (transferee_ == target) return Refusal::kNone;
  if (transferee_) end_transfer();
  transferee_ = target;
  transfer_ticks_ = 0;
  timeout_now_sent_ = false;
  event(Event::Kind::kTransferStarted, 0, target);
  continue_transfer();
  return Refusal::kNone;
}

void Raft::continue_transfer() {
  if (!transferee_ || timeout_now_sent_) return;
  if (progress_.at(transferee_).match != last_index()) return;
  timeout_now_sent_ = true;
  send(transferee_, TimeoutNow{});
}

void Raft::tick_transfer() {
  if (!transferee_) return;
  ++transfer_ticks_;
  if (transfer_ticks_ >= options_.election_ticks && SKALD_GUARD(Guard::kTransferTimesOut)) {
    end_transfer();
  }
}

void Raft::end_transfer() {
  event(Event::Kind::kTransferAborted, 0, transferee_);
  transferee_ = {};
  timeout_now_sent_ = false;
}

void Raft::on_timeout_now(const Message& message) {
  if (leads() || (leader_ && leader_ != message.from)) return;
  if (may_campaign()) start_election(true);
}

/// A leader that must go names the voter with the most of its log, if that has all that is
/// committed: an election timeout saved.
void Raft::hand_over() {
  ReplicaId best;
  Index best_match = 0;
  for (ReplicaId voter : config().all_voters()) {
    if (voter == id()) continue;
    const Index match = progress_.at(voter).match;
    if (match < commit_ || (best && match <= best_match)) continue;
    best = voter;
    best_match = match;
  }
  if (best) send(best, TimeoutNow{});
}

}  // namespace skald::raft
