#include "kv/range/range.h"

#include <algorithm>

#include "config/base/assert.h"
#include "kv/range/guards.h"

namespace skald::range {
namespace {

constexpr std::size_t kHeldMax = 100'000;  ///< replies that wait to be visible

raft::Options with_id(raft::Options options, ReplicaId id) {
  options.id = id;
  return options;
}

raft::Restart restart_of(const RangeStart& start) {
  raft::Restart restart;
  restart.hard_state = {start.hard_state.term, start.hard_state.vote, start.hard_state.commit};
  if (start.state) {
    restart.applied = start.state->applied.index;
    restart.config = config_of(start.state->descriptor);
  }
  return restart;
}

}  // namespace

Range::Range(const RangeOptions& options, RangeStart start, std::unique_ptr<Machine> machine,
             Random random)
    : options_(options),
      key_(start.key),
      replay_to_(start.replay_to),
      view_(std::move(start.log)),
      raft_(with_id(options.raft, key_.replica), view_, restart_of(start), random) {
  if (start.state) {
    SKALD_ASSERT(machine != nullptr);
    for (const Replica& replica : start.state->descriptor.replicas) {
      stores_[replica.id] = replica.store;
    }
    for (raft::Index index = start.state->applied.index + 1; index <= view_.last_index();) {
      const raft::Fetch fetch = view_.entries(index, view_.last_index() + 1, 1 << 20);
      for (const raft::Entry& entry : fetch.entries) learn_stores(entry);
      index += fetch.entries.size();
    }
    applier_ = std::make_unique<Applier>(std::move(machine), start.state->record,
                                         start.state->applied, start.state->descriptor);
    rebuilding_ = true;
    was_member_ = descriptor().find(id()) != nullptr;
    applier_->machine().rebuild_start();
  }
}

std::optional<StoreId> Range::store_of(ReplicaId replica) const {
  const auto found = stores_.find(replica);
  if (found == stores_.end()) return std::nullopt;
  return found->second;
}

void Range::learn_stores(const raft::Entry& entry) {
  if (entry.kind != raft::EntryKind::kConfig) return;
  const Result<raft::ConfigEntry> decoded = raft::decode_config_entry(*entry.data);
  if (!decoded.ok()) return;
  const Result<ConfigContext> context = decode_config_context(decoded->context);
  if (!context.ok()) return;
  for (const auto& [replica, store] : context->stores) stores_[replica] = store;
}

void Range::tick(std::uint64_t now_us, std::uint64_t wall_us) {
  if (halted_) return;
  wall_us_ = std::max(wall_us_, wall_us);
  raft_.tick(now_us);
  if (serves()) tick_serve(now_us);
  tick_change();
  tick_membership();
}

/// Not a word of a leader for long: this replica may have been removed.
void Range::tick_membership() {
  if (raft_.leads()) leaderless_ticks_ = 0;
  if (++leaderless_ticks_ < options_.ask_ticks) return;
  leaderless_ticks_ = 0;
  pending_.ask_membership = true;
}

void Range::step(StoreId from, const raft::Message& message) {
  if (halted_) return;
  if (stores_.size() < 4 * raft::kMembersMax || stores_.contains(message.from)) {
    stores_[message.from] = from;
  }
  const bool leads = std::holds_alternative<raft::Heartbeat>(message.body) ||
                     std::holds_alternative<raft::Append>(message.body);
  if (leads && message.term >= raft_.term()) leaderless_ticks_ = 0;
  raft_.step(message);
}

void Range::step_snapshot(ReplicaId from, raft::Term term, StagedSnapshot staged,
                          std::unique_ptr<Machine> machine) {
  if (halted_ || installing_ || staged_ || !replayed()) {
    pending_.abandon = std::move(staged);
    return;
  }
  const raft::SnapshotMeta meta = staged.meta;
  staged_ = std::move(staged);
  next_machine_ = std::move(machine);
  raft_.step({from, id(), term, raft::InstallSnapshot{meta}});
}

void Range::store_disconnected(StoreId store) {
  std::vector<ReplicaId> peers;
  for (const auto& [replica, where] : stores_) {
    if (where == store) peers.push_back(replica);
  }
  for (const ReplicaId peer : peers) raft_.peer_disconnected(peer);
}

void Range::reply(std::uint64_t id, Reply reply) {
  if (const auto leader = store_of(raft_.leader())) reply.leader = *leader;
  if (id != 0) pending_.replies.push_back({id, std::move(reply)});
}

Reply Range::refusal(raft::Refusal refusal) const {
  Reply reply;
  switch (refusal) {
    case raft::Refusal::kNotLeader:
      reply.outcome = Outcome::kNotLeader;
      break;
    case raft::Refusal::kTooLarge:
    case raft::Refusal::kInvalid:
      reply.outcome = Outcome::kInvalid;
      break;
    default:
      reply.outcome = Outcome::kBusy;
  }
  return reply;
}

Reply Range::stale() const {
  Reply reply;
  reply.outcome = Outcome::kStaleEpoch;
  reply.descriptors.push_back(descriptor());
  return reply;
}

/// Hybrid logical clock: never behind what is applied or what was proposed before.
std::string Range::stamped(decltype(Command::body) body, std::uint32_t level,
                           std::uint64_t wall_us) {
  last_stamp_us_ = std::max({last_stamp_us_, wall_us, applier_->stamp_us()});
  Command command;
  command.level = level;
  command.stamp_us = last_stamp_us_;
  command.body = std::move(body);
  return encode(command);
}

void Range::propose(std::uint64_t id, std::string bytes) {
  if (raft_.last_index() > applier_->applied().index + options_.unapplied_entries) {
    return reply(id, Outcome::kBusy);
  }
  const raft::Proposal proposal = raft_.propose(raft::make_payload(std::move(bytes)));
  if (!proposal.ok()) {
    reply(id, refusal(proposal.refusal));
    return;
  }
  proposed_[proposal.index] = {proposal.term, id, false};
}

/// The answer to a command at `index`: with leases it waits until everybody sees the command.
void Range::answer(std::uint64_t id, raft::Index index, Reply reply) {
  if (id == 0) return;
  if (serves() && reply.outcome == Outcome::kDone) {
    held_.push_back({index, id, now_us_, std::move(reply)});
  } else {
    this->reply(id, std::move(reply));
  }
}

void Range::request(const DataRequest& request, std::uint64_t wall_us) {
  if (!initialised() || halted_) return reply(request.id, Outcome::kNoRange);
  if (serves() && !raft_.leads()) return reply(request.id, Outcome::kNotLeader);
  if (held_.size() >= kHeldMax) return reply(request.id, Outcome::kBusy);
  const Descriptor& now = descriptor();
  const Lanes::Check check = applier_->lanes().check(request.lane, request.seq);
  if (request.lane != LaneId{} && check.verdict == Lanes::Verdict::answered &&
      SKALD_GUARD(Guard::kLaneOnce)) {
    Reply known;
    known.bytes = check.reply;
    if (!SKALD_GUARD(Guard::kRetryWaitsVisible)) return reply(request.id, std::move(known));
    return answer(request.id, applier_->applied().index, std::move(known));
  }
  if (!raft_.leads()) return reply(request.id, Outcome::kNotLeader);
  if (request.boundary_ver > now.epoch.boundary_ver) {
    return reply(request.id, Outcome::kNewerEpoch);
  }
  if (request.boundary_ver < now.epoch.boundary_ver && SKALD_GUARD(Guard::kEpochAtApply)) {
    Reply answer = stale();
    answer.next_seq = applier_->lanes().next(request.lane);
    return reply(request.id, std::move(answer));
  }
  if (request.level > now.level || request.level > kLevelNow) {
    return reply(request.id, Outcome::kLevel);
  }
  UserCommand command{request.lane, request.seq, request.boundary_ver, request.bytes};
  propose(request.id, stamped(std::move(command), request.level, wall_us));
}

void Range::read(const ReadRequest& request) {
  if (!initialised() || halted_) return reply(request.id, Outcome::kNoRange);
  if (request.boundary_ver > descriptor().epoch.boundary_ver) {
    return reply(request.id, Outcome::kNewerEpoch);
  }
  if (reads_.size() + due_reads_.size() >= options_.raft.reads_max) {
    return reply(request.id, Outcome::kBusy);
  }
  const std::uint64_t context = next_read_++;
  const raft::Refusal refused = raft_.read(context);
  if (refused != raft::Refusal::kNone) return reply(request.id, refusal(refused));
  reads_[context] = {request.id, request.lane};
}

void Range::answer_reads() {
  if (!initialised() || rebuilding_) return;
  while (!due_reads_.empty() && (due_reads_.begin()->first <= applier_->applied().index ||
                                 !SKALD_GUARD(Guard::kReadApplied))) {
    const PendingRead read = due_reads_.extract(due_reads_.begin()).mapped();
    Reply answer;
    answer.next_seq = read.lane == LaneId{} ? 0 : applier_->lanes().next(read.lane);
    answer.descriptors.push_back(descriptor());
    reply(read.id, std::move(answer));
  }
}

void Range::written(std::uint64_t write_number) {
  while (!issued_.empty() && issued_.front().number <= write_number) {
    const raft::Write write = std::move(issued_.front());
    issued_.pop_front();
    if (write.snapshot) {
      view_.reset(write.snapshot->index, write.snapshot->term);
      SKALD_ASSERT(installing_.has_value());
      applier_ = std::make_unique<Applier>(
          std::move(next_machine_), installing_->record,
          store::Applied{write.snapshot->index, write.snapshot->term}, installing_->descriptor);
      for (const Replica& replica : descriptor().replicas) stores_[replica.id] = replica.store;
      installing_.reset();
      lease_.reset();
      committed_.clear();
      rebuilding_ = true;
      applier_->machine().rebuild_start();
    }
    view_.append(write.entries);
  }
  raft_.written(write_number);
}

Status Range::rebuild_local(std::string_view key, std::string_view value) {
  return applier_->load_local(key, value);
}

Status Range::rebuild_chunk(std::span<const Record> records) {
  return applier_->machine().rebuild_chunk(records);
}

void Range::rebuild_finish() {
  applier_->machine().boundary_changed(descriptor().boundary);
  applier_->machine().rebuild_finish();
  rebuilding_ = false;
}

ApplyResult Range::apply(std::size_t bytes_max) {
  const raft::Index before = applier_->applied().index;
  std::vector<raft::Entry> entries;
  std::size_t bytes = 0;
  for (const raft::Entry& entry : committed_) {
    bytes += entry.bytes();
    if (!entries.empty() && bytes > bytes_max) break;
    entries.push_back(entry);
  }
  ApplyResult result = applier_->apply(entries);
  committed_.erase(committed_.begin(),
                   committed_.begin() + static_cast<std::ptrdiff_t>(result.entries));
  for (ApplyResult::Answer& answer : result.answers) {
    const auto at = proposed_.find(answer.index);
    if (at == proposed_.end() || at->second.term != answer.term) continue;
    this->answer(at->second.id, answer.index, std::move(answer.reply));
    proposed_.erase(at);
  }
  // What was proposed where another leader's entry stands now will never be committed there.
  while (!proposed_.empty() && proposed_.begin()->first <= applier_->applied().index) {
    reply(proposed_.begin()->second.id, Outcome::kUnknown);
    proposed_.erase(proposed_.begin());
  }
  if (result.descriptor_changed) {
    was_member_ = was_member_ || descriptor().find(id()) != nullptr;
    continue_change();
  }
  for (ApplyResult::Effect& effect : result.effects) {
    if (effect.scope == EffectScope::every_replica || raft_.leads()) {
      pending_.effects.push_back(effect);
    }
  }
  if (result.halted) halted_ = result.halted;
  raft_.applied(applier_->applied().index);
  // The child of one who is alone does not wait for leases to run out.
  if (result.split && alone()) lease_.revoke();
  if (!result.visible && lease_.visible() == before) published(applier_->applied().index);
  leadership();
  answer_reads();
  return result;
}

/// The machine leads once all that was committed before is applied.
void Range::leadership() {
  const bool leads = raft_.leads() && initialised() && !rebuilding_ && !installing_ &&
                     applier_->applied().term == raft_.term();
  if (leads == leading_) return;
  leading_ = leads;
  if (!leads) {
    if (initialised() && !rebuilding_) applier_->machine().leader_stopped();
    return;
  }
  for (auto& [scope, bytes] :
       applier_->machine().leader_started(raft_.term(), applier_->stamp_us())) {
    pending_.effects.push_back({applier_->applied().index, scope, std::move(bytes)});
  }
}

bool Range::settled() const {
  return initialised() && !raft_.config().joint() &&
         raft_.config_index() <= applier_->applied().index;
}

bool Range::replayed() const {
  return applier_ == nullptr || applier_->applied().index >= replay_to_ ||
         !SKALD_GUARD(Guard::kReplayFirst);
}

bool Range::removed() const {
  return initialised() && was_member_ && descriptor().find(id()) == nullptr &&
         !config_of(descriptor()).joint();
}

store::ReplicaWrite Range::log_write(raft::Write write) {
  store::ReplicaWrite out;
  out.who = key_;
  if (write.snapshot) out.restart_at = {write.snapshot->index, write.snapshot->term};
  for (const raft::Entry& entry : write.entries) {
    learn_stores(entry);
    out.entries.push_back({entry.index, entry.term, static_cast<std::uint8_t>(entry.kind),
                           entry.data ? *entry.data : std::string()});
  }
  out.hard_state = {write.hard_state.term, write.hard_state.vote, write.hard_state.commit};
  issued_.push_back(std::move(write));
  return out;
}

RangeReady Range::take_ready() {
  if (halted_) return std::exchange(pending_, {});
  raft::Ready ready = raft_.take_ready();
  if (serves()) take_serve();
  if (!raft_.leads()) {
    for (const auto& [index, proposed] : std::exchange(proposed_, {})) {
      reply(proposed.id, Outcome::kUnknown);
    }
    if (change_) end_change(Reply{Outcome::kUnknown, {}, 0, {}, {}});
  }
  leadership();
  for (raft::Message& message : ready.messages) {
    const std::optional<StoreId> to = store_of(message.to);
    if (to) pending_.messages.push_back({*to, std::move(message)});
  }
  if (ready.write) {
    if (ready.write->snapshot) {
      installing_ = std::exchange(staged_, std::nullopt);
      SKALD_ASSERT(installing_.has_value());
      pending_.install = installing_;
      committed_.clear();
      truncate_.reset();
    }
    pending_.write_number = ready.write->number;
    pending_.log = log_write(std::move(*ready.write));
  }
  if (staged_) {  // Raft had no use for it
    pending_.abandon = std::exchange(staged_, std::nullopt);
    next_machine_.reset();
  }
  if (truncate_) {
    if (!pending_.log) pending_.log.emplace().who = key_;
    pending_.log->truncate_to = std::exchange(truncate_, std::nullopt);
  }
  for (raft::Entry& entry : ready.committed) committed_.push_back(std::move(entry));
  for (const raft::ReadResult& read : ready.reads) {
    const auto at = reads_.find(read.context);
    if (at == reads_.end()) continue;
    const PendingRead pending = at->second;
    reads_.erase(at);
    if (read.ok) {
      due_reads_.emplace(read.index, pending);
    } else {
      reply(pending.id, Outcome::kNotLeader);
    }
  }
  answer_reads();
  pending_.snapshots = std::move(ready.snapshots);
  for (const raft::Event& event : ready.events) {
    if (event.kind == raft::Event::Kind::kToldRemoved) pending_.ask_membership = true;
  }
  pending_.events = std::move(ready.events);
  return std::exchange(pending_, {});
}

}  // namespace skald::range
