// Retained messages: storing them before they are matched, and feeding them to new subscriptions.
#include <caf/send.hpp>

#include "actors/post_office.h"
#include "actors/session_actor.h"

namespace skald::actors {

using codec::ReasonCode;
using session::Session;

namespace {

/// Messages that a feed hands over in one round, before other clients get their turn.
constexpr std::size_t kFeedPerRound = 128;

}  // namespace

/// A publish that is retained, or behind one of the same session that is.
void PostOffice::hold(SessionActor& from) {
  Session& session = from.session();
  mqtt::PublicationView& publication = workspace_.publication;
  const mqtt::PublicationRef kept = publication.share();
  publication.shared = {};
  std::optional<std::uint32_t> ticket;
  if (kept->info().qos != codec::QoS::at_most_once) ticket = session.defer_acknowledge();
  dispatch_.back_pressure().lend(session, kept->size_bytes());
  const std::uint64_t id = session.publisher().session;
  if (kept->info().retain) {
    retain_hold_.hold_retained(id, kept, ticket);
  } else {
    retain_hold_.hold_behind(id, kept, ticket);
  }
}

void PostOffice::on_stored(const RetainedStored& stored) {
  new_burst();
  for (const dispatch::RetainHold::Held& held : retain_hold_.stored(stored.results)) {
    Session* session = dispatch_.find(held.session);
    ReasonCode reason = ReasonCode::quota_exceeded;
    if (!retain::is_refused(held.result)) {
      mqtt::PublicationView publication = mqtt::PublicationView::of(held.publication);
      const bool anyone = dispatch_.publish(publication, session, now_ms_);
      reason = anyone ? ReasonCode::success : ReasonCode::no_matching_subscribers;
    }
    if (session == nullptr) continue;
    auto* actor = static_cast<SessionActor*>(session->shell);
    if (codec::is_error(reason) && !session->is_v5()) {
      actor->close(reason, session::End::quota);  // 3.x has no other way to hear of it
      continue;
    }
    if (held.ticket) session->acknowledge_deferred(*held.ticket, reason);
    dispatch_.back_pressure().give_back(*session, held.publication->size_bytes());
    settle_pressed(*session);
    dispatch_.mark_dirty(*session);
  }
  if (dispatch_.has_batches()) send_batches(nullptr);
}

/// The retained messages of a subscription whose SUBACK has just been written.
void PostOffice::start_feed(Session& session, const WantsRetained& wants) {
  const std::uint64_t id = session.publisher().session;
  feeds_[id].add(wants.wanted);
  feed_ready(id);
}

void PostOffice::feed_ready(std::uint64_t session) {
  if (!feeds_.contains(session)) return;
  if (feeds_ready_.empty()) {
    enter();
    caf::anon_send(this, FeedMore{});  // another round, after the sockets had their turn
  }
  feeds_ready_.insert(session);
}

void PostOffice::feed_some() {
  now_ms_ = node_.clock.now_ms();
  if (auto retained = node_.retained.newer(retained_version_)) retained_ = std::move(retained);
  for (const std::uint64_t id : std::exchange(feeds_ready_, {})) {
    Session* session = dispatch_.find(id);
    const auto feed = feeds_.find(id);
    if (session == nullptr || feed == feeds_.end()) continue;
    const bool more = feed_session(*session, feed->second);
    if (feed->second.empty()) {
      feeds_.erase(feed);
    } else if (more) {
      feed_ready(id);
    }
  }
}

/// True when the session could take more at once; otherwise its next progress brings it back.
bool PostOffice::feed_session(Session& session, retain::Feed& feed) {
  const auth::Identity& identity = *static_cast<SessionActor*>(session.shell)->identity();
  dispatch_.mark_dirty(session);
  for (std::size_t i = 0; i < kFeedPerRound; ++i) {
    const mqtt::PublicationRef* message =
        retained_ ? feed.next(*retained_, session.tenant(), now_ms_) : nullptr;
    if (message == nullptr) {
      if (!retained_) feed = {};
      return false;
    }
    if (!node_.authority->may_receive(identity, (*message)->topic())) continue;
    const retain::Feed::Wanted& wanted = feed.head();
    const codec::QoS qos = std::min(wanted.qos, (*message)->info().qos);
    if (!session.has_room(qos)) {
      feed.put_back();
      return false;
    }
    mqtt::PublicationView publication = mqtt::PublicationView::of(*message);
    feed_forms_.reset(publication, now_ms_);
    const std::uint32_t id = wanted.subscription_id;
    session.deliver(feed_forms_, {.granted = wanted.qos,
                                  .retain = true,  // [MQTT-3.3.1-8]
                                  .subscription_ids = {&id, id == 0 ? 0U : 1U}});
  }
  return true;
}

}  // namespace skald::actors
