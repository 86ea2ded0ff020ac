#include "kv/range/serve_lease.h"

#include <algorithm>

#include "kv/range/guards.h"

namespace skald::range {

void LeaseHolder::published(raft::Index index) { visible_ = std::max(visible_, index); }

/// Answers to reports that were sent before must not count: what they told is gone.
void LeaseHolder::reset() {
  visible_ = 0;
  revoke();
}

void LeaseHolder::revoke() {
  until_us_ = 0;
  sent_.clear();
}

LeaseHolder::Report LeaseHolder::report(std::uint64_t now_us) {
  std::erase_if(sent_, [now_us](const auto& item) {
    return item.second + kServeLeaseUs < now_us;  // an answer would come too late
  });
  next_number_ = std::max(next_number_, now_us);
  sent_[next_number_] = now_us;
  return {next_number_++, visible_};
}

void LeaseHolder::granted(std::uint64_t number, std::uint64_t duration_us) {
  const auto found = sent_.find(number);
  if (found == sent_.end()) return;
  until_us_ = std::max(until_us_, found->second + duration_us - duration_us / 100);
  sent_.erase(sent_.begin(), std::next(found));
}

void LeaseGranter::note(ReplicaId replica, const LeaseHolder::Report& report) {
  const auto held = grants_.find(replica);
  if (held == grants_.end() || report.number <= held->second.number) return;
  held->second.number = report.number;
  held->second.visible = report.visible;
}

void LeaseGranter::note_own(ReplicaId replica, raft::Index visible) {
  const auto held = grants_.find(replica);
  if (held != grants_.end()) held->second.visible = visible;
}

std::uint64_t LeaseGranter::on_report(ReplicaId replica, const LeaseHolder::Report& report,
                                      std::optional<std::uint64_t> anchor_us,
                                      std::uint64_t now_us) {
  std::erase_if(grants_, [now_us](const auto& item) { return item.second.until_us < now_us; });
  const auto held = grants_.find(replica);
  if (held != grants_.end()) {
    if (report.number < held->second.number) return 0;
    held->second.number = report.number;
    held->second.visible = report.visible;
  }
  if (report.visible < replied_ && SKALD_GUARD(Guard::kGrantVisible)) return 0;
  if (!SKALD_GUARD(Guard::kGrantAnchored)) anchor_us = now_us;
  if (!anchor_us || now_us >= *anchor_us + lease_us_) return 0;
  const std::uint64_t duration = *anchor_us + lease_us_ - now_us;
  Grant& grant = grants_[replica];
  grant.number = report.number;
  grant.visible = report.visible;
  grant.until_us = std::max(grant.until_us, now_us + duration + duration / 100 + 1);
  return duration;
}

bool LeaseGranter::may_reply(raft::Index index, std::uint64_t now_us) {
  if (now_us < all_until_us_ && SKALD_GUARD(Guard::kNewLeaderWaits)) return false;
  for (const auto& [replica, grant] : grants_) {
    const bool may_serve = now_us <= grant.until_us;
    if (may_serve && grant.visible < index && SKALD_GUARD(Guard::kReplyWaitsVisible)) return false;
  }
  raise(index);
  return true;
}

}  // namespace skald::range
