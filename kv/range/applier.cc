#include "kv/range/applier.h"

#include <algorithm>

#include "config/base/assert.h"
#include "config/base/coding.h"
#include "kv/range/guards.h"

namespace skald::range {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::string_view kStampKey = "s";

std::string encode_stamp(std::uint64_t stamp_us) {
  std::string value;
  put_u8(value, kVersion);
  put_varint(value, stamp_us);
  return value;
}

}  // namespace

const char* describe(Outcome outcome) {
  static constexpr const char* kNames[] = {
      "done",  "unknown",  "not leader", "stale epoch", "newer epoch", "gap",       "too old",
      "ended", "too many", "busy",       "level",       "invalid",     "timed out", "no range"};
  return kNames[static_cast<std::size_t>(outcome)];
}

Applier::Applier(std::unique_ptr<Machine> machine, store::ReplicaRecord record,
                 store::Applied applied, Descriptor descriptor)
    : machine_(std::move(machine)),
      record_(std::move(record)),
      applied_(applied),
      descriptor_(std::move(descriptor)) {
  for (const Replica& replica : descriptor_.replicas) stores_[replica.id] = replica.store;
}

Status Applier::load_local(std::string_view key, std::string_view value) {
  if (key != kStampKey) return lanes_.load(key, value);
  Reader in(value);
  in.version(kVersion);
  stamp_us_ = in.varint();
  if (in.done()) return {};
  return Error{"range stamp: cannot be read"};
}

ApplyResult Applier::apply(const std::vector<raft::Entry>& entries) {
  ApplyResult result;
  for (const raft::Entry& entry : entries) {
    SKALD_ASSERT(entry.index == applied_.index + 1);
    if (Status status = apply_one(entry, result); !status.ok()) {
      result.halted = Error{"range " + std::to_string(descriptor_.id.value) + ", entry " +
                            std::to_string(entry.index) + ": " + status.error().message};
      break;
    }
    applied_ = {entry.index, entry.term};
    ++result.entries;
    if (result.split) break;
  }
  if (result.entries > 0) finish(result);
  return result;
}

/// What the range itself keeps goes into the same batch as what the entries did.
void Applier::finish(ApplyResult& result) {
  for (auto& [key, value] : lanes_.take_changes()) {
    result.batch.writes.push_back({record_.local_space, key, std::move(value)});
  }
  if (stamp_changed_) {
    result.batch.put(record_.local_space, std::string(kStampKey), encode_stamp(stamp_us_));
    stamp_changed_ = false;
  }
  if (result.descriptor_changed) {
    record_.config = encode(descriptor_);
    result.batch.replicas.push_back(record_);
  }
  result.batch.applied.emplace_back(descriptor_.id, applied_);
}

Status Applier::apply_one(const raft::Entry& entry, ApplyResult& result) {
  if (entry.kind == raft::EntryKind::kNoop) return {};
  if (entry.kind == raft::EntryKind::kConfig) return apply_config(entry, result);
  Result<Command> decoded = decode_command(entry.data ? std::string_view(*entry.data) : "");
  if (!decoded.ok()) return decoded.error();
  ApplyContext context;
  context.index = entry.index;
  context.term = entry.term;
  stamp_us_ = std::max(stamp_us_ + 1, decoded->stamp_us);
  stamp_changed_ = true;
  context.stamp_us = stamp_us_;
  context.level = descriptor_.level;
  if (auto* user = std::get_if<UserCommand>(&decoded->body)) {
    context.lane = user->lane;
    context.seq = user->seq;
    return apply_user(context, *user, result);
  }
  if (auto* end = std::get_if<EndLifeCommand>(&decoded->body)) {
    return apply_end_life(context, *end, result);
  }
  if (auto* split = std::get_if<SplitCommand>(&decoded->body)) {
    return apply_split(entry, *split, result);
  }
  if (auto* retire = std::get_if<RetireCommand>(&decoded->body)) {
    apply_retire(entry, *retire, result);
    return {};
  }
  const std::uint32_t level = std::get<SetLevelCommand>(decoded->body).level;
  if (level > descriptor_.level) {
    descriptor_.level = level;
    result.descriptor_changed = true;
  }
  result.answers.push_back({entry.index, entry.term, {}});
  return {};
}

Status Applier::apply_config(const raft::Entry& entry, ApplyResult& result) {
  const Result<raft::ConfigEntry> decoded = raft::decode_config_entry(*entry.data);
  if (!decoded.ok()) return decoded.error();
  const Result<ConfigContext> context = decode_config_context(decoded->context);
  if (!context.ok()) return context.error();
  for (const auto& [replica, store] : context->stores) stores_[replica] = store;
  descriptor_.replicas = replicas_of(decoded->config, stores_);
  std::uint64_t& conf_ver = descriptor_.epoch.conf_ver;
  conf_ver =
      context->recovery ? ((conf_ver >> kGenerationShift) + 1) << kGenerationShift : conf_ver + 1;
  std::erase_if(stores_, [this](const auto& item) { return !descriptor_.find(item.first); });
  result.descriptor_changed = true;
  result.answers.push_back({entry.index, entry.term, {}});
  return {};
}

Reply Applier::stale() const {
  Reply reply;
  reply.outcome = Outcome::kStaleEpoch;
  reply.descriptors.push_back(descriptor_);
  if (last_child_) reply.descriptors.push_back(*last_child_);
  return reply;
}

