#include "mqtt/retain/state_machine.h"

#include <algorithm>

#include "config/base/assert.h"
#include "mqtt/retain/record.h"
#include "mqtt/topic/topic.h"

namespace skald::retain {

namespace {

Limits limits_of(std::string_view tenant, const Store& command) {
  Limits limits = command.most;
  for (const Store::Limit& own : command.limits) {
    if (own.tenant != tenant) continue;
    if (own.max_messages != 0) {
      limits.max_messages = std::min(limits.max_messages, own.max_messages);
    }
    if (own.max_bytes != 0) limits.max_bytes = std::min(limits.max_bytes, own.max_bytes);
  }
  return limits;
}

}  // namespace

std::vector<mqtt::PublicationRef> RetainSnapshot::match(std::string_view tenant,
                                                        std::string_view filter) const {
  std::vector<mqtt::PublicationRef> found;
  if (const auto* trie = tries_.find(tenant)) {
    trie->match_names(filter, [&found](const mqtt::PublicationRef& one) { found.push_back(one); });
  }
  return found;
}

const mqtt::PublicationRef* RetainSnapshot::find(std::string_view tenant,
                                                 std::string_view topic) const {
  const auto* trie = tries_.find(tenant);
  return trie == nullptr ? nullptr : trie->find(topic);
}

RetainWalk::RetainWalk(std::shared_ptr<const RetainSnapshot> in, std::string_view tenant,
                       std::string_view filter)
    : in_(std::move(in)) {
  if (const auto* trie = in_->tries_.find(tenant)) walk_.emplace(*trie, filter);
}

StateMachine::Applied StateMachine::apply(const range::ApplyContext& context,
                                          const Command& command) {
  SKALD_ASSERT(!rebuilding_);
  if (const auto* store = std::get_if<Store>(&command)) return apply_store(*store);
  return apply_expire(context.stamp_us / 1000, std::get<Expire>(command));
}

StateMachine::Applied StateMachine::apply_store(const Store& command) {
  Applied applied;
  std::set<Name> touched;  // written once each, as they end up
  for (const mqtt::PublicationRef& publication : command.publications) {
    const StoreResult result = store(publication, command);
    applied.reply.results.push_back(result);
    if (result == StoreResult::done) {
      touched.emplace(publication->tenant(), publication->topic());
    }
  }
  for (const auto& [tenant, topic] : touched) {
    const auto* trie = tries_.find(tenant);
    const mqtt::PublicationRef* now = trie == nullptr ? nullptr : trie->find(topic);
    if (now == nullptr) {
      applied.writes.push_back({range::Write::Kind::erase, record_key(tenant, topic), {}});
    } else {
      applied.writes.push_back(
          {range::Write::Kind::put, record_key(tenant, topic), record_value(**now)});
    }
  }
  if (!touched.empty()) {
    applied.effects.emplace_back(range::EffectScope::every_replica, PublishSnapshot{});
  }
  return applied;
}

StateMachine::Applied StateMachine::apply_expire(std::uint64_t now_ms, const Expire& command) {
  Applied applied;
  std::uint32_t left = std::max(command.limit, 1U);
  while (!expiries_.empty() && std::get<0>(*expiries_.begin()) <= now_ms && left-- > 0) {
    const auto [when, tenant, topic] = *expiries_.begin();
    SKALD_ASSERT(remove(tenant, topic));
    applied.writes.push_back({range::Write::Kind::erase, record_key(tenant, topic), {}});
  }
  applied.reply.more = !expiries_.empty() && std::get<0>(*expiries_.begin()) <= now_ms;
  if (!applied.writes.empty()) {
    applied.effects.emplace_back(range::EffectScope::every_replica, PublishSnapshot{});
  }
  return applied;
}

StoreResult StateMachine::store(const mqtt::PublicationRef& publication, const Store& command) {
  const std::string_view tenant = publication->tenant();
  const std::string_view topic = publication->topic();
  if (topic::check_name(topic) != topic::Refusal::none) return StoreResult::invalid;
  if (!boundary_.contains(record_key(tenant, topic))) return StoreResult::wrong_range;
  if (publication->payload().empty()) {
    remove(tenant, topic);
    return StoreResult::done;
  }
  const auto* trie = tries_.find(tenant);
  const mqtt::PublicationRef* old = trie == nullptr ? nullptr : trie->find(topic);
  const Usage before = usage(tenant);
  Usage after = before;
  if (old != nullptr) after.bytes -= (*old)->size_bytes();
  after.messages += old == nullptr ? 1 : 0;
  after.bytes += publication->size_bytes();
  // Over a limit that was lowered since, what is there may still be replaced by less.
  const Limits limits = limits_of(tenant, command);
  const bool too_many = after.messages > before.messages && after.messages > limits.max_messages;
  const bool too_large = after.bytes > before.bytes && after.bytes > limits.max_bytes;
  if (too_many || too_large) return StoreResult::quota;
  put(publication);
  return StoreResult::done;
}

void StateMachine::put(const mqtt::PublicationRef& publication) {
  const std::string tenant(publication->tenant());
  const std::string topic(publication->topic());
  remove(tenant, topic);
  tries_.change(tenant, topic) = publication;
  Usage& used = usage_[tenant];
  ++used.messages;
  used.bytes += publication->size_bytes();
  if (publication->info().expiry_ms != 0) {
    expiries_.emplace(publication->info().expiry_ms, tenant, topic);
  }
}

/// False when there was none.
bool StateMachine::remove(std::string_view tenant, std::string_view topic) {
  const auto* trie = tries_.find(tenant);
  const mqtt::PublicationRef* found = trie == nullptr ? nullptr : trie->find(topic);
  if (found == nullptr) return false;
  const mqtt::PublicationRef old = *found;
  if (old->info().expiry_ms != 0) {
    expiries_.erase({old->info().expiry_ms, std::string(tenant), std::string(topic)});
  }
  const auto used = usage_.find(tenant);
  --used->second.messages;
  used->second.bytes -= old->size_bytes();
  if (used->second.messages == 0) usage_.erase(used);
  tries_.erase(tenant, topic);
  return true;
}

StateMachine::Usage StateMachine::usage(std::string_view tenant) const {
  const auto found = usage_.find(tenant);
  return found == usage_.end() ? Usage{} : found->second;
}

std::optional<mqtt::TimeMs> StateMachine::next_expiry_ms() const {
  if (expiries_.empty()) return std::nullopt;
  return std::get<0>(*expiries_.begin());
}

void StateMachine::boundary_changed(const range::Boundary& boundary) {
  boundary_ = boundary;
  std::vector<Name> outside;
  tries_.for_each_tenant([&](std::string_view tenant, const auto& trie) {
    trie.for_each([&](const std::string& topic, const mqtt::PublicationRef&) {
      if (!boundary_.contains(record_key(tenant, topic))) outside.emplace_back(tenant, topic);
    });
  });
  for (const auto& [tenant, topic] : outside) remove(tenant, topic);
}

// The shell asks next_expiry_ms(): nothing else needs a leader to drive it.
StateMachine::Effects StateMachine::leader_started(std::uint64_t, std::uint64_t) { return {}; }

std::optional<std::string> StateMachine::split_key(std::string_view hint) const {
  const bool inside = hint > boundary_.start && boundary_.contains(hint);
  if (!inside) return std::nullopt;
  return std::string(hint);
}

void StateMachine::rebuild_start() {
  rebuilding_ = true;
  tries_.clear();
  usage_.clear();
  expiries_.clear();
}

Status StateMachine::rebuild_chunk(std::span<const range::Record> records) {
  SKALD_ASSERT(rebuilding_);
  for (const range::Record& record : records) {
    const auto publication = decode_record(record.key, record.value);
    if (!publication) return publication.error();
    put(*publication);
  }
  return {};
}

}  // namespace skald::retain
