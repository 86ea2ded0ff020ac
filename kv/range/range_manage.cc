// Management of a range by its leader: members, splits, leadership, level, ended lives; and how
// much of the log is kept.
#include <algorithm>

#include "config/base/assert.h"
#include "kv/range/guards.h"
#include "kv/range/range.h"

namespace skald::range {

void Range::manage(const ManageRequest& request, std::uint64_t wall_us) {
  if (!initialised() || halted_) return reply(request.id, Outcome::kNoRange);
  if (!raft_.leads()) return reply(request.id, Outcome::kNotLeader);
  const bool any_epoch =
      std::holds_alternative<EndLife>(request.body) || std::holds_alternative<Retire>(request.body);
  const Epoch now = descriptor().epoch;
  if (!any_epoch && request.epoch != now) {
    const bool newer =
        request.epoch.conf_ver > now.conf_ver || request.epoch.boundary_ver > now.boundary_ver;
    return newer ? reply(request.id, Outcome::kNewerEpoch) : reply(request.id, stale());
  }
  std::visit(
      [this, &request, wall_us](const auto& body) { manage_body(request.id, body, wall_us); },
      request.body);
}

void Range::manage_body(std::uint64_t id, const SplitAt& split, std::uint64_t wall_us) {
  if (!leading_ || !settled() || change_) return reply(id, Outcome::kBusy);
  const std::optional<std::string> key = applier_->machine().split_key(split.hint);
  const Boundary& boundary = descriptor().boundary;
  if (!key || *key <= boundary.start || !boundary.contains(*key) || !split.child) {
    return reply(id, Outcome::kInvalid);
  }
  propose(id, stamped(SplitCommand{descriptor().epoch, *key, split.child}, 1, wall_us));
  // Who has not heard of the split would serve keys of the child, whose leader may be another.
  if (granter_ && SKALD_GUARD(Guard::kSplitEndsGrants)) granter_->raise(raft_.last_index());
}

void Range::manage_body(std::uint64_t id, const TransferTo& transfer, std::uint64_t) {
  const Replica* target = descriptor().on(transfer.store);
  if (target == nullptr) return reply(id, Outcome::kInvalid);
  reply(id, refusal(raft_.transfer(target->id)));
}

void Range::manage_body(std::uint64_t id, const SetLevel& level, std::uint64_t wall_us) {
  if (level.level > kLevelNow) return reply(id, Outcome::kInvalid);
  propose(id, stamped(SetLevelCommand{level.level}, 1, wall_us));
}

void Range::manage_body(std::uint64_t id, const EndLife& end, std::uint64_t wall_us) {
  propose(id, stamped(EndLifeCommand{end.life, end.bytes}, 1, wall_us));
}

void Range::manage_body(std::uint64_t id, const Retire& retire, std::uint64_t wall_us) {
  if (retire.genesis != descriptor().genesis.id || descriptor().genesis.used) {
    return reply(id, stale());
  }
  propose(id, stamped(RetireCommand{retire.genesis}, 1, wall_us));
}

/// The replica that the store has, or a new one: its id names this leader's term.
ReplicaId Range::replica_for(StoreId store) {
  if (const Replica* there = descriptor().on(store)) return there->id;
  if (ids_term_ != raft_.term()) {
    ids_term_ = raft_.term();
    ids_given_ = 0;
  }
  SKALD_ASSERT(ids_given_ + 1 < kIdsPerTerm);
  const std::uint64_t fresh = raft_.term() * kIdsPerTerm + ++ids_given_;
  std::uint64_t reused = 0;
  for (const Replica& replica : descriptor().replicas) reused = std::max(reused, replica.id.value);
  const ReplicaId id{SKALD_GUARD(Guard::kFreshReplicaId) ? fresh : reused + 1};
  stores_[id] = store;
  return id;
}

void Range::manage_body(std::uint64_t id, const ChangeReplicas& wanted, std::uint64_t) {
  if (!leading_ || !settled() || change_) return reply(id, Outcome::kBusy);
  if (wanted.voters.empty()) return reply(id, Outcome::kInvalid);
  Change change;
  change.id = id;
  std::vector<ReplicaId> newcomers;
  const auto take = [&](StoreId store, std::vector<ReplicaId>& into) {
    const bool there = descriptor().on(store) != nullptr;
    into.push_back(replica_for(store));
    if (!there) newcomers.push_back(into.back());
  };
  for (const StoreId store : wanted.voters) take(store, change.voters);
  for (const StoreId store : wanted.learners) {
    if (!wanted.voters.contains(store)) take(store, change.learners);
  }
  const raft::Config now = raft_.config();
  const bool newcomer_votes =
      std::any_of(newcomers.begin(), newcomers.end(), [&change](ReplicaId newcomer) {
        return std::find(change.voters.begin(), change.voters.end(), newcomer) !=
               change.voters.end();
      });
  raft::Refusal refused = raft::Refusal::kNone;
  if (newcomer_votes) {
    std::vector<ReplicaId> learners = now.learners;
    learners.insert(learners.end(), newcomers.begin(), newcomers.end());
    refused = propose_members(now.voters, learners);
  } else {
    change.phase = Change::Phase::kCatchUp;
  }
  if (refused != raft::Refusal::kNone) return reply(id, refusal(refused));
  change_ = std::move(change);
  if (change_->phase == Change::Phase::kCatchUp) continue_change();
}

raft::Refusal Range::propose_members(const std::vector<ReplicaId>& voters,
                                     const std::vector<ReplicaId>& learners) {
  ConfigContext context;
  raft::Config all = raft_.config();
  all.voters.insert(all.voters.end(), voters.begin(), voters.end());
  all.learners.insert(all.learners.end(), learners.begin(), learners.end());
  std::sort(all.voters.begin(), all.voters.end());
  std::sort(all.learners.begin(), all.learners.end());
  for (const ReplicaId member : all.members()) {
    if (const auto store = store_of(member)) context.stores.emplace_back(member, *store);
  }
  const auto last = std::unique(context.stores.begin(), context.stores.end());
  context.stores.erase(last, context.stores.end());
  return raft_.propose_config({voters, learners, encode(context)}).refusal;
}

/// Also for those who learned before: a voter that lags would cost the group its quorum.
bool Range::caught_up(ReplicaId replica) const {
  if (replica == id() || raft_.config().is_voter(replica)) return true;
  const auto at = raft_.progress().find(replica);
  return at != raft_.progress().end() &&
         at->second.match + options_.catch_up_entries >= raft_.commit() && at->second.match > 0;
}

void Range::tick_change() {
  if (!change_ || change_->phase == Change::Phase::kVoters) return;
  if (++change_->ticks >= options_.catch_up_ticks) {
    end_change(Reply{Outcome::kTimedOut, {}, 0, {}, {}});
    return;
  }
  continue_change();
}

/// Called when a configuration was applied and with every tick.
void Range::continue_change() {
  if (!change_ || !raft_.leads() || !settled()) return;
  if (change_->phase == Change::Phase::kLearners) change_->phase = Change::Phase::kCatchUp;
  if (change_->phase == Change::Phase::kCatchUp) {
    for (const ReplicaId voter : change_->voters) {
      if (!caught_up(voter)) return;
    }
    const raft::Refusal refused = propose_members(change_->voters, change_->learners);
    if (refused != raft::Refusal::kNone && refused != raft::Refusal::kAlready) {
      // Transient refusals are tried again with the next tick, until the change times out.
      if (refusal(refused).outcome == Outcome::kBusy) return;
      end_change(refusal(refused));
      return;
    }
    change_->phase = Change::Phase::kVoters;
    if (refused == raft::Refusal::kNone) return;
  }
  Reply done;
  done.descriptors.push_back(descriptor());
  end_change(std::move(done));
}

void Range::end_change(Reply outcome) {
  const std::uint64_t id = change_->id;
  change_.reset();
  reply(id, std::move(outcome));
}

void Range::flushed(const store::Applied& applied) {
  if (initialised() && !halted_ && !installing_ && !staged_) maybe_truncate(applied);
}

/// Nothing that is not flushed goes, and little that an active follower still needs.
void Range::maybe_truncate(const store::Applied& applied) {
  raft::Index to = applied.index;
  if (!SKALD_GUARD(Guard::kTruncateFlushed)) to = applier_->applied().index;
  if (to <= options_.keep_entries || raft_.log().installing()) return;
  to -= options_.keep_entries;
  if (raft_.leads()) {
    for (const auto& [peer, progress] : raft_.progress()) {
      const bool near = progress.match + options_.hold_entries >= raft_.last_index();
      if (progress.recently_active && near && progress.match > 0) to = std::min(to, progress.match);
    }
  }
  if (to < view_.first_index() || to > view_.last_index()) return;
  truncate_ = {to, *view_.term(to)};
  view_.compact(to);
}

}  // namespace skald::range
