// The part of the dispatch core that is about persistent sessions.
#include <algorithm>

#include "mqtt/dispatch/dispatch.h"

namespace skald::dispatch {

using codec::QoS;

/// The delivery of this kind that the publication has, made now if it is the first.
InboxDelivery& Dispatch::delivery_of(mqtt::PublicationView& publication, bool logged) {
  std::vector<InboxDelivery>& deliveries = logged ? inserts_ : unlogged_;
  const std::size_t before = logged ? inserts_before_ : unlogged_before_;
  if (deliveries.size() == before) {
    deliveries.push_back(InboxDelivery(publication.share(), logged));
  }
  return deliveries.back();
}

void Dispatch::begin_inboxes() {
  inserts_before_ = inserts_.size();
  unlogged_before_ = unlogged_.size();
}

/// The inboxes of the publication's own subscriptions.
void Dispatch::deliver_to_inboxes(const std::shared_ptr<const dist::InboxMatches>& matches,
                                  mqtt::PublicationView& publication) {
  const dist::InboxMatches::NoLocal* own = nullptr;
  if (publication.info.publisher.life.number.value == 0) {  // of a persistent session
    const auto found = std::find_if(matches->no_local.begin(), matches->no_local.end(),
                                    [&](const dist::InboxMatches::NoLocal& one) {
                                      return one.publisher == publication.info.publisher.life;
                                    });
    if (found != matches->no_local.end()) own = &*found;
  }
  const bool to_log = publication.info.qos != QoS::at_most_once;
  for (const bool logged : {true, false}) {
    const bool any = logged ? to_log && matches->reaches(QoS::at_least_once, own)
                            : matches->reaches(QoS::at_most_once, own) ||
                                  (!to_log && matches->reaches(QoS::at_least_once, own));
    if (!any) continue;
    InboxDelivery& delivery = delivery_of(publication, logged);
    delivery.matches_ = matches;
    delivery.own_ = own;
    ++counters_.to_inboxes;
  }
}

/// The persistent member of a group that was chosen. Its inbox answers later.
void Dispatch::deliver_to_member_inbox(const topic::Ref<const dist::GroupMemberEntry>& member,
                                       const SharedTarget& target,
                                       mqtt::PublicationView& publication,
                                       std::uint32_t redispatches) {
  const dist::InboxReceiver& inbox = std::get<dist::InboxMember>(member->member).inbox;
  const bool logged = std::min(inbox.qos, publication.info.qos) != QoS::at_most_once;
  delivery_of(publication, logged)
      .shared_.push_back({.member = member, .group = target.key, .redispatches = redispatches});
  ++counters_.to_inboxes;
}

PublishResult Dispatch::redispatch(const mqtt::PublicationRef& publication,
                                   const SharedInbox& refused, mqtt::TimeMs now_ms) {
  return redispatch({publication, refused.group, refused.redispatches + 1},
                    {.session = 0, .inbox = refused.inbox().inbox}, now_ms);
}

}  // namespace skald::dispatch
