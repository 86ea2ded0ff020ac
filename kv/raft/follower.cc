// What a follower does with its leader's messages, and what it acks: only what is durable.
#include <algorithm>
#include <iterator>

#include "config/base/assert.h"
#include "kv/raft/raft.h"

namespace skald::raft {

/// A message of this term's leader. False if it cannot be: this replica leads that term itself.
bool Raft::follow(ReplicaId leader) {
  if (leads()) {
    violation(leader);
    return false;
  }
  if (role_ != Role::kFollower || leader_ != leader) {
    if (leader_) violation(leader);
    become_follower(term_, leader);
  }
  election_elapsed_ = 0;
  leader_silence_ = 0;
  if (leader_link_broken_) {
    leader_link_broken_ = false;
    reset_election_timer();
  }
  return true;
}

bool Raft::well_formed(const Message& message, const Append& append) const {
  Term term = append.prev_term;
  Index index = append.prev_index;
  for (const Entry& entry : append.entries) {
    if (entry.index != ++index || entry.term < term || entry.term > message.term) return false;
    term = entry.term;
    if (entry.kind != EntryKind::kConfig) continue;
    if (!entry.data || !decode_config_entry(*entry.data).ok()) return false;
  }
  return true;
}

void Raft::on_append(const Message& message, const Append& append) {
  if (!well_formed(message, append)) {
    violation(message.from);
    return;
  }
  if (!follow(message.from)) return;
  if (append.prev_index < commit_) {
    // An old or cautious append: what is committed here equals the leader's log anyway (5.4.3).
    matched_ = std::max(matched_, commit_);
    ack_owed_ = true;
    return;
  }
  const bool fits = log_.matches(append.prev_index, append.prev_term) ||
                    (append.prev_index <= last_index() && !SKALD_GUARD(Guard::kPreviousMatches));
  if (fits) {
    accept(append);
  } else {
    reject(message.from, append);
  }
}

void Raft::accept(const Append& append) {
  auto fresh = append.entries.begin();
  const auto agrees = [this](const Entry& entry) {
    if (!SKALD_GUARD(Guard::kAgreeingKept)) return false;
    if (!SKALD_GUARD(Guard::kConflictReplaced)) return entry.index <= last_index();
    return log_.matches(entry.index, entry.term);
  };
  while (fresh != append.entries.end() && agrees(*fresh)) ++fresh;
  if (fresh != append.entries.end()) {
    if (fresh->index <= last_index() && SKALD_GUARD(Guard::kConfigFollowsLog)) {
      configs_.truncate_from(fresh->index);
    }
    append_entries({fresh, append.entries.end()});
  }
  const Index last_new = append.prev_index + append.entries.size();
  matched_ = std::max(matched_, last_new);
  last_ack_ = std::max(last_ack_, std::min(matched_, log_.stable()));
  ack_owed_ = true;
  const Index proven = SKALD_GUARD(Guard::kAppendCommit) ? last_new : last_index();
  commit_to(std::min(append.commit, proven));
}

void Raft::append_entries(std::vector<Entry> entries) {
  std::vector<std::pair<Index, Config>> configs;
  for (const Entry& entry : entries) {
    if (entry.kind != EntryKind::kConfig) continue;
    Result<ConfigEntry> decoded = decode_config_entry(*entry.data);
    SKALD_ASSERT(decoded.ok());
    configs.emplace_back(entry.index, std::move(decoded->config));
  }
  log_.append(std::move(entries));
  for (const auto& [index, config] : configs) config_appended(index, config);
}

void Raft::reject(ReplicaId leader, const Append& append) {
  const Index hint = log_.last_not_after(append.prev_index, append.prev_term);
  send(leader, AppendResponse{.rejected = true,
                              .rejected_index = append.prev_index,
                              .hint_index = hint,
                              .hint_term = *log_.term(hint)});
}

/// Acks what is both matched and synced. An append that waits for its sync is acked in parts as
/// writes finish, the last time when all of it is durable.
void Raft::flush_ack() {
  if (!ack_owed_ || role_ != Role::kFollower || !leader_) return;
  const bool synced = SKALD_GUARD(Guard::kAckDurable);
  const Index durable = synced ? std::min(matched_, log_.stable()) : matched_;
  if (durable < matched_ && durable <= last_ack_) return;
  promise(leader_, AppendResponse{.index = durable}, synced);
  last_ack_ = durable;
  ack_owed_ = durable < matched_;
}

void Raft::on_heartbeat(const Message& message, const Heartbeat& heartbeat) {
  if (!follow(message.from)) return;
  if (heartbeat.commit > last_index()) {
    violation(message.from);  // it says that this log once held more
    return;
  }
  commit_to(heartbeat.commit);
  if (heartbeat.round == 0) return;
  const bool synced = SKALD_GUARD(Guard::kHeartbeatAckDurable);
  const Index durable = synced ? std::min(matched_, log_.stable()) : matched_;
  promise(message.from, HeartbeatResponse{.round = heartbeat.round, .index = durable}, synced);
}

void Raft::on_install_snapshot(const Message& message, const InstallSnapshot& install) {
  const SnapshotMeta& meta = install.meta;
  if (meta.index == 0 || meta.term > message.term || meta.config.voters.empty()) {
    violation(message.from);
    return;
  }
  if (!follow(message.from)) return;
  ack_owed_ = true;
  if (meta.index <= commit_ && SKALD_GUARD(Guard::kOldSnapshotIgnored)) {
    matched_ = std::max(matched_, commit_);
    return;
  }
  matched_ = std::max(matched_, meta.index);
  if (meta.index > commit_ && log_.matches(meta.index, meta.term)) {
    commit_to(meta.index);  // the log gets there by itself
    return;
  }
  log_.restore(meta);
  configs_.reset(meta.index, meta.config);
  commit_ = meta.index;
  event(Event::Kind::kSnapshotRestored, meta.index, message.from);
}

void Raft::commit_to(Index index) {
  if (index <= commit_) return;
  SKALD_ASSERT(index <= last_index());
  const bool config_was_open = config_index() > commit_;
  commit_ = index;
  configs_.prune(commit_);
  if (config_was_open && config_index() <= commit_) {
    event(Event::Kind::kConfigCommitted, config_index());
  }
}

}  // namespace skald::raft
