// What happens by itself: connections that are over, wills that fall due, sessions that end, lives
// that have ended. All stamps are those of commands.
#include <algorithm>
#include <utility>

#include "config/base/assert.h"
#include "mqtt/inbox/state_machine.h"

namespace skald::inbox {
namespace {

constexpr std::uint64_t kSecondUs = 1'000'000;

}  // namespace

/// The will's moment is its delay or the end of the session, whichever is sooner [MQTT 5.0
/// 3.1.3.2.2], but not within the grace of a drain.
void StateMachine::detach(Work& work, Session& session, const Leaving& leaving) {
  Inbox* inbox = session.inbox.get();
  table_.set_owner(session, std::nullopt);
  --usage_of(session).online;
  session.drained = leaving.why == Detach::Why::drain;
  if (leaving.why == Detach::Why::clean) session.will = {};
  if (inbox == nullptr) session.expiry_s = 0;
  if (inbox != nullptr) {
    const Seq sent =
        std::clamp(leaving.sent_up_to.value_or(inbox->last), inbox->sent_up_to, inbox->last);
    if (sent != inbox->sent_up_to) {
      inbox->sent_up_to = sent;
      work.put(queue_key(session.key()), queue_value(inbox->last, sent));
    }
  }
  const std::uint64_t stamp_us = leaving.stamp_us;
  const std::uint64_t end_us = stamp_us + session.expiry_s * kSecondUs;
  const bool never_ends = session.expiry_s == kNeverExpires;
  std::uint64_t will_us = 0;
  if (session.will) {
    will_us = stamp_us + session.will_delay_s * kSecondUs;
    if (!never_ends) will_us = std::min(will_us, end_us);
    if (session.drained) will_us = std::max(will_us, stamp_us + kDrainGraceS * kSecondUs);
  }
  table_.set_deadlines(session, will_us, never_ends ? 0 : end_us);
  settle(work, session);
}

std::size_t StateMachine::settle(Work& work, Session& session) {
  SKALD_ASSERT(!session.online());
  const std::uint64_t now_us = work.context.stamp_us;
  std::size_t cost = 1;
  if (session.will && session.will_due_us <= now_us) {
    publish_will(work, session);
    session.will = {};
    table_.set_deadlines(session, 0, session.inbox != nullptr ? session.inbox->end_due_us : 0);
  }
  if (session.inbox != nullptr) {
    const std::uint64_t end_us = session.inbox->end_due_us;
    if (end_us != 0 && end_us <= now_us) cost += end_inbox(work, session);
  }
  if (session.inbox == nullptr && !session.will) {
    cost += end_session(work, session);
  } else {
    put_session(work, session);
  }
  return cost;
}

/// The persistent part goes; what is left is a session that waits for its will, if it has one.
std::size_t StateMachine::end_inbox(Work& work, Session& session) {
  const std::string_view prefix = session.key();
  Inbox& inbox = *session.inbox;
  for (const auto& [filter, subscription] : inbox.subscriptions) {
    work.erase(subscription_key(prefix, filter));
  }
  for (const auto& [seq, queued] : inbox.messages) work.erase(message_key(prefix, seq));
  for (const auto& [packet_id, accepted] : inbox.accepted) {
    work.erase(accepted_key(prefix, packet_id));
  }
  for (const Seq seq : inbox.received) work.erase(received_key(prefix, seq));
  for (const auto& [id, seen] : inbox.publishers) {
    work.erase(publisher_key(prefix, {.life = id.life, .session = id.session}));
  }
  work.erase(queue_key(prefix));
  const std::size_t cost = inbox.subscriptions.size() + inbox.messages.size() +
                           inbox.received.size() + inbox.accepted.size() + inbox.publishers.size();
  if (!inbox.subscriptions.empty()) {
    RemoveRoutes remove{.intent = next_number(work), .name = name_of(prefix), .routes = {}};
    for (const auto& [filter, subscription] : inbox.subscriptions) {
      remove.routes.push_back({.filter = filter, .incarnation = subscription.incarnation});
    }
    const std::uint64_t id = remove.intent;
    add_intent(work, session, id, std::move(remove));
  }
  inbox.usage.dropped_with_end += inbox.messages.size();
  forget_inbox(session);
  return cost;
}

/// Requires: its will has been seen to.
std::size_t StateMachine::end_session(Work& work, Session& session) {
  std::size_t cost = 1;
  if (session.inbox != nullptr) cost += end_inbox(work, session);
  --usage_of(session).sessions;
  work.erase(session_key(session.key()));
  table_.remove(session);
  return cost;
}

void StateMachine::run(Work& work, const Tick& tick) {
  std::size_t left = std::clamp<std::size_t>(tick.limit, 1, kMaxTick);
  left -= std::min(left, sweep_ended_lives(work, left));
  while (left > 0 && has_numbers(work) && outbox_.size() < kMaxOutbox) {
    Session* session = table_.first_due(work.context.stamp_us);
    if (session == nullptr) return;
    left -= std::min(left, settle(work, *session));
  }
}

void StateMachine::run(Work& work, const EndLife& end) {
  const Life first{end.life.node, LifeNumber{0}};
  for (auto at = table_.lives().lower_bound(first);
       at != table_.lives().end() && at->first <= end.life; ++at) {
    unsigned byte = 0;
    while (byte <= 255) {
      const Session* session = table_.first_of(at->first, static_cast<std::uint8_t>(byte));
      if (session == nullptr) break;
      const std::uint8_t found = hash_byte(session->hash);
      if (ended_.try_emplace({at->first, found}, work.context.stamp_us).second) {
        work.put(ended_life_key(found, at->first), ended_life_value(work.context.stamp_us));
      }
      byte = found + 1U;
    }
  }
}

void StateMachine::detach_ended(Work& work, Session& session, std::uint64_t ended_us) {
  detach(work, session,
         {.why = Detach::Why::broken, .stamp_us = ended_us, .sent_up_to = std::nullopt});
}

/// What is done to a session before its sweep has come: first it is as the sweep will leave it, or
/// what happens now would seem to have happened on the connection that is gone.
void StateMachine::leave_ended_life(Work& work, Found& found) {
  if (ended_.empty() || found.session == nullptr || !found.session->online()) return;
  const auto ended = ended_.find({found.session->life->life, hash_byte(found.hash)});
  if (ended == ended_.end()) return;
  detach_ended(work, *found.session, ended->second);
  found.session = table_.find(found.hash, found.key);
}

/// Returns what it cost.
std::size_t StateMachine::sweep_ended_lives(Work& work, std::size_t limit) {
  std::size_t cost = 0;
  while (!ended_.empty() && cost < limit && has_numbers(work) && outbox_.size() < kMaxOutbox) {
    const auto& [which, ended_us] = *ended_.begin();
    const auto& [life, byte] = which;
    Session* session = table_.first_of(life, byte);
    if (session == nullptr || hash_byte(session->hash) != byte) {
      work.erase(ended_life_key(byte, life));
      ended_.erase(ended_.begin());
    } else {
      detach_ended(work, *session, ended_us);
    }
    ++cost;
  }
  return cost;
}

}  // namespace skald::inbox
