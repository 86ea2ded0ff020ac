// What must hold between the parts of a Raft after every input.
#include <algorithm>

#include "config/base/assert.h"
#include "kv/raft/raft.h"

namespace skald::raft {

void Raft::check_invariants() const {
  SKALD_ASSERT(applied_ <= handed_to_apply_);
  SKALD_ASSERT(handed_to_apply_ <= commit_);
  SKALD_ASSERT(commit_ <= last_index());
  SKALD_ASSERT(log_.installing() || applied_ + 1 >= log_.first_index());
  SKALD_ASSERT(log_.installing() || handed_to_apply_ <= log_.stable() ||
               !SKALD_GUARD(Guard::kApplySynced));
  SKALD_ASSERT(log_.stable() <= last_index());
  SKALD_ASSERT(log_.last_term() <= term_);
  SKALD_ASSERT(log_.last_done() <= log_.last_issued());
  SKALD_ASSERT(hard_state_write_ <= log_.last_issued() + 1);
  SKALD_ASSERT(config_index() <= last_index() || !SKALD_GUARD(Guard::kConfigFollowsLog));
  SKALD_ASSERT(configs_.oldest().index <= commit_);
  SKALD_ASSERT(matched_ <= last_index());
  SKALD_ASSERT(reads_.size() <= options_.reads_max);
  SKALD_ASSERT(leads() == (leader_ == id()));
  SKALD_ASSERT(role_ == Role::kFollower || leads() || !leader_);
  if (!leads()) {
    SKALD_ASSERT(progress_.empty());
    SKALD_ASSERT(!transferee_);
    return;
  }
  SKALD_ASSERT(vote_ == id() || !SKALD_GUARD(Guard::kHigherTermYields) ||
               !SKALD_GUARD(Guard::kVoteOnce));
  SKALD_ASSERT(own_term_start_ <= last_index());
  SKALD_ASSERT(log_.last_term() == term_ || !SKALD_GUARD(Guard::kHigherTermYields));
  SKALD_ASSERT(!progress_.contains(id()));
  for (ReplicaId member : config().members()) {
    SKALD_ASSERT(member == id() || progress_.contains(member));
  }
  for (const auto& [peer, progress] : progress_) {
    SKALD_ASSERT(config().is_member(peer) || departing_.contains(peer));
    SKALD_ASSERT(progress.match < progress.next);
    SKALD_ASSERT(progress.next <= last_index() + 1);
    SKALD_ASSERT(progress.acked_round <= round_);
    SKALD_ASSERT(progress.flow == Progress::Flow::kReplicate || progress.inflights.empty());
    SKALD_ASSERT(!SKALD_GUARD(Guard::kInflightLimit) ||
                 progress.inflights.messages() <= options_.inflight_messages_max);
  }
  SKALD_ASSERT(!transferee_ || config().is_voter(transferee_));
}

}  // namespace skald::raft