/// First the lane, then the epoch: what was applied before a split is answered after it too.
Status Applier::apply_user(const ApplyContext& context, const UserCommand& command,
                           ApplyResult& result) {
  const bool own = command.lane == LaneId{};
  Lanes::Check check;
  if (!own) check = lanes_.check(command.lane, command.seq);
  using Verdict = Lanes::Verdict;
  if (check.verdict == Verdict::answered && !SKALD_GUARD(Guard::kLaneOnce)) {
    check.verdict = Verdict::apply;
  }
  if (check.verdict == Verdict::gap && !SKALD_GUARD(Guard::kLaneGap)) {
    check.verdict = Verdict::apply;
  }
  Reply reply;
  switch (check.verdict) {
    case Verdict::apply:
      if (descriptor_.state != Descriptor::State::kNormal ||
          (command.boundary_ver != descriptor_.epoch.boundary_ver &&
           SKALD_GUARD(Guard::kEpochAtApply))) {
        reply = stale();
        break;
      }
      if (Status s = run_machine(context, command.bytes, result, reply.bytes); !s.ok()) return s;
      if (!own && lanes_.check(command.lane, command.seq).verdict == Verdict::apply) {
        lanes_.record(command.lane, command.seq, reply.bytes);
      }
      if (!descriptor_.genesis.used) {
        descriptor_.genesis.used = true;
        result.descriptor_changed = true;
      }
      break;
    case Verdict::answered:
      reply.bytes = check.reply;
      break;
    case Verdict::stale:
      reply.outcome = Outcome::kTooOld;
      break;
    case Verdict::gap:
      reply.outcome = Outcome::kGap;
      break;
    case Verdict::ended:
      reply.outcome = Outcome::kEnded;
      break;
    case Verdict::too_many:
      reply.outcome = Outcome::kTooMany;
      break;
  }
  reply.next_seq = own ? 0 : lanes_.next(command.lane);
  result.answers.push_back({context.index, context.term, std::move(reply)});
  return {};
}

Status Applier::run_machine(const ApplyContext& context, std::string_view bytes,
                            ApplyResult& result, std::string& reply) {
  result.visible = true;
  Result<MachineResult> done = machine_->apply(context, bytes);
  if (!done.ok()) return done.error();
  for (Write& write : done->writes) {
    const std::optional<store::Space> space = store::find_space(record_.extents, write.key);
    SKALD_ASSERT(space.has_value());  // a machine writes inside its boundary only
    if (write.kind == Write::Kind::put) {
      result.batch.put(*space, std::move(write.key), std::move(write.value));
    } else {
      result.batch.erase(*space, std::move(write.key));
    }
  }
  for (auto& [scope, effect] : done->effects) {
    result.effects.push_back({context.index, scope, std::move(effect)});
  }
  reply = std::move(done->reply);
  return {};
}

Status Applier::apply_end_life(const ApplyContext& context, const EndLifeCommand& command,
                               ApplyResult& result) {
  lanes_.end_life(command.life);
  Reply reply;
  reply.descriptors.push_back(descriptor_);  // whose keys know it now
  if (!command.bytes.empty()) {
    if (Status s = run_machine(context, command.bytes, result, reply.bytes); !s.ok()) return s;
  }
  result.answers.push_back({context.index, context.term, std::move(reply)});
  return {};
}

/// Before any user command of this range or a parent: from here on there will be none.
void Applier::apply_retire(const raft::Entry& entry, const RetireCommand& command,
                           ApplyResult& result) {
  const bool unused = !descriptor_.genesis.used || !SKALD_GUARD(Guard::kRetireUnused);
  Reply reply;
  if (unused && command.genesis == descriptor_.genesis.id) {
    descriptor_.state = Descriptor::State::kRetired;
    result.descriptor_changed = true;
  } else {
    reply = stale();
  }
  result.answers.push_back({entry.index, entry.term, std::move(reply)});
}

/// Both halves get a new boundary_ver; the child gets replicas 1 to n on the parent's stores, all
/// lanes, and the parent's keys above the cut, where they lie.
Status Applier::apply_split(const raft::Entry& entry, const SplitCommand& command,
                            ApplyResult& result) {
  const bool inside =
      command.key > descriptor_.boundary.start && descriptor_.boundary.contains(command.key);
  const bool current = command.epoch == descriptor_.epoch;
  const bool normal = descriptor_.state == Descriptor::State::kNormal;
  if (!current || !normal || !inside || config_of(descriptor_).joint()) {
    result.answers.push_back({entry.index, entry.term, stale()});
    return {};
  }
  Descriptor child = descriptor_;
  child.id = command.child;
  child.boundary.start = command.key;
  child.epoch = {descriptor_.epoch.conf_ver, descriptor_.epoch.boundary_ver + 1};
  std::uint64_t next = 1;
  for (Replica& replica : child.replicas) replica.id = ReplicaId{next++};
  auto [left, right] = store::split_extents(record_.extents, command.key);
  record_.extents = std::move(left);
  descriptor_.boundary.end = command.key;
  ++descriptor_.epoch.boundary_ver;
  result.descriptor_changed = true;

  SplitOff split{child, std::move(right), lanes_.pieces(), entry.index};
  split.local.emplace_back(std::string(kStampKey), encode_stamp(stamp_us_));
  result.split = std::move(split);
  result.visible = true;
  machine_->boundary_changed(descriptor_.boundary);
  last_child_ = std::move(child);
  Reply reply;
  reply.descriptors = {descriptor_, *last_child_};
  result.answers.push_back({entry.index, entry.term, std::move(reply)});
  return {};
}

}  // namespace skald::range
