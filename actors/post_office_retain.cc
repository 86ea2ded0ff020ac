// Retained messages: storing them before they are matched, and feeding them to new subscriptions.
#include <caf/send.hpp>

#include "actors/post_office.h"
#include "actors/session_actor.h"

namespace skald::actors {

using codec::ReasonCode;
using session::Session;

namespace {

/// Messages that a feed hands over in one round, and feeds that get a turn in it, before other
/// clients get theirs.
constexpr std::size_t kFeedPerRound = 128;
constexpr std::size_t kFeedsPerRound = 4;
/// What a feed may look at in one round: a quarter of a millisecond.
constexpr std::size_t kFeedStepsPerRound = 2048;

ReasonCode refusal_of(retain::StoreResult result) {
  switch (result) {
    case retain::StoreResult::invalid:
      return ReasonCode::topic_name_invalid;
    case retain::StoreResult::quota:
      return ReasonCode::quota_exceeded;
    default:
      return ReasonCode::implementation_specific_error;
  }
}

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
    ReasonCode reason = refusal_of(held.result);
    if (!retain::is_refused(held.result)) {
      mqtt::PublicationView publication = mqtt::PublicationView::of(held.publication);
      const bool anyone = dispatch_.publish(publication, session, now_ms_).matched;
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

/// The retained messages of a subscription whose SUBACK is about to be written.
void PostOffice::start_feed(Session& session, const retain::Feed::Wanted& wanted) {
  // It may have been unsubscribed, or wanted otherwise, while its route was awaited.
  const Session::Subscriptions* subscriptions = session.subscriptions();
  if (subscriptions == nullptr) return;
  const auto found = subscriptions->find(wanted.filter);
  if (found == subscriptions->end() ||
      found->second.options.retain_handling == codec::RetainHandling::do_not_send) {
    return;
  }
  if (auto retained = node_.retained.newer(retained_version_)) retained_ = std::move(retained);
  if (!retained_) return;  // nothing was ever retained
  const std::uint64_t id = session.publisher().session;
  feeds_[id].feed.add(wanted, retained_);
  feed_ready(id);
}

void PostOffice::feed_ready(std::uint64_t session) {
  const auto owed = feeds_.find(session);
  if (owed == feeds_.end() || owed->second.ready) return;
  owed->second.ready = true;
  feeds_ready_.push_back(session);
  send_feed_more();
}

/// Another round, after the sockets had their turn.
void PostOffice::send_feed_more() {
  if (feed_more_sent_) return;
  feed_more_sent_ = true;
  enter();
  caf::anon_send(this, FeedMore{});
}

void PostOffice::feed_some() {
  feed_more_sent_ = false;
  now_ms_ = node_.clock.now_ms();
  if (auto retained = node_.retained.newer(retained_version_)) retained_ = std::move(retained);
  for (std::size_t i = 0; i < kFeedsPerRound && !feeds_ready_.empty(); ++i) {
    const std::uint64_t id = feeds_ready_.front();
    feeds_ready_.pop_front();
    const auto owed = feeds_.find(id);
    if (owed == feeds_.end()) continue;
    owed->second.ready = false;
    const bool more = feed_session(*dispatch_.find(id), owed->second.feed);
    if (owed->second.feed.empty()) {
      drop_feed(id);
    } else if (more) {
      feed_ready(id);
    }
  }
  if (!feeds_ready_.empty()) send_feed_more();
}

/// True when the session could take more at once; otherwise its next progress brings it back.
bool PostOffice::feed_session(Session& session, retain::Feed& feed) {
  std::size_t steps = kFeedStepsPerRound;
  for (std::size_t i = 0; i < kFeedPerRound; ++i) {
    const mqtt::PublicationRef* message = feed.next(*retained_, session.tenant(), now_ms_, steps);
    if (message == nullptr) return !feed.empty();
    const retain::Feed::Wanted& wanted = feed.head();
    const bool own = wanted.no_local && (*message)->info().publisher == session.publisher();
    if (own) continue;
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
    dispatch_.fed_memory().remember(session.number, wanted.filter, **message, now_ms_);
    dispatch_.mark_dirty(session);  // only now: a flush without bytes would call us again at once
  }
  return true;
}

/// The last feed to go lets the snapshot go too: it would keep alive what has been replaced since.
void PostOffice::drop_feed(std::uint64_t session) {
  feeds_.erase(session);
  if (!feeds_.empty()) return;
  retained_.reset();
  retained_version_ = 0;
}

}  // namespace skald::actors
