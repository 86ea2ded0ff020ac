// Retained messages: storing them before they are matched, and feeding them to new subscriptions.
#include <caf/send.hpp>

#include "actors/post_office.h"
#include "actors/session_actor.h"
#include "config/base/assert.h"
#include "mqtt/retain/codec.h"
#include "mqtt/retain/record.h"

namespace skald::actors {

using codec::ReasonCode;
using config::TenantKey;
using session::Session;

namespace {

/// Messages that a feed hands over in one round, and feeds that get a turn in it, before other
/// clients get theirs.
constexpr std::size_t kFeedPerRound = 128;
constexpr std::size_t kFeedsPerRound = 4;
/// What a feed may look at in one round: a quarter of a millisecond.
constexpr std::size_t kFeedStepsPerRound = 2048;
/// How long after a subscription was stored its route may have become visible, at the latest.
constexpr mqtt::TimeMs kFeedGraceMs = 10'000;
/// Commands of retained messages under way; more gather in the next.
constexpr std::size_t kStoresInFlight = 3;

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

/// A publish that must be committed somewhere before it is handed to anyone, or that is behind one
/// of the same session.
bool PostOffice::must_hold(const SessionActor& from) const {
  const mqtt::PublicationInfo& info = workspace_.publication.info;
  if (info.retain || retain_hold_.holds(from.session_id)) return true;
  const Session& session = from.session();
  return session.persistent() && info.qos == codec::QoS::exactly_once && !session.accepted_before();
}

void PostOffice::hold(SessionActor& from) {
  Session& session = from.session();
  mqtt::PublicationView& publication = workspace_.publication;
  const mqtt::PublicationRef kept = publication.share();
  publication.shared = {};
  dispatch::RetainHold::Manner manner;
  if (kept->info().qos != codec::QoS::at_most_once) manner.ticket = session.defer_acknowledge();
  if (session.persistent() && kept->info().qos == codec::QoS::exactly_once) {
    manner.packet_id = workspace_.publish.packet_id;
    manner.accept = !session.accepted_before();
  }
  dispatch_.back_pressure().lend(session, kept->size_bytes());
  publishing(from.session_id);
  const std::uint64_t number = retain_hold_.hold(from.session_id, kept, manner);
  if (!manner.accept) return;
  inbox::Accept accept;
  accept.name = {from.identity()->tenant, session.client_id()};
  accept.incarnation = from.incarnation;
  accept.packet_id = manner.packet_id;
  accept.sequence = kept->info().sequence;
  const inbox::Name name = accept.name;
  inbox_.submit(name, std::move(accept), wait_for(AcceptWait{from.session_id, number}));
}

/// What this round wants stored goes in one command, or waits for the next while enough are under
/// way.
void PostOffice::store_retained() {
  if (retain_hold_.has_to_store() && retain_router_.waiting() < kStoresInFlight) {
    retain::Store store{.publications = retain_hold_.take_to_store()};
    store.limits = retain_limits(store);
    store.most = {.max_messages = node_.options.mqtt.max_retained_messages,
                  .max_bytes = node_.options.mqtt.max_retained_bytes};
    const mqtt::Publication& first = *store.publications.front();
    const std::string key = retain::record_key(first.tenant(), first.topic());
    retain_router_.submit(++last_store_, key, retain::encode_command(std::move(store)));
  }
  route::Router::Out out = retain_router_.take();
  if (!out.requests.empty()) {
    send(node_.stores[static_cast<std::size_t>(StoreKind::retain)],
         RangeRequests{std::move(out.requests)});
  }
  for (const route::Router::Result& result : out.results) {
    if (result.outcome != range::Outcome::kDone) continue;  // this life has ended
    const auto reply = retain::decode_reply(result.bytes);
    SKALD_ASSERT(reply.ok());
    release_held(retain_hold_.stored(reply->results));
  }
}

void PostOffice::on_retain_replies(const RangeReplies& replies) {
  for (const auto& [id, reply] : replies.replies) retain_router_.on_reply(id, reply);
  store_retained();
}

void PostOffice::release_held(std::vector<dispatch::RetainHold::Held> ready) {
  for (const dispatch::RetainHold::Held& held : ready) {
    InsertWait wait{.session = held.session,
                    .ticket = held.ticket,
                    .handed_out = held.packet_id,
                    .sequence = held.publication->info().sequence,
                    .lent = held.publication->size_bytes()};
    if (const auto will = wills_.find(held.session); will != wills_.end()) {
      wait = will->second;
      wills_.erase(will);
    }
    if (held.refused) {  // its session has been taken over
      wait.ticket.reset();
      settle_publish(wait, ReasonCode::success);
      continue;
    }
    if (retain::is_refused(held.result)) {
      ++figures_[intern_tenant(std::string(held.publication->tenant()))].retained_refused;
      note_done(EventKind::msg_retained_error, held.publication->tenant(),
                held.publication->topic());
      settle_publish(wait, refusal_of(held.result));
      continue;
    }
    if (held.publication->info().retain) {
      const bool cleared = held.publication->payload().empty();
      note_done(cleared ? EventKind::retain_msg_cleared : EventKind::msg_retained,
                held.publication->tenant(), held.publication->topic());
    }
    Session* session = dispatch_.find(held.session);
    SessionActor* actor = session == nullptr ? nullptr : static_cast<SessionActor*>(session->shell);
    mqtt::PublicationView publication = mqtt::PublicationView::of(held.publication);
    hand_out(publication, actor, std::move(wait));
  }
  if (dispatch_.has_batches()) send_batches(nullptr);
}

/// The retained messages of a subscription whose SUBACK is about to be written.
void PostOffice::start_feed(Session& session, const retain::Feed::Wanted& wanted) {
  // It may have been unsubscribed, or wanted otherwise, while its route was awaited.
  if (session.persistent()) {
    const auto* actor = static_cast<SessionActor*>(session.shell);
    if (!actor->durable->subscriptions.contains(wanted.filter)) return;
  } else {
    const Session::Subscriptions* subscriptions = session.subscriptions();
    if (subscriptions == nullptr) return;
    const auto found = subscriptions->find(wanted.filter);
    if (found == subscriptions->end() ||
        found->second.options.retain_handling == codec::RetainHandling::do_not_send) {
      return;
    }
  }
  if (auto retained = node_.retained.newer(retained_version_)) retained_ = std::move(retained);
  if (!retained_) {  // nothing was ever retained
    if (session.persistent()) tell_fed(session, wanted.filter);
    return;
  }
  const std::uint64_t id = session.number;
  if (!node_.usage.spend(session.tenant(), TenantKey::total_retain_match_per_seconds, 1, now_ms_)) {
    note_refusal(EventKind::out_of_tenant_resource, session.tenant(),
                 *static_cast<SessionActor*>(session.shell), "retained match rate");
    if (session.persistent()) tell_fed(session, wanted.filter);  // refused, not owed
    return;
  }
  retain::Feed::Wanted limited = wanted;
  limited.limit = session.limits().retain_match_limit;
  feeds_[id].feed.add(std::move(limited), retained_);
  feed_ready(id);
}

/// A session that comes back before its feeds were over. What has been published since it
/// subscribed came to it, or is in its queue.
void PostOffice::resume_feeds(SessionActor& actor) {
  for (const auto& [filter, subscription] : actor.durable->subscriptions) {
    if (!subscription.feed_owed) continue;
    const std::uint64_t since_us = subscription.incarnation >> inbox::kIncarnationBits;
    start_feed(actor.session(), {.filter = filter,
                                 .qos = subscription.options.qos,
                                 .subscription_id = subscription.id,
                                 .no_local = subscription.options.no_local,
                                 .until_ms = since_us / 1000 + kFeedGraceMs});
  }
}

/// All that the filter is owed is on its way to the queue.
void PostOffice::tell_fed(Session& session, const std::string& filter) {
  auto& actor = *static_cast<SessionActor*>(session.shell);
  const auto subscription = actor.durable->subscriptions.find(filter);
  if (subscription == actor.durable->subscriptions.end()) return;
  const inbox::Name name{actor.identity()->tenant, session.client_id()};
  inbox_.submit(name, inbox::Fed{name, actor.incarnation, filter, subscription->second.incarnation},
                0);
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
  feed_next_before_ms_ = ~mqtt::TimeMs{0};
  for (const auto& held : node_.retained_held) {
    feed_next_before_ms_ =
        std::min<mqtt::TimeMs>(feed_next_before_ms_, held.load(std::memory_order_acquire));
  }
  enter();
  caf::anon_send(this, FeedMore{});
}

void PostOffice::feed_some() {
  feed_more_sent_ = false;
  // What other loops had dispatched when this was sent came before it.
  feed_before_ms_ = feed_next_before_ms_;
  now_ms_ = node_.clock.now_ms();
  if (auto retained = node_.retained.newer(retained_version_)) retained_ = std::move(retained);
  for (std::size_t i = 0; i < kFeedsPerRound && !feeds_ready_.empty(); ++i) {
    const std::uint64_t id = feeds_ready_.front();
    feeds_ready_.pop_front();
    const auto owed = feeds_.find(id);
    if (owed == feeds_.end()) continue;
    owed->second.ready = false;
    Session& session = *dispatch_.find(id);
    const bool more = feed_session(session, owed->second.feed);
    for (const std::string& filter : owed->second.feed.take_finished()) {
      if (session.persistent()) tell_fed(session, filter);
    }
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
  auto& actor = *static_cast<SessionActor*>(session.shell);
  if (session.persistent() && actor.durable->feeding) return false;
  std::uint64_t token = 0;  // of what goes by the queue
  for (std::size_t i = 0; i < kFeedPerRound; ++i) {
    const mqtt::PublicationRef* message = feed.next(*retained_, session.tenant(), now_ms_, steps);
    if (message == nullptr) return !feed.empty() && token == 0;
    const retain::Feed::Wanted& wanted = feed.head();
    const bool own = wanted.no_local && (*message)->info().publisher == session.publisher();
    if (own || dispatch_.live_memory().knows(session.number, wanted.filter, **message)) continue;
    if ((*message)->info().stamp_ms >= feed_before_ms_) {  // first live, if it comes live
      feed.put_back();
      feeds_waiting_.push_back(session.number);
      return false;
    }
    const codec::QoS qos = std::min(wanted.qos, (*message)->info().qos);
    if (!session.has_room(qos)) {
      feed.put_back();
      return false;
    }
    if (session.limits().metered &&
        !node_.usage.spend(session.tenant(), TenantKey::total_retain_match_bytes_per_second,
                           (*message)->size_bytes(), now_ms_)) {
      feed.put_back();
      feeds_waiting_.push_back(session.number);  // the rest when there is some of it again
      return false;
    }
    if (session.persistent() && qos != codec::QoS::at_most_once) {
      if (token == 0) token = wait_for(FeedWait{actor.session_id});
      actor.durable->feeding = true;
      feed_inbox(actor, *message, wanted, token);
    } else {
      feed_now(session, *message, wanted);
    }
  }
  return token == 0;
}

void PostOffice::feed_now(Session& session, const mqtt::PublicationRef& message,
                          const retain::Feed::Wanted& wanted) {
  mqtt::PublicationView publication = mqtt::PublicationView::of(message);
  feed_forms_.reset(publication, now_ms_);
  const std::uint32_t id = wanted.subscription_id;
  session.deliver(feed_forms_, {.granted = wanted.qos,
                                .retain = true,  // [MQTT-3.3.1-8]
                                .subscription_ids = {&id, id == 0 ? 0U : 1U}});
  dispatch_.mark_dirty(session);  // only now: a flush without bytes would call us again at once
}

/// What a persistent session must finish goes by its queue, a chunk at a time, when the client has
/// taken the one before; it does not count against the quota.
void PostOffice::feed_inbox(SessionActor& actor, const mqtt::PublicationRef& message,
                            const retain::Feed::Wanted& wanted, std::uint64_t token) {
  inbox::Insert::Target target;
  target.name = {actor.identity()->tenant, actor.session().client_id()};
  target.qos = std::min(wanted.qos, message->info().qos);
  target.retain = true;
  const auto subscription = actor.durable->subscriptions.find(wanted.filter);
  if (subscription != actor.durable->subscriptions.end()) {
    target.route = subscription->second.incarnation;
  }
  if (wanted.subscription_id != 0) target.subscription_ids.push_back(wanted.subscription_id);
  std::vector<inbox::Insert::Target> targets;
  targets.push_back(std::move(target));
  inbox_.insert(message, {.retained_feed = true}, std::move(targets), token);
}

void PostOffice::completed(const FeedWait& wait, const inbox::Completion&) {
  Session* session = dispatch_.find(wait.session);
  if (session == nullptr) return;
  static_cast<SessionActor*>(session->shell)->durable->feeding = false;
  feed_ready(wait.session);
}

/// The last feed to go lets the snapshot go too: it would keep alive what has been replaced since.
void PostOffice::drop_feed(std::uint64_t session) {
  feeds_.erase(session);
  if (!feeds_.empty()) return;
  retained_.reset();
  retained_version_ = 0;
}

}  // namespace skald::actors
