#include "actors/store/replica_actor.h"

#include <utility>

#include "actors/store/store_actor.h"
#include "config/base/assert.h"
#include "mqtt/dist/codec.h"
#include "mqtt/inbox/codec.h"
#include "mqtt/retain/codec.h"

namespace skald::actors {

namespace {

constexpr std::uint64_t kUsPerMs = 1000;

/// The loop of a session is in its id (PostOffice::next_session_id).
std::size_t loop_of(const inbox::Owner& owner) { return owner.session & 0xFF; }

inbox::StateMachine& inbox_of(range::Range& range) {
  return static_cast<inbox::Machine&>(range.machine()).machine();
}

}  // namespace

// -- dist -----------------------------------------------------------------------------------------

caf::behavior DistReplica::make_behavior() {
  return {[](Tick) {}};
}

void DistReplica::applied(range::Range& range) {
  store().node().routes.publish(std::make_shared<const dist::RouteSnapshot>(
      static_cast<dist::Machine&>(range.machine()).machine().snapshot()));
}

void DistReplica::report(range::Range& range, StoreReport& to) {
  to.load.routes += static_cast<dist::Machine&>(range.machine()).machine().table().size();
}

// -- retain ---------------------------------------------------------------------------------------

caf::behavior RetainReplica::make_behavior() {
  return {[](Tick) {}};
}

void RetainReplica::applied(range::Range& range) {
  store().node().retained.publish(std::make_shared<const retain::RetainSnapshot>(
      static_cast<retain::Machine&>(range.machine()).machine().snapshot()));
}

void RetainReplica::report(range::Range& range, StoreReport& to) {
  const auto& machine = static_cast<retain::Machine&>(range.machine()).machine();
  for (const auto& [tenant, usage] : machine.usages()) {
    to.retained[tenant].messages += usage.messages;
    to.retained[tenant].bytes += usage.bytes;
  }
}

void RetainReplica::tick(range::Range& range) {
  if (expiring_ || !range.leads_up_to_date()) return;
  const auto due = static_cast<retain::Machine&>(range.machine()).machine().next_expiry_ms();
  if (!due || *due > store().now_ms()) return;
  expiring_ = true;
  store().propose(range_id(), retain::encode_command(retain::Expire{}));
}

void RetainReplica::proposed(const range::Reply&) { expiring_ = false; }

// -- inbox ----------------------------------------------------------------------------------------

caf::behavior InboxReplica::make_behavior() {
  return {[](Tick) {}};
}

/// The truth of what a tenant has stored is here, also after a restart.
void InboxReplica::applied(range::Range& range) {
  if (!store().node().usage.wants_stored()) return;
  for (const auto& [tenant, usage] : inbox_of(range).usages()) {
    tell(tenant, {.sessions = usage.persistent,
                  .bytes = usage.bytes,
                  .subscriptions = usage.subscriptions - usage.shared,
                  .shared = usage.shared});
  }
}

void InboxReplica::gone() {
  for (const auto& [tenant, held] : std::map(told_)) tell(tenant, {});
}

void InboxReplica::tell(const std::string& tenant, const Held& now) {
  Held& before = told_[tenant];
  const auto tell_one = [&](config::TenantKey total, std::uint64_t Held::*what) {
    const auto difference = static_cast<std::int64_t>(now.*what - before.*what);
    if (difference != 0) store().node().usage.stored(tenant, total, difference);
  };
  tell_one(config::TenantKey::total_persistent_sessions, &Held::sessions);
  tell_one(config::TenantKey::total_persistent_session_space_bytes, &Held::bytes);
  tell_one(config::TenantKey::total_persistent_subscriptions, &Held::subscriptions);
  tell_one(config::TenantKey::total_shared_subscriptions, &Held::shared);
  before = now;
}

void InboxReplica::report(range::Range& range, StoreReport& to) {
  for (const auto& [tenant, usage] : inbox_of(range).usages()) add(to.inboxes[tenant], usage);
  to.load.intents += inbox_of(range).outbox_size();
}

void InboxReplica::tick(range::Range& range) {
  applied(range);  // a reload may just have brought the first limit
  if (!range.leads_up_to_date()) return;
  const auto due = inbox_of(range).next_due_us();
  propose_some(due && *due <= store().now_ms() * kUsPerMs);
}

/// One command at a time: what is due, and what has been carried out.
void InboxReplica::propose_some(bool due) {
  if (proposing_ || (!due && done_.empty())) return;
  inbox::Command command;
  if (due) command.operations.emplace_back(inbox::Tick{});
  if (!done_.empty()) command.operations.emplace_back(inbox::OutboxDone{done_});
  done_proposed_ = std::exchange(done_, {});
  proposing_ = true;
  store().propose(range_id(), inbox::encode_command(command));
}

/// Refused or of unknown outcome: intents are told again, which changes nothing.
void InboxReplica::proposed(const range::Reply& reply) {
  proposing_ = false;
  if (reply.outcome != range::Outcome::kDone) {
    done_.insert(done_.end(), done_proposed_.begin(), done_proposed_.end());
  }
  done_proposed_.clear();
  if (reply.outcome == range::Outcome::kDone) propose_some(false);  // others wait for the tick
}

void InboxReplica::intents_done(const std::vector<std::uint64_t>& intents) {
  done_.insert(done_.end(), intents.begin(), intents.end());
  propose_some(false);
}

void InboxReplica::effect(range::Range& range, std::string_view ticket) {
  for (inbox::Effect& effect : static_cast<inbox::Machine&>(range.machine()).take(ticket)) {
    carry_out(effect);
  }
}

void InboxReplica::carry_out(inbox::Effect& effect) {
  const Life own = store().node().life;
  if (auto* deliver = std::get_if<inbox::Deliver>(&effect)) {
    if (deliver->owner.life != own) return;
    store().parcel(loop_of(deliver->owner)).deliveries.push_back(std::move(*deliver));
  } else if (auto* evict = std::get_if<inbox::Evict>(&effect)) {
    if (evict->owner.life != own) return;
    store().parcel(loop_of(evict->owner)).evictions.push_back(*evict);
  } else if (auto* will = std::get_if<inbox::PublishWill>(&effect)) {
    store().parcel(0).wills.emplace_back(range_id(), std::move(*will));
  } else {
    store().remove_routes({range_id(), std::move(std::get<inbox::RemoveRoutes>(effect))});
  }
}

MessagesFetched fetch_messages(const FetchMessages& wanted, range::Range& range,
                               store::DataStore& data) {
  MessagesFetched fetched{.session = wanted.session, .messages = {}, .next = wanted.from};
  const auto state = inbox_of(range).session_state(wanted.name);
  auto at = data.iterate(range.applier().record().extents);
  if (!state || !at) {
    fetched.failed = true;
    return fetched;
  }
  std::size_t bytes = 0;
  at->seek(inbox::message_key(wanted.name, wanted.from));
  const std::string end = inbox::messages_end(wanted.name);
  for (; at->valid() && at->key() < end; at->next()) {
    if (fetched.messages.size() >= wanted.max_messages || bytes >= wanted.max_bytes) return fetched;
    Result<inbox::Message> message = inbox::decode_message({at->key(), at->value()});
    SKALD_ASSERT(message.ok());  // the machine wrote it
    bytes += message->publication->size_bytes();
    fetched.next = message->seq + 1;
    fetched.messages.push_back(std::move(*message));
  }
  fetched.next = state->last + 1;
  fetched.at_tail = true;
  return fetched;
}

}  // namespace skald::actors
