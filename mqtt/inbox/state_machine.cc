#include "mqtt/inbox/state_machine.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "config/base/assert.h"
#include "config/base/coding.h"

namespace skald::inbox {

void StateMachine::Work::put(std::string key, std::string value) {
  applied.writes.push_back({range::Write::Kind::put, std::move(key), std::move(value)});
}

void StateMachine::Work::erase(std::string key) {
  applied.writes.push_back({range::Write::Kind::erase, std::move(key), {}});
}

void StateMachine::Work::list(Result result, std::uint32_t target) {
  applied.reply.results.push_back(
      {.operation = operation, .target = target, .result = result, .previous = {}});
}

StateMachine::Applied StateMachine::apply(const range::ApplyContext& context,
                                          const Command& command) {
  SKALD_ASSERT(!rebuilding_);
  Work work{.context = context, .command = command, .applied = {}};
  for (const Operation& operation : command.operations) {
    std::visit([this, &work](const auto& one) { run(work, one); }, operation);
    ++work.operation;
  }
  return std::move(work.applied);
}

/// An operation takes at most three: its own, that of a will and that of routes.
bool StateMachine::has_numbers(const Work& work) {
  return work.numbers + 3 < (1U << kIncarnationBits);
}

Incarnation StateMachine::next_number(Work& work) {
  SKALD_ASSERT(work.numbers < (1U << kIncarnationBits));
  return (work.context.stamp_us << kIncarnationBits) + work.numbers++;
}

StateMachine::Found StateMachine::find(const Name& name) const {
  Found found;
  if (name.tenant.size() > kMaxTenantBytes || name.client_id.empty() ||
      name.client_id.size() > kMaxNameBytes) {
    found.result = Result::invalid;
    return found;
  }
  found.hash = name_hash(name);
  found.key = inbox_prefix(name, found.hash);
  if (!boundary_.contains(found.key)) {
    found.result = Result::wrong_range;
  } else {
    found.session = table_.find(found.hash, found.key);
  }
  return found;
}

StateMachine::Found StateMachine::find_owned(const Name& name, Incarnation incarnation) const {
  Found found = find(name);
  if (found.result != Result::done) return found;
  if (found.session == nullptr || found.session->incarnation != incarnation) {
    found.result = Result::fenced;
  } else if (found.session->inbox == nullptr) {
    found.result = Result::invalid;
  }
  return found;
}

StateMachine::Found StateMachine::find_since(const Name& name, Incarnation incarnation) const {
  Found found = find(name);
  if (found.result != Result::done) return found;
  if (found.session == nullptr || incarnation < found.session->birth ||
      incarnation > found.session->incarnation) {
    found.result = Result::fenced;
  } else if (found.session->inbox == nullptr) {
    found.result = Result::invalid;
  }
  return found;
}

void StateMachine::refuse(Work& work, Result result, std::uint32_t target) {
  if (result == Result::invalid) ++invalid_;
  work.list(result, target);
}

Usage& StateMachine::usage_of(std::string_view tenant) {
  const auto found = usages_.find(tenant);
  return found != usages_.end() ? found->second : usages_[std::string(tenant)];
}

Usage& StateMachine::usage_of(const Session& session) {
  return session.inbox != nullptr ? session.inbox->usage : usage_of(name_of(session.key()).tenant);
}

void StateMachine::put_session(Work& work, const Session& session) const {
  work.put(session_key(session.key()), session_value(session, table_.owner_of(session)));
}

std::optional<std::uint64_t> StateMachine::next_due_us() const {
  if (outbox_.size() >= kMaxOutbox) return std::nullopt;
  if (!ended_.empty()) return 0;
  return table_.next_due_us();
}

std::optional<Owner> StateMachine::owner(const Name& name) const {
  const Found found = find(name);
  return found.session == nullptr ? std::nullopt : table_.owner_of(*found.session);
}

std::optional<SessionState> StateMachine::session_state(const Name& name) const {
  const Found found = find(name);
  if (found.session == nullptr || found.session->inbox == nullptr) return std::nullopt;
  const Inbox& inbox = *found.session->inbox;
  SessionState state;
  state.incarnation = found.session->incarnation;
  state.birth = found.session->birth;
  state.subscriptions.assign(inbox.subscriptions.begin(), inbox.subscriptions.end());
  for (const auto& [packet_id, accepted] : inbox.accepted) state.accepted.push_back(accepted);
  state.received.assign(inbox.received.begin(), inbox.received.end());
  state.head = inbox.messages.empty() ? inbox.last + 1 : inbox.messages.begin()->first;
  state.last = inbox.last;
  state.sent_up_to = inbox.sent_up_to;
  return state;
}

// A key is the first of its hash byte when it is just that byte. Byte 0 has nothing before it.
std::optional<std::string> StateMachine::split_key(std::string_view hint) const {
  const unsigned byte = hint.empty() ? 0 : static_cast<unsigned char>(hint.front());
  for (const unsigned candidate : {byte, byte + 1}) {
    if (candidate == 0 || candidate > 255) continue;
    std::string key(1, static_cast<char>(candidate));
    if (key > boundary_.start && boundary_.contains(key)) return key;
  }
  return std::nullopt;
}

}  // namespace skald::inbox
