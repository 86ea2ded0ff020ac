// Serve leases of one range (serve_lease.h): who asks, who grants, which replies wait.
//
// Only tick() knows the time: a leadership's wait begins with its first tick, and grants are given
// with the tick after the report came, so that neither is ever counted from too early.
#include "config/base/assert.h"
#include "kv/range/guards.h"
#include "kv/range/range.h"

namespace skald::range {

/// Nobody else ever held a lease on these keys: no member was ever added or removed.
bool Range::alone() const {
  return settled() && epoch().conf_ver == 1 && descriptor().replicas.size() == 1;
}

std::uint64_t Range::serve_until_us() const {
  if (!serves() || !initialised() || halted_) return 0;
  const bool own = leading_ && alone() && granter_ && lease_.visible() >= granter_->replied();
  return own ? ~std::uint64_t{0} : lease_.until_us();
}

void Range::published(raft::Index index) {
  if (!serves() || rebuilding_ || index <= lease_.visible()) return;
  SKALD_ASSERT(index <= applier_->applied().index);
  lease_.published(index);
  report_due_ = true;
}

void Range::tick_serve(std::uint64_t now_us) {
  now_us_ = now_us;
  if (raft_.leads() && granter_term_ != raft_.term()) {
    granter_term_ = raft_.term();
    if (alone()) lease_.revoke();  // an earlier leadership's; nobody else has one to wait for
    granter_.emplace(alone() ? std::nullopt : std::optional(now_us), raft_.last_index(),
                     options_.serve_lease_us);
  }
  if (++report_ticks_ >= options_.report_ticks) {
    report_ticks_ = 0;
    report_due_ = true;
  }
  if (!raft_.leads() || !granter_) return;
  // Who is behind for so long gets no more grants, or the reply would wait for ever.
  const std::uint64_t patience_us = options_.serve_lease_us / 5;
  for (const Held& held : held_) {
    if (now_us - held.since_us < patience_us) break;
    granter_->raise(held.index);
  }
  if (initialised() && !rebuilding_ && !installing_) asked_[id()] = lease_.report(now_us);
  for (const auto& [replica, report] : std::exchange(asked_, {})) {
    const std::uint64_t duration =
        granter_->on_report(replica, report, raft_.lease_anchor(), now_us);
    if (duration == 0) continue;
    if (replica == id()) {
      lease_.granted(report.number, duration);
    } else if (const auto to = store_of(replica)) {
      pending_.grants.push_back({*to, replica, report.number, duration});
    }
  }
}

void Range::on_report(ReplicaId replica, raft::Term term, const LeaseHolder::Report& report) {
  if (!serves() || !raft_.leads() || term != raft_.term() || !granter_) return;
  if (!raft_.config().is_member(replica)) return;
  granter_->note(replica, report);
  LeaseHolder::Report& last = asked_[replica];
  if (report.number > last.number) last = report;
}

void Range::on_grant(std::uint64_t number, std::uint64_t duration_us) {
  if (serves() && !halted_) lease_.granted(number, duration_us);
}

/// Replies that wait go in the order of their commands.
void Range::release_replies() {
  if (!raft_.leads() || !granter_) return;
  granter_->note_own(id(), lease_.visible());
  while (!held_.empty() && granter_->may_reply(held_.front().index, now_us_)) {
    reply(held_.front().id, std::move(held_.front().reply));
    held_.pop_front();
  }
}

void Range::end_granting() {
  granter_.reset();
  granter_term_ = 0;
  asked_.clear();
  for (const Held& held : std::exchange(held_, {})) reply(held.id, Outcome::kUnknown);
}

/// What the leases have to say goes with every Ready.
void Range::take_serve() {
  if (granter_ && (!raft_.leads() || granter_term_ != raft_.term())) end_granting();
  if (!raft_.leads() && !held_.empty()) end_granting();
  release_replies();
  if (report_due_ && !raft_.leads() && initialised() && !rebuilding_ && !installing_) {
    const std::optional<StoreId> leader = store_of(raft_.leader());
    if (leader) pending_.report = RangeReady::Report{*leader, lease_.report(now_us_)};
  }
  report_due_ = false;
  const std::uint64_t until = serve_until_us();
  if (until != serve_told_us_) {
    serve_told_us_ = until;
    pending_.serve_until_us = until;
  }
}

}  // namespace skald::range
