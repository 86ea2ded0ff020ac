#include "tests/sim/group_checks.h"

#include <algorithm>

#include "kv/raft/text.h"

namespace skald::sim {
namespace {

std::string text(std::uint64_t number) { return std::to_string(number); }

std::uint64_t hash_of_entry(const raft::Entry& entry) {
  return mix(static_cast<std::uint64_t>(entry.kind), entry.data ? hash_of(*entry.data) : 0);
}

/// Whether that disk holds the log up to (index, term): as an entry or inside its snapshot.
bool holds(const Durable& durable, raft::Index index, raft::Term term) {
  if (index + 1 < durable.log.first_index()) return true;
  return durable.log.term(index) == term;
}

}  // namespace

void GroupChecks::report(const std::string& checker, const std::string& what) {
  if (violation_.none()) violation_ = {checker, what};
}

GroupChecks::Watch& GroupChecks::watch(GroupNode& node) {
  Watch& seen = watches_[node.id()];
  if (seen.restarts != node.counters().restarts) {
    seen = Watch{};
    seen.restarts = node.counters().restarts;
    seen.config = node.raft().config();
    seen.config_index = node.raft().config_index();
  }
  return seen;
}

const GroupNode* GroupChecks::host(ReplicaId id) const {
  const auto found = nodes_.find(GroupNode::machine_of(id));
  return found != nodes_.end() && found->second.id() == id ? &found->second : nullptr;
}

template <class Holds>
bool GroupChecks::quorum(const raft::Config& config, const Holds& holds_it) {
  const auto majority = [&holds_it](const std::vector<ReplicaId>& voters) {
    const auto count = std::count_if(voters.begin(), voters.end(), holds_it);
    return voters.empty() || 2 * static_cast<std::size_t>(count) > voters.size();
  };
  return majority(config.voters) && majority(config.outgoing);
}

void GroupChecks::on_ready(GroupNode& node, const raft::Ready& ready) {
  Watch& seen = watch(node);
  if (ready.write) {
    seen.writes[ready.write->number] = node.ticks();
    check_entries(node, *ready.write);
    check_config(node, *ready.write);
  }
  for (const raft::Event& event : ready.events) check_event(node, event);
  for (const raft::Message& message : ready.messages) check_promise(node, message);
  for (const raft::Entry& entry : ready.committed) {
    if (!holds(node.durable(), entry.index, entry.term)) {
      report("applied is durable", "replica " + text(node.id().value) + " applies " +
                                       raft::describe(entry) + ", which it has not synced");
    }
  }
  check_commit(node);
  check_limits(node);
  if (seen.config != node.raft().config()) {
    seen.config = node.raft().config();
    seen.config_index = node.raft().config_index();
    seen.heard.clear();
    for (ReplicaId voter : seen.config.all_voters()) seen.heard[voter] = node.ticks();
  }
}

void GroupChecks::check_event(GroupNode& node, const raft::Event& event) {
  if (event.kind == raft::Event::Kind::kProtocolViolation) {
    report("protocol", "replica " + text(node.id().value) + " says: " + raft::describe(event));
  }
  if (event.kind == raft::Event::Kind::kBecameLeader && node.raft().leads()) check_election(node);
}

/// One leader a term, elected by votes that are on disks, with everything committed before.
void GroupChecks::check_election(GroupNode& node) {
  const raft::Term term = node.raft().term();
  const ReplicaId id = node.id();
  const auto [place, first] = leaders_.try_emplace(term, id);
  elected_at_.try_emplace(term, scheduler_.now());
  if (!first && place->second != id) {
    report("one leader a term", "replicas " + text(place->second.value) + " and " + text(id.value) +
                                    " lead term " + text(term));
  }
  Watch& seen = watch(node);
  for (ReplicaId voter : node.raft().config().all_voters()) seen.heard[voter] = node.ticks();
  const auto voted = [this, term, id](ReplicaId voter) {
    const GroupNode* there = host(voter);
    if (there == nullptr) return true;  // gone since: nobody can tell
    const raft::HardState& hard_state = there->durable().hard_state;
    return hard_state.term > term || (hard_state.term == term && hard_state.vote == id);
  };
  if (!quorum(node.raft().config(), voted)) {
    report("votes are durable", "replica " + text(id.value) + " leads term " + text(term) +
                                    " without a quorum of synced votes");
  }
  check_complete(node);
}

void GroupChecks::check_complete(GroupNode& node) {
  const raft::Raft& raft = node.raft();
  for (auto entry = committed_.rbegin(); entry != committed_.rend(); ++entry) {
    if (entry->second.seen_in > raft.term()) continue;
    const raft::Index index = entry->first;
    if (index + 1 < raft.log().first_index()) return;
    if (raft.log().term(index) != entry->second.term) {
      report("leader completeness", "replica " + text(node.id().value) + " leads term " +
                                        text(raft.term()) + " without committed entry " +
                                        text(index) + "/" + text(entry->second.term));
    }
    return;
  }
}

/// An (index, term) names one entry, and one history before it (Raft 5.3).
void GroupChecks::check_entries(GroupNode& node, const raft::Write& write) {
  std::optional<raft::Term> before;
  if (!write.entries.empty()) before = node.raft().log().term(write.entries.front().index - 1);
  for (const raft::Entry& entry : write.entries) {
    const Content content{before.value_or(0), hash_of_entry(entry),
                          entry.kind == raft::EntryKind::kConfig};
    const auto [place, first] = contents_.try_emplace(key(entry.index, entry.term), content);
    const bool same_history = !before || place->second.prev_term == content.prev_term;
    if (!first && (place->second.hash != content.hash || !same_history)) {
      report("log matching", "two histories or contents of entry " + text(entry.index) + "/" +
                                 text(entry.term) + ", one at replica " + text(node.id().value));
    }
    before = entry.term;
  }
}

/// The configuration in force is the last one in the log (Raft 6).
void GroupChecks::check_config(GroupNode& node, const raft::Write& write) {
  const raft::Raft& raft = node.raft();
  raft::Config before = watch(node).config;
  const raft::Entry* last = nullptr;
  for (const raft::Entry& entry : write.entries) {
    if (entry.kind != raft::EntryKind::kConfig) continue;
    if (entry.term == raft.term() && raft.leads()) check_new_config(node, entry, before);
    before = raft::decode_config_entry(*entry.data)->config;
    last = &entry;
  }
  const raft::Index in_force = raft.config_index();
  bool follows = in_force <= raft.last_index();
  if (last != nullptr) {
    follows = in_force == last->index && raft.config() == before;
  } else if (!write.entries.empty() && !write.snapshot) {
    follows = in_force < write.entries.front().index;
  }
  if (!follows) {
    report("config follows log", "replica " + text(node.id().value) +
                                     " obeys a configuration that is not the last of its log");
  }
}

/// A leader begins a change after a commit of its own term and of the change before, and never
/// changes voters but through joint.
void GroupChecks::check_new_config(GroupNode& node, const raft::Entry& entry,
                                   const raft::Config& before) {
  const raft::Raft& raft = node.raft();
  const raft::Config now = raft::decode_config_entry(*entry.data)->config;
  const auto complain = [this, &node, &entry](const char* what) {
    report("config chain",
           "replica " + text(node.id().value) + " " + what + ": " + raft::describe(entry));
  };
  if (before.joint() && now != raft::without_outgoing(before)) complain("leaves joint wrongly");
  if (!before.joint() && now.voters != before.voters && now.outgoing != before.voters) {
    complain("changes voters in one step");
  }
  if (before.joint() && raft.commit() + 1 < entry.index) {
    for (raft::Index index = raft.commit() + 1; index < entry.index; ++index) {
      const auto found = contents_.find(key(index, *raft.log().term(index)));
      if (found != contents_.end() && found->second.config) complain("leaves an open joint");
    }
  }
  if (before.joint()) return;
  if (!raft.commit_is_current()) complain("changes before a commit of its term");
}

void GroupChecks::check_promise(GroupNode& node, const raft::Message& message) {
  const raft::HardState& hard_state = node.durable().hard_state;
  const auto complain = [this, &message](const char* what) {
    report("no promise before its sync", raft::describe(message) + ": " + what);
  };
  const bool bound = hard_state.term <= message.term;  // else it was kept long ago
  if (const auto* vote = std::get_if<raft::VoteResponse>(&message.body)) {
    if (vote->pre || !vote->granted || !bound) return;
    if (hard_state.term < message.term || hard_state.vote != message.to) {
      complain("the vote is not synced");
    }
  } else if (const auto* request = std::get_if<raft::VoteRequest>(&message.body)) {
    if (request->pre || !bound) return;
    if (hard_state.term < message.term || hard_state.vote != message.from) {
      complain("the candidate's own vote is not synced");
    }
    if (!holds(node.durable(), request->last_index, request->last_term)) {
      complain("the candidate's log is not synced");
    }
  } else if (const auto* append = std::get_if<raft::AppendResponse>(&message.body)) {
    if (!append->rejected) check_durable(node, message, append->index);
  } else if (const auto* heartbeat = std::get_if<raft::HeartbeatResponse>(&message.body)) {
    check_durable(node, message, heartbeat->index);
  }
}

void GroupChecks::check_durable(GroupNode& node, const raft::Message& message, raft::Index index) {
  const Durable& durable = node.durable();
  const auto complain = [this, &message](const char* what) {
    report("no promise before its sync", raft::describe(message) + ": " + what);
  };
  if (durable.hard_state.term < message.term) complain("the term is not synced");
  if (index > durable.log.last_index()) complain("the entries are not synced");
  if (message.term != node.raft().term()) return;  // an older promise, kept since
  const std::optional<raft::Term> term = node.raft().log().term(index);
  if (term && !holds(durable, index, *term)) complain("other entries are synced");
}

/// What is committed anywhere stays so, everywhere.
void GroupChecks::check_commit(GroupNode& node) {
  const raft::Raft& raft = node.raft();
  Watch& seen = watch(node);
  if (raft.commit() < seen.checked_commit) {
    report("committed never lost", "the commit index of replica " + text(node.id().value) +
                                       " fell to " + text(raft.commit()));
  }
  if (raft.commit() == seen.checked_commit) return;
  for (raft::Index index = seen.checked_commit + 1; index <= raft.commit(); ++index) {
    const std::optional<raft::Term> term = raft.log().term(index);
    if (!term) continue;  // inside a snapshot
    const auto [place, first] = committed_.try_emplace(index, Commitment{*term, raft.term()});
    if (!first && place->second.term != *term) {
      report("committed never lost",
             "replica " + text(node.id().value) + " commits " + text(index) + "/" + text(*term) +
                 ", where " + text(index) + "/" + text(place->second.term) + " is committed");
    }
  }
  if (raft.leads()) check_commit_durable(node, seen);
  seen.checked_commit = raft.commit();
}

/// A leader's commit is synced on a quorum of the configuration in force. The commit of a joint
/// configuration ends it at once, and what lies above then needs the new majority alone: enough,
/// for every later leader needs that one too.
void GroupChecks::check_commit_durable(GroupNode& node, const Watch& seen) {
  const raft::Raft& raft = node.raft();
  const auto synced = [this, &raft](const raft::Config& config, raft::Index index) {
    const std::optional<raft::Term> term = raft.log().term(index);
    return !term || quorum(config, [this, index, term](ReplicaId voter) {
      const GroupNode* there = host(voter);
      return there == nullptr || holds(there->durable(), index, *term);
    });
  };
  const bool joint_done = seen.config.joint() && seen.config_index > seen.checked_commit &&
                          seen.config_index <= raft.commit();
  const bool top = synced(seen.config, raft.commit()) ||
                   (seen.config.joint() && synced(raft.config(), raft.commit()));
  if (!top || (joint_done && !synced(seen.config, seen.config_index))) {
    report("commits are durable", "replica " + text(node.id().value) + " commits " +
                                      text(raft.commit()) + ", not synced on a quorum of " +
                                      raft::describe(seen.config));
  }
}

void GroupChecks::check_limits(GroupNode& node) {
  const raft::Raft& raft = node.raft();
  const std::size_t entry_max = raft::kEntryOverheadBytes + options_.payload_max + 1000;
  const raft::Options& limits = options_.raft;
  for (const auto& [peer, progress] : raft.progress()) {
    const std::size_t bytes_max =
        limits.inflight_bytes_max + std::max(limits.append_bytes_max, entry_max);
    if (progress.inflights.bytes() > bytes_max ||
        progress.inflights.messages() > limits.inflight_messages_max) {
      report("limits", "replica " + text(node.id().value) + " has " +
                           text(progress.inflights.bytes()) + " bytes under way to " +
                           text(peer.value));
    }
  }
  if (raft.uncommitted_bytes() > limits.uncommitted_bytes_max + 4 * entry_max) {
    report("limits", "replica " + text(node.id().value) + " holds " +
                         text(raft.uncommitted_bytes()) + " uncommitted bytes");
  }
}

void GroupChecks::on_applied(GroupNode& node, const raft::Entry& entry) {
  const auto committed = committed_.find(entry.index);
  if (committed == committed_.end() || committed->second.term != entry.term) {
    report("state machine safety", "replica " + text(node.id().value) + " applies " +
                                       raft::describe(entry) + ", which is not committed");
  }
  const auto [place, first] = states_.try_emplace(entry.index, node.state().hash);
  if (!first && place->second != node.state().hash) {
    report("equal state at equal index",
           "replica " + text(node.id().value) + " differs at " + text(entry.index));
  }
  if (entry.kind != raft::EntryKind::kConfig) return;
  const auto [config, news] = configs_.try_emplace(entry.index, node.state().config);
  if (news) ++config_changes_;
  committed_config_ = configs_.rbegin()->second;
  for (ReplicaId member : committed_config_.members()) members_ever_.insert(member);
}

void GroupChecks::on_delivered(GroupNode& node, const raft::Message& message) {
  if (message.term == node.raft().term()) watch(node).heard[message.from] = node.ticks();
}

void GroupChecks::on_tick(GroupNode& node) {
  if (!node.raft().leads()) return;
  Watch& seen = watch(node);
  check_anchor(node);
  check_contact(node, seen);
  check_disk(node, seen);
}

/// When the heartbeats were sent that a lease counts from, nobody else had been elected.
void GroupChecks::check_anchor(GroupNode& node) {
  const std::optional<std::uint64_t> anchor = node.raft().lease_anchor();
  if (!anchor) return;
  const auto later = elected_at_.upper_bound(node.raft().term());
  if (later != elected_at_.end() && later->second < *anchor) {
    report("lease anchor", "replica " + text(node.id().value) + " counts from " + text(*anchor) +
                               ", term " + text(later->first) + " had a leader at " +
                               text(later->second));
  }
}

void GroupChecks::check_contact(GroupNode& node, Watch& seen) {
  const std::uint64_t window = 3 * options_.raft.election_ticks + 2;
  const auto heard = [&node, &seen, window](ReplicaId voter) {
    return voter == node.id() || seen.heard[voter] + window >= node.ticks();
  };
  if (!quorum(node.raft().config(), heard)) {
    report("leader has contact", "replica " + text(node.id().value) + " leads term " +
                                     text(node.raft().term()) + " without hearing a quorum");
  }
}

void GroupChecks::check_disk(GroupNode& node, Watch& seen) {
  const std::uint64_t done = node.raft().log().last_done();
  seen.writes.erase(seen.writes.begin(), seen.writes.upper_bound(done));
  if (seen.writes.empty()) return;
  if (node.ticks() - seen.writes.begin()->second > options_.raft.disk_stall_ticks + 2) {
    report("leader has disk", "replica " + text(node.id().value) + " leads while its disk hangs");
  }
}

}  // namespace skald::sim
