// Who has a session, and what becomes of the one before.
#include <utility>

#include "config/base/assert.h"
#include "mqtt/inbox/state_machine.h"

namespace skald::inbox {

// A lane's life speaks for itself only: commands of ended lives are stopped by its number.
bool StateMachine::is_valid(const Work& work, const Attach& attach) {
  const Life life = attach.owner.life;
  const Life lane = work.context.lane.life;
  if (!life.node || !life.number) return false;
  if (lane != Life{} && lane != life) return false;
  if (attach.will && !attach.will->publication) return false;
  return attach.user.size() <= kMaxNameBytes;
}

void StateMachine::run(Work& work, const Attach& attach) {
  Found found = find(attach.name);
  if (found.result != Result::done) return refuse(work, found.result);
  if (!is_valid(work, attach) || !has_numbers(work)) return refuse(work, Result::invalid);

  leave_ended_life(work, found);
  bool resumes = false;
  bool replaces = false;
  std::optional<Owner> previous;
  Incarnation floor = 0;
  if (const Session* session = found.session; session != nullptr) {
    const bool same_user = session->user() == attach.user;
    const bool is_held = session->online() || session->inbox != nullptr;
    if (!same_user && is_held && !attach.take_from_others) return refuse(work, Result::foreign);
    resumes = same_user && session->inbox != nullptr && !attach.clean_start;
    replaces = session->inbox != nullptr;
  }
  if (attach.expiry_s > 0 && !replaces && !attach.may_begin) {
    return refuse(work, Result::over_total);
  }
  if (Session* session = found.session; session != nullptr) {
    previous = table_.owner_of(*session);
    if (previous == attach.owner) previous.reset();
    floor = session->incarnation;
    leave_behind(work, *session, attach, resumes);
  }
  if (!resumes) {
    found.session = &table_.add(found.hash, found.key, attach.user);
    Usage& usage = usage_of(attach.name.tenant);
    ++usage.sessions;
    if (attach.expiry_s > 0) {
      found.session->inbox = std::make_unique<Inbox>(usage);
      ++usage.persistent;
    }
  }
  take(work, *found.session, attach, resumes, previous);
  SKALD_ASSERT(found.session->incarnation > floor);
}

/// What the connection before leaves: its will, by the rules of [MQTT-3.1.4-3] and MQTT 5.0
/// 3.1.3.2.2, and the whole session when it is not resumed.
void StateMachine::leave_behind(Work& work, Session& session, const Attach& attach, bool resumes) {
  const bool was_online = session.online();
  const bool is_client = session.user() == attach.user;
  // Going on in time cancels a delayed will; a session that ends, or no delay, has it published. A
  // drained node's will waits for nothing but the client.
  const bool is_canceled =
      (resumes && session.will_delay_s > 0) || (!was_online && session.drained && is_client);
  if (session.will && !is_canceled) publish_will(work, session);
  session.will = {};
  if (was_online) --usage_of(session).online;
  table_.set_owner(session, std::nullopt);
  table_.set_deadlines(session, 0, 0);
  if (!resumes) {
    end_session(work, session);
    return;
  }
  // Nobody can say any more what the connection before has sent.
  if (was_online && session.inbox->sent_up_to != session.inbox->last) {
    session.inbox->sent_up_to = session.inbox->last;
    work.put(queue_key(session.key()), queue_value(session.inbox->last, session.inbox->last));
  }
}

void StateMachine::take(Work& work, Session& session, const Attach& attach, bool resumes,
                        const std::optional<Owner>& previous) {
  session.incarnation = next_number(work);
  if (!resumes) session.birth = session.incarnation;
  session.expiry_s = attach.expiry_s;
  session.drained = false;
  session.will = attach.will ? attach.will->publication : mqtt::PublicationRef();
  session.will_delay_s = attach.will ? attach.will->delay_s : 0;
  if (session.inbox != nullptr) session.inbox->quota = attach.quota;
  table_.set_owner(session, attach.owner);
  ++usage_of(attach.name.tenant).online;
  put_session(work, session);
  if (previous) {
    work.applied.effects.emplace_back(range::EffectScope::leader_only,
                                      Evict{.owner = *previous, .to = attach.owner});
  }
  work.applied.reply.results.push_back({.operation = work.operation,
                                        .result = Result::done,
                                        .session_present = resumes,
                                        .incarnation = session.incarnation,
                                        .birth = session.birth,
                                        .previous = previous});
}

void StateMachine::run(Work& work, const Detach& detach_it) {
  const Found found = find(detach_it.name);
  if (found.result != Result::done) return refuse(work, found.result);
  Session* session = found.session;
  if (session == nullptr || session->incarnation != detach_it.incarnation || !session->online()) {
    return refuse(work, Result::fenced);
  }
  if (!has_numbers(work)) return refuse(work, Result::invalid);
  if (detach_it.expiry_s) session->expiry_s = *detach_it.expiry_s;
  detach(work, *session,
         {.why = detach_it.why,
          .stamp_us = work.context.stamp_us,
          .sent_up_to = detach_it.sent_up_to});
}

}  // namespace skald::inbox
