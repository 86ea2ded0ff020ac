// Intents: what is to be done in other ranges, stored until it is known to be done.
#include <utility>

#include "mqtt/inbox/state_machine.h"

namespace skald::inbox {

void StateMachine::add_intent(Work& work, const Session& session, std::uint64_t id, Effect effect) {
  work.put(intent_key(session.key(), id), intent_value(effect));
  work.applied.effects.emplace_back(range::EffectScope::outbox, effect);
  outbox_.emplace(id, Intent{.prefix = std::string(session.key()), .effect = std::move(effect)});
}

/// Requires: the session has a will. It is published as the session's own, so that it comes after
/// all that the client has published and is known when it comes again.
void StateMachine::publish_will(Work& work, Session& session) {
  const mqtt::Publication& will = *session.will;
  const std::uint64_t id = next_number(work);
  Name name = name_of(session.key());
  mqtt::PublicationInfo info = will.info();
  info.publisher = mqtt::persistent_publisher(name.tenant, name.client_id, session.birth);
  info.sequence = id;
  info.stamp_ms = work.context.stamp_us / 1000;
  if (info.expiry_ms != 0) info.expiry_ms += info.stamp_ms;
  ++usage_of(name.tenant).wills;
  add_intent(
      work, session, id,
      PublishWill{.intent = id,
                  .name = std::move(name),
                  .user = std::string(session.user()),
                  .publication = mqtt::Publication::make(info, will.tenant(), will.topic(),
                                                         will.properties(), will.payload())});
}

void StateMachine::run(Work& work, const OutboxDone& done) {
  for (const std::uint64_t id : done.intents) {
    const auto found = outbox_.find(id);
    if (found == outbox_.end()) continue;
    work.erase(intent_key(found->second.prefix, id));
    outbox_.erase(found);
  }
}

StateMachine::Effects StateMachine::leader_started(std::uint64_t, std::uint64_t) {
  Effects effects;
  effects.reserve(outbox_.size());
  for (const auto& [id, intent] : outbox_) {
    effects.emplace_back(range::EffectScope::outbox, intent.effect);
  }
  return effects;
}

}  // namespace skald::inbox
