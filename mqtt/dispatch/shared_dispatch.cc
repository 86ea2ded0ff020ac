// The shared-subscription side of the dispatch core [MQTT-4.8.2].
#include <algorithm>

#include "mqtt/dispatch/dispatch.h"
#include "mqtt/share/redispatch.h"

namespace skald::dispatch {

using session::Session;

share::Standing Dispatch::standing(const dist::GroupMember& member,
                                   const std::vector<std::uint64_t>& refused,
                                   std::string_view refused_inbox) const {
  if (const auto* persistent = std::get_if<dist::InboxMember>(&member)) {
    if (persistent->inbox.inbox == refused_inbox) return share::Standing::excluded;
    return persistent->online() ? share::Standing::ready : share::Standing::offline;
  }
  const auto& session = std::get<dist::SessionMember>(member);
  if (session.life != options_.life) return share::Standing::excluded;
  if (std::find(refused.begin(), refused.end(), session.session) != refused.end()) {
    return share::Standing::excluded;
  }
  if (session.loop != options_.loop) return share::Standing::ready;
  const Session* here = find(session.session);
  if (here == nullptr || here->state() != Session::State::connected) {
    return share::Standing::excluded;
  }
  return here->behind() ? share::Standing::stalled : share::Standing::ready;
}

bool Dispatch::deliver_shared(const SharedTarget& target, mqtt::PublicationView& publication,
                              std::uint32_t redispatches, const Excluded& excluded) {
  std::vector<std::uint64_t> refused;
  if (excluded.session != 0) refused.push_back(excluded.session);
  for (;;) {
    const auto chosen = chooser_.choose(
        publication.tenant, target.key->group, *target.group,
        [&](const dist::GroupMember& member) { return standing(member, refused, excluded.inbox); });
    if (!chosen) return false;
    const topic::Ref<const dist::GroupMemberEntry>& entry = target.group->members[*chosen];
    const auto* session = std::get_if<dist::SessionMember>(&entry->member);
    if (session == nullptr) {
      deliver_to_member_inbox(entry, target, publication, redispatches);
      return true;
    }
    const bool rated = last_tenant_.fan_out.rated;
    if (rated && !fan_out_->may_hand_out(publication, 1)) [[unlikely]]
      return true;  // lost
    if (deliver_to_member(*session, target, publication, redispatches)) return true;
    refused.push_back(session->session);
  }
}

/// With what the member's own subscription asks for [MQTT-3.3.4-3] [MQTT-3.3.1-13].
bool Dispatch::hand_to_member(Session& member, const session::GroupKeyRef& group, codec::QoS qos,
                              std::uint32_t redispatches) {
  session::Delivery delivery{.granted = qos, .group = &group, .redispatches = redispatches};
  const Session::Subscription* special = member.special_share(*group);
  if (special != nullptr) {
    delivery.retain = special->options.retain_as_published && forms_.publication().info.retain;
    if (special->id != 0) delivery.subscription_ids = {&special->id, 1};
  }
  return deliver_to(member, delivery);
}

bool Dispatch::deliver_to_member(const dist::SessionMember& member, const SharedTarget& target,
                                 mqtt::PublicationView& publication, std::uint32_t redispatches) {
  if (member.loop == options_.loop) {
    return hand_to_member(*find(member.session), target.key, member.qos, redispatches);
  }
  batch(member.loop, {.publication = publication.share(),
                      .member = member.session,
                      .group = target.key,
                      .redispatches = redispatches,
                      .member_qos = member.qos});
  return true;
}

PublishResult Dispatch::redispatch(const session::SharedMessage& message, const Excluded& excluded,
                                   mqtt::TimeMs now_ms) {
  mqtt::PublicationView publication = mqtt::PublicationView::of(message.publication);
  const bool expired = publication.info.expiry_ms != 0 && publication.info.expiry_ms <= now_ms;
  if (expired || message.redispatches > share::kMaxRedispatches) {
    ++counters_.shared_undeliverable;
    return {};
  }
  // Copies: delivering may dispatch again and with that change the cache.
  const MatchEntry& entry = match(publication.tenant, publication.topic);
  const std::vector<SharedTarget> targets = entry.groups;
  const dist::Matches kept = entry.routes;
  begin_inboxes();
  for (const SharedTarget& target : targets) {
    if (*target.key != *message.group) continue;
    forms_.reset(publication, now_ms);
    ++counters_.redispatched;
    if (deliver_shared(target, publication, message.redispatches, excluded)) {
      return {.matched = true, .pending = inserts_.size() != inserts_before_};
    }
  }
  ++counters_.shared_undeliverable;
  return {};
}

}  // namespace skald::dispatch
