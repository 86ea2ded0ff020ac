// Membership: joint consensus, in force at append (Raft 6, thesis 4.3).
//
// Every change of voters goes C_old -> C_old,new -> C_new. The leader proposes the first step only
// after an entry of its own term is committed and the configuration before it is too; it ends the
// joint phase itself once that is committed, and so does any later leader that finds one.
#include <algorithm>

#include "config/base/assert.h"
#include "kv/raft/raft.h"

namespace skald::raft {

Proposal Raft::propose_config(const ConfigChange& wanted) {
  const ConfigChange change = normalised(wanted);
  if (!validate(change).ok()) return {Refusal::kInvalid, 0, 0};
  if (!commit_is_current() && leads() && SKALD_GUARD(Guard::kChangeOwnTerm)) {
    return {Refusal::kNotReady, 0, 0};
  }
  const bool settled = config_index() <= commit_ && !config().joint();
  if (leads() && !settled && SKALD_GUARD(Guard::kOneChangeAtATime)) {
    return {Refusal::kChangeUnderWay, 0, 0};
  }
  Config next = first_step(config(), change);
  if (next == config()) return {leads() ? Refusal::kAlready : Refusal::kNotLeader, 0, 0};
  if (!SKALD_GUARD(Guard::kJointAlways)) next.outgoing.clear();
  Payload data = make_payload(encode(ConfigEntry{std::move(next), change.context}));
  const Refusal refusal = refuses_proposal(kEntryOverheadBytes + data->size());
  if (refusal != Refusal::kNone) return {refusal, 0, 0};
  append_own(EntryKind::kConfig, std::move(data));
  return {Refusal::kNone, last_index(), term_};
}

void Raft::config_appended(Index index, const Config& config) {
  if (!SKALD_GUARD(Guard::kActiveAtAppend)) return;
  configs_.append(index, config);
  event(Event::Kind::kConfigAppended, index);
  if (!leads()) return;
  sync_progress();
  if (transferee_ && !config.is_voter(transferee_)) end_transfer();
}

/// Progress for every member but oneself; those who are none any more stay until they were told.
void Raft::sync_progress() {
  const std::vector<ReplicaId> members = config().members();
  for (ReplicaId member : members) {
    if (member == id()) continue;
    departing_.erase(member);
    const auto [place, added] = progress_.try_emplace(member);
    if (!added) continue;
    place->second.become_probe(last_index() + 1);
    place->second.recently_active = true;  // until it had time to answer
  }
  for (const auto& [peer, progress] : progress_) {
    if (!std::binary_search(members.begin(), members.end(), peer)) departing_.try_emplace(peer, 0);
  }
}

/// Something was committed. If the configuration in force is: end its joint phase, or, left out by
/// it, stop leading. Until then even a leader that is leaving must lead (4.2.2).
void Raft::config_committed() {
  const bool committed = config_index() <= commit_ || !SKALD_GUARD(Guard::kLeaveCommitted);
  if (!committed) return;
  if (config().joint()) {
    if (config_index() < own_term_start_ && !SKALD_GUARD(Guard::kFinishJoint)) return;
    append_own(EntryKind::kConfig,
               make_payload(encode(ConfigEntry{without_outgoing(config()), {}})));
    return;
  }
  if (!config().is_voter(id())) step_down(Event::Kind::kLeftGroup, true);
}

void Raft::tick_departing() {
  if (config().joint() || config_index() > commit_) return;
  for (auto& [peer, ticks] : departing_) ++ticks;
}

/// A removed replica was sent the commit of its removal, or did not answer for long.
void Raft::forget_departed() {
  if (config().joint() || config_index() > commit_) return;
  for (auto leaving = departing_.begin(); leaving != departing_.end();) {
    const auto progress = progress_.find(leaving->first);
    SKALD_ASSERT(progress != progress_.end());
    const bool told = progress->second.sent_commit >= config_index();
    if (told || leaving->second >= options_.election_ticks) {
      progress_.erase(progress);
      leaving = departing_.erase(leaving);
    } else {
      ++leaving;
    }
  }
}

}  // namespace skald::raft
