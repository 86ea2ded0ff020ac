// What one publication has for persistent sessions: the inboxes that are to get it, wherever they
// are.
//
// Made by the dispatch core, drained by the post office after each burst and each batch of another
// loop (Dispatch::take_inserts, take_unlogged), which sorts the targets by inbox range. The list of
// a topic is shared by all publications on it; only what differs between them is copied.
//
// Effective QoS 1 and 2 are inserts: their publisher's ack waits until the inbox ranges have
// committed them. QoS 0 is unlogged: it goes to sessions that are online, and nobody waits.
//
// No Local: the publisher is told by its identity (mqtt::persistent_life), which a will, a held
// publish and one of another loop still carry when there is no session any more [MQTT-3.8.3-3].
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "mqtt/dist/route_snapshot.h"
#include "mqtt/publication.h"
#include "mqtt/session/delivery.h"

namespace skald::dispatch {

/// A persistent session that was chosen as the member of a shared group. When its inbox refuses the
/// message, Dispatch::redispatch finds another one.
struct SharedInbox {
  topic::Ref<const dist::GroupMemberEntry> member;  // an InboxMember
  session::GroupKeyRef group;
  std::uint32_t redispatches = 0;

  const dist::InboxReceiver& inbox() const {
    return std::get<dist::InboxMember>(member->member).inbox;
  }
};

/// Valid as long as the InboxDelivery that it is of.
struct InboxTarget {
  std::string_view client_id;                 // in the publication's tenant
  std::uint64_t route = 0;                    // incarnation
  codec::QoS qos = codec::QoS::at_most_once;  // the lower of the publication's and the granted one
  bool retain = false;                        // the flag to send
  std::span<const std::uint32_t> subscription_ids;
  const SharedInbox* shared = nullptr;  // null: of its own subscriptions
};

class InboxDelivery {
 public:
  mqtt::PublicationRef publication;
  std::uint64_t tag = 0;  // the caller's: who waits

  /// Calls visit(const InboxTarget&) for each. An inbox may come more than once: a shared
  /// subscription is a copy of its own.
  template <class F>
  void for_each(F&& visit) const {
    const mqtt::PublicationInfo& info = publication->info();
    const auto give = [&](InboxTarget target, codec::QoS granted, bool retain_as_published) {
      target.qos = std::min(info.qos, granted);
      target.retain = retain_as_published && info.retain;
      if ((target.qos != codec::QoS::at_most_once) == logged_) visit(std::as_const(target));
    };
    for (std::size_t i = 0; matches_ && i < matches_->inboxes.size(); ++i) {
      const dist::InboxMatches::Inbox* inbox = &matches_->inboxes[i];
      if (own_ != nullptr && own_->inbox == i) {
        if (!own_->instead) continue;
        inbox = &*own_->instead;
      }
      give({.client_id = inbox->inbox,
            .route = inbox->incarnation,
            .subscription_ids = matches_->ids_of(*inbox)},
           inbox->qos, inbox->retain_as_published);
    }
    for (const SharedInbox& shared : shared_) {
      const dist::InboxReceiver& inbox = shared.inbox();
      const std::uint32_t* id = &inbox.subscription_id;
      give({.client_id = inbox.inbox,
            .route = inbox.incarnation,
            .subscription_ids = {id, *id == 0 ? 0U : 1U},
            .shared = &shared},
           inbox.qos, inbox.retain_as_published);
    }
  }

 private:
  friend class Dispatch;

  InboxDelivery(mqtt::PublicationRef of, bool logged)
      : publication(std::move(of)), logged_(logged) {}

  std::shared_ptr<const dist::InboxMatches> matches_;
  const dist::InboxMatches::NoLocal* own_ = nullptr;  // in matches_: the publisher's own inbox
  std::vector<SharedInbox> shared_;
  bool logged_;
};

}  // namespace skald::dispatch
