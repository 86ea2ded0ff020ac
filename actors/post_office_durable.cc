// Publishes into inboxes, deliveries out of them, and what a persistent session's client has done
// with its messages.
#include <algorithm>
#include <caf/send.hpp>
#include <iterator>

#include "actors/post_office.h"
#include "actors/session_actor.h"
#include "config/base/assert.h"
#include "mqtt/inbox/keys.h"

namespace skald::actors {

using codec::QoS;
using codec::ReasonCode;
using session::Session;

namespace {

/// How long a publish may wait for its receivers' inboxes (design.md section 5, "Refusals").
constexpr std::uint64_t kInsertMs = 5000;
/// What a client has finished is told to its inbox when there is so much of it, or on a tick.
constexpr std::size_t kFinishAt = 128;
/// Wills are held under numbers that no session has.
constexpr std::uint64_t kWillSession = std::uint64_t{1} << 63;

inbox::Name name_of(const Session& session) {
  return {std::string(session.tenant()), session.client_id()};
}

std::vector<inbox::Insert::Target> targets_of(const dispatch::InboxDelivery& delivery) {
  std::vector<inbox::Insert::Target> targets;
  const std::string tenant(delivery.publication->tenant());
  delivery.for_each([&](const dispatch::InboxTarget& one) {
    inbox::Insert::Target& target = targets.emplace_back();
    target.name = {tenant, std::string(one.client_id)};
    target.route = one.route;
    target.qos = one.qos;
    target.retain = one.retain;
    target.subscription_ids.assign(one.subscription_ids.begin(), one.subscription_ids.end());
    if (one.shared == nullptr) return;
    target.shared_group = one.shared->group->group;
    target.shared_filter = one.shared->group->filter;
  });
  return targets;
}

}  // namespace

// -- what comes back
// ----------------------------------------------------------------------------------

void PostOffice::send_requests() {
  for (;;) {
    inbox::Client::Out out = inbox_.take();
    if (!out.requests.empty()) {
      send(node_.stores[static_cast<std::size_t>(StoreKind::inbox)],
           RangeRequests{std::move(out.requests)});
    }
    if (out.completions.empty()) return;
    for (const inbox::Completion& completion : out.completions) on_completion(completion);
  }
}

void PostOffice::on_replies(const RangeReplies& replies) {
  new_burst();
  if (replies.store == StoreKind::retain) {
    on_retain_replies(replies);
    return;
  }
  for (const auto& [id, reply] : replies.replies) inbox_.on_reply(id, reply);
  send_requests();
}

void PostOffice::on_completion(const inbox::Completion& completion) {
  const auto found = waits_.find(completion.token);
  SKALD_ASSERT(found != waits_.end());
  const Wait wait = std::move(found->second);
  waits_.erase(found);
  std::visit([&](const auto& one) { completed(one, completion); }, wait);
}

// -- publishes into inboxes
// -----------------------------------------------------------------------------

/// Hands a publication that waited to everyone; its acknowledgement leaves now, or when the inboxes
/// have it. `publisher` is null for wills and for sessions that are gone.
void PostOffice::hand_out(mqtt::PublicationView& publication, SessionActor* publisher,
                          InsertWait wait) {
  Session* session = publisher == nullptr ? nullptr : &publisher->session();
  const dispatch::PublishResult result = dispatch_.publish(publication, session, now_ms_);
  if (result.pending) {
    insert_into_inboxes(publication, publisher, std::move(wait));
  } else {
    settle_publish(wait,
                   result.matched ? ReasonCode::success : ReasonCode::no_matching_subscribers);
  }
}

/// The part of a publication that goes into inboxes, after Dispatch::publish.
void PostOffice::insert_into_inboxes(const mqtt::PublicationView& publication,
                                     SessionActor* publisher, InsertWait wait) {
  inbox::Client::Manner manner;
  const bool durable = publisher != nullptr && publisher->session().persistent();
  // What was accepted comes again from a client that came back, also when its connection had ended
  // before this was handed out.
  manner.once = wait.intent_range || wait.handed_out != 0 ||
                (durable && publication.info.qos == QoS::exactly_once);
  manner.done_below = durable ? publisher->session().lowest_open_sequence() : 0;
  wait.give_up_ms = now_ms_ + kInsertMs;
  if (publisher != nullptr && wait.lent == 0) {
    wait.lent = publication.size_bytes();
    dispatch_.back_pressure().lend(publisher->session(), wait.lent);
    publishing(publisher->session_id);
  }
  const std::uint64_t token = wait_for(wait);
  insert_deadlines_.emplace_back(wait.give_up_ms, token);
  insert_all(manner, token);
}

/// What the dispatch core has for inboxes, on behalf of `token`.
void PostOffice::insert_all(const inbox::Client::Manner& manner, std::uint64_t token) {
  for (dispatch::InboxDelivery& insert : dispatch_.take_inserts()) {
    std::vector<inbox::Insert::Target> targets = targets_of(insert);
    const bool shared = std::any_of(targets.begin(), targets.end(), [](const auto& target) {
      return !target.shared_group.empty();
    });
    if (!stored_limits_.empty()) {
      const std::size_t room = room_in_inboxes(*insert.publication, targets.size(), token);
      std::vector<inbox::Insert::Target> over(
          std::make_move_iterator(targets.begin() + static_cast<std::ptrdiff_t>(room)),
          std::make_move_iterator(targets.end()));
      targets.resize(room);
      inbox::Client::Manner without_room = manner;
      without_room.has_room = false;
      if (!over.empty()) inbox_.insert(insert.publication, without_room, std::move(over), token);
    }
    if (!targets.empty()) inbox_.insert(insert.publication, manner, std::move(targets), token);
    if (shared && token != 0) shared_inserts_[token].push_back(std::move(insert));
  }
}

void PostOffice::completed(const InsertWait& wait, const inbox::Completion& completion) {
  release_space(completion.token);
  for (const inbox::Completion::Failure& failure : completion.failures) {
    if (failure.result == inbox::Result::no_inbox) ++counters_.stale_routes;
    if (failure.result == inbox::Result::full) {
      ++figures_[intern_tenant(failure.target.name.tenant)].dropped_inbox_full;
    }
  }
  const auto shared = shared_inserts_.find(completion.token);
  if (shared != shared_inserts_.end()) {
    const std::vector<dispatch::InboxDelivery> inserts = std::move(shared->second);
    shared_inserts_.erase(shared);
    if (redispatch(inserts, completion.failures, wait)) return;
  }
  settle_publish(wait, ReasonCode::success);
}

/// What the chosen members of shared groups could not take goes to others. True when who waited for
/// the former now waits for these.
bool PostOffice::redispatch(const std::vector<dispatch::InboxDelivery>& inserts,
                            const std::vector<inbox::Completion::Failure>& failures,
                            const InsertWait& wait) {
  bool pending = false;
  for (const inbox::Completion::Failure& failure : failures) {
    if (failure.target.shared_group.empty()) continue;
    for (const dispatch::InboxDelivery& insert : inserts) {
      insert.for_each([&](const dispatch::InboxTarget& target) {
        if (target.shared == nullptr || target.client_id != failure.target.name.client_id ||
            target.shared->group->group != failure.target.shared_group ||
            target.shared->group->filter != failure.target.shared_filter) {
          return;
        }
        pending |= dispatch_.redispatch(insert.publication, *target.shared, now_ms_).pending;
      });
    }
  }
  if (!pending) return false;
  const std::uint64_t token = wait_for(wait);
  insert_deadlines_.emplace_back(wait.give_up_ms, token);
  insert_all({}, token);
  return true;
}

/// All receivers have it, or it was refused.
void PostOffice::settle_publish(const InsertWait& wait, ReasonCode reason) {
  if (wait.intent_range) {
    send(node_.stores[static_cast<std::size_t>(StoreKind::inbox)],
         IntentsDone{wait.intent_range, {wait.intent}});
    return;
  }
  published(wait);
  Session* session = dispatch_.find(wait.session);
  if (session == nullptr) return;
  auto* actor = static_cast<SessionActor*>(session->shell);
  if (wait.lent > 0) dispatch_.back_pressure().give_back(*session, wait.lent);
  if (codec::is_error(reason) && !session->is_v5()) {
    actor->close(reason, session::End::quota);  // 3.x has no other way to hear of it
    return;
  }
  if (wait.handed_out != 0 && codec::is_error(reason)) {
    // Refused after it was accepted: the inbox forgets it first.
    inbox_.submit(name_of(*session),
                  inbox::Release{name_of(*session), actor->incarnation, wait.handed_out},
                  wait_for(ReleaseWait{wait.session, wait.handed_out, wait.ticket, reason}));
    return;
  }
  if (wait.handed_out != 0) {
    actor->durable->handed_out.push_back({wait.handed_out, wait.sequence});
    be_lazy(*actor);
  }
  if (wait.ticket) session->acknowledge_deferred(*wait.ticket, reason);
  settle_pressed(*session);
  dispatch_.mark_dirty(*session);
}

/// A full disk takes nothing that must be stored before it is handed to anyone. What makes room is
/// taken: a retained message that is cleared.
bool PostOffice::is_refused_by_disk(const SessionActor& from) const {
  if (!node_.disk_full) return false;
  const mqtt::PublicationView& publication = workspace_.publication;
  if (publication.info.retain && !publication.payload.empty()) return true;
  const Session& session = from.session();
  return session.persistent() && publication.info.qos == QoS::exactly_once &&
         !session.accepted_before();
}

/// At once, and before anything is promised: the client may try again.
void PostOffice::refuse_by_disk(SessionActor& from) {
  ++counters_.refused_disk_full;
  InsertWait wait{.session = from.session_id};
  if (workspace_.publication.info.qos != QoS::at_most_once) {
    wait.ticket = from.session().defer_acknowledge();
  }
  publishing(from.session_id);
  settle_publish(wait, ReasonCode::quota_exceeded);
}

/// No inbox may keep a publisher waiting for ever: it is refused, and may try again.
void PostOffice::give_up_waiting() {
  while (!insert_deadlines_.empty() && insert_deadlines_.front().first <= now_ms_) {
    const std::uint64_t token = insert_deadlines_.front().second;
    insert_deadlines_.pop_front();
    const auto found = waits_.find(token);
    if (found == waits_.end()) continue;
    auto& wait = std::get<InsertWait>(found->second);
    if (wait.intent_range || wait.handed_out != 0) continue;  // nothing else can be said of it
    const InsertWait given_up = wait;
    wait = {};  // the token may still come back
    settle_publish(given_up, ReasonCode::quota_exceeded);
  }
}

// -- inbound QoS 2 of persistent sessions
// ------------------------------------------------------------------

void PostOffice::completed(const AcceptWait& wait, const inbox::Completion& completion) {
  const bool ok = completion.result.result == inbox::Result::done;
  release_held(retain_hold_.accepted(wait.session, wait.number, ok));
}

void PostOffice::completed(const ReleaseWait& wait, const inbox::Completion& completion) {
  Session* session = dispatch_.find(wait.session);
  if (session == nullptr || completion.result.result != inbox::Result::done) return;
  if (wait.ticket) {
    session->acknowledge_deferred(*wait.ticket, wait.reason);
  } else {
    session->released(wait.packet_id);
  }
  dispatch_.mark_dirty(*session);
}

void PostOffice::completed(const ReceivedWait& wait, const inbox::Completion& completion) {
  Session* session = dispatch_.find(wait.session);
  if (session == nullptr || completion.result.result != inbox::Result::done) return;
  session->received_committed(wait.seq);
  dispatch_.mark_dirty(*session);
}

/// What the client has acknowledged since: some of it its inbox must know before we answer.
void PostOffice::collect(SessionActor& actor) {
  Session& session = actor.session();
  if (session.has_finished()) {
    for (const inbox::Seq seq : session.take_finished()) actor.durable->finished.push_back(seq);
    if (actor.durable->finished.size() >= kFinishAt) {
      send_lazy(actor);
    } else {
      be_lazy(actor);
    }
  }
  if (session.has_uncommitted()) {
    const inbox::Name name = name_of(session);
    for (const inbox::Seq seq : session.take_received()) {
      inbox_.submit(name, inbox::Received{name, actor.incarnation, seq},
                    wait_for(ReceivedWait{actor.session_id, seq}));
    }
    for (const std::uint16_t packet_id : session.take_releases()) {
      std::erase_if(actor.durable->handed_out,
                    [packet_id](const auto& one) { return one.first == packet_id; });
      inbox_.submit(name, inbox::Release{name, actor.incarnation, packet_id},
                    wait_for(ReleaseWait{actor.session_id, packet_id}));
    }
  }
  if (session.state() != Session::State::connected) return;
  if (const auto fetch = session.take_fetch(now_ms_)) {
    send(node_.stores[static_cast<std::size_t>(StoreKind::inbox)],
         FetchMessages{name_of(session), actor.session_id, fetch->from, fetch->max_messages,
                       fetch->max_bytes});
  } else if (session.is_behind_in_queue() && !actor.behind) {
    actor.behind = true;  // a slow client gets its next read from the tick
    behind_.push_back(&actor);
  }
}

void PostOffice::be_lazy(SessionActor& actor) {
  if (actor.lazy) return;
  actor.lazy = true;
  lazy_.push_back(&actor);
}

/// Nobody waits for these.
void PostOffice::send_lazy(SessionActor& actor) {
  SessionActor::Durable& durable = *actor.durable;
  const inbox::Name name = name_of(actor.session());
  if (!durable.finished.empty()) {
    inbox_.submit(name, inbox::Finish{name, actor.incarnation, std::exchange(durable.finished, {})},
                  0);
  }
  for (const auto& [packet_id, sequence] : std::exchange(durable.handed_out, {})) {
    inbox_.submit(name, inbox::HandedOut{name, actor.incarnation, packet_id, sequence}, 0);
  }
}

// -- deliveries
// -----------------------------------------------------------------------------------------

void PostOffice::on_parcel(const LoopParcel& parcel) {
  new_burst();
  for (const inbox::Deliver& delivery : parcel.deliveries) deliver(delivery);
  for (const UnloggedDelivery& delivery : parcel.unlogged) deliver(delivery);
  for (const inbox::Evict& one : parcel.evictions) evict(one);
  for (const auto& [range, will] : parcel.wills) publish_will(range, will);
}

void PostOffice::deliver(const inbox::Deliver& delivery) {
  Session* session = dispatch_.find(delivery.owner.session);
  if (session == nullptr || !session->persistent()) return;
  auto* actor = static_cast<SessionActor*>(session->shell);
  if (actor->incarnation != delivery.incarnation) return;
  mqtt::PublicationView publication = mqtt::PublicationView::of(delivery.publication);
  stored_forms_.reset(publication, now_ms_);
  session->deliver_stored(stored_forms_,
                          {.granted = delivery.qos,
                           .retain = delivery.retain,
                           .subscription_ids = delivery.subscription_ids},
                          delivery.seq);
  collect(*actor);
  dispatch_.mark_dirty(*session);
}

/// QoS 0 to a persistent session: not kept, not counted on.
void PostOffice::deliver(const UnloggedDelivery& delivery) {
  Session* session = dispatch_.find(delivery.owner.session);
  if (session == nullptr) return;
  mqtt::PublicationView publication = mqtt::PublicationView::of(delivery.publication);
  stored_forms_.reset(publication, now_ms_);
  session->deliver(stored_forms_, {.granted = QoS::at_most_once,
                                   .retain = delivery.retain,
                                   .subscription_ids = delivery.subscription_ids});
  dispatch_.mark_dirty(*session);
}

void PostOffice::deliver_unlogged() {
  PassOn pass;
  for (const dispatch::InboxDelivery& delivery : dispatch_.take_unlogged()) {
    for (inbox::Insert::Target& target : targets_of(delivery)) {
      pass.items.push_back({delivery.publication, std::move(target)});
    }
  }
  send(node_.stores[static_cast<std::size_t>(StoreKind::inbox)], std::move(pass));
}

void PostOffice::on_fetched(const MessagesFetched& fetched) {
  new_burst();
  Session* session = dispatch_.find(fetched.session);
  if (session == nullptr || !session->persistent()) return;
  for (const inbox::Message& message : fetched.messages) {
    mqtt::PublicationView publication = mqtt::PublicationView::of(message.publication);
    stored_forms_.reset(publication, now_ms_);
    const session::Stored stored =
        session->deliver_fetched(stored_forms_,
                                 {.granted = message.qos,
                                  .retain = message.retain,
                                  .subscription_ids = message.subscription_ids},
                                 message.seq);
    if (stored == session::Stored::no_room) break;
  }
  session->fetch_done(fetched.failed ? 0 : fetched.next);
  dispatch_.mark_dirty(*session);
  collect(*static_cast<SessionActor*>(session->shell));
}

// -- wills
// ------------------------------------------------------------------------------------------------

/// A will is due. It is published like any message, by its session's name; rights are judged again.
void PostOffice::publish_will(RangeId range, const inbox::PublishWill& will) {
  const InsertWait wait{
      .session = kWillSession | ++last_will_, .intent_range = range, .intent = will.intent};
  const auth::Identity identity{std::string(will.publication->tenant()), will.user};
  if (!authority_.may_publish_later(identity, will.name.client_id, will.publication->topic())) {
    note_done(EventKind::will_dist_error, identity.tenant, will.publication->topic());
    settle_publish(wait, ReasonCode::not_authorized);
    return;
  }
  note_done(EventKind::will_disted, identity.tenant, will.publication->topic());
  if (will.publication->info().retain) {
    wills_[wait.session] = wait;
    retain_hold_.hold(wait.session, will.publication, {});
    return;
  }
  mqtt::PublicationView publication = mqtt::PublicationView::of(will.publication);
  hand_out(publication, nullptr, wait);
  if (dispatch_.has_batches()) send_batches(nullptr);
}

}  // namespace skald::actors
