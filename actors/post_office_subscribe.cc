// SUBSCRIBE and UNSUBSCRIBE: what the session gets, what the node is told, when the ack may leave.
//
// SUBACK waits until the route of every filter is visible to every loop and node that may publish
// (design.md section 4); then no publish misses the subscriber.
#include "actors/monitor/sys_topics.h"
#include "actors/post_office.h"
#include "actors/session_actor.h"
#include "mqtt/inbox/session.h"
#include "mqtt/topic/topic.h"

namespace skald::actors {

using codec::ReasonCode;
using config::TenantKey;
using session::Session;

namespace {

/// The key of a (tenant, filter) in adding_.
std::string key_of(std::string_view tenant, std::string_view filter) {
  std::string key(tenant);
  key.push_back('\0');
  key.append(filter);
  return key;
}

topic::Limits topic_limits(const session::Limits& limits) {
  return {.max_bytes = limits.max_topic_bytes, .max_levels = limits.max_topic_levels};
}

bool has_wildcard(std::string_view filter) {
  return filter.find_first_of("+#") != std::string_view::npos;
}

/// Where a persistent session's subscription counts.
TenantKey total_of(std::string_view filter) {
  return inbox::is_shared(filter) ? TenantKey::total_shared_subscriptions
                                  : TenantKey::total_persistent_subscriptions;
}

ReasonCode granted(codec::QoS qos) { return static_cast<ReasonCode>(qos); }

ReasonCode refused(dispatch::SubscribeOutcome outcome) {
  return outcome == dispatch::SubscribeOutcome::full ? ReasonCode::quota_exceeded
                                                     : ReasonCode::implementation_specific_error;
}

}  // namespace

dist::SessionMember PostOffice::member_of(const Session& session, codec::QoS qos) {
  return {.life = node_.life,
          .session = session.number,
          .incarnation = ++last_incarnation_,
          .loop = loop().index(),
          .qos = qos};
}

void PostOffice::subscribe(SessionActor& from) {
  auto packet = std::get<codec::Subscribe>(std::move(workspace_.control));
  dispatch_.watch_live(true);
  Session& session = from.session();
  if (packet.entries.size() > session.limits().max_filters_per_subscribe) {
    session.subscribed(packet.packet_id,
                       std::vector<ReasonCode>(packet.entries.size(), ReasonCode::quota_exceeded));
    return;
  }
  const std::uint64_t key = ++last_pending_;
  PendingAck pending{.session = session.number, .packet_id = packet.packet_id};
  const auto highest = static_cast<codec::QoS>(session.limits().maximum_qos);
  for (std::size_t i = 0; i < packet.entries.size(); ++i) {
    codec::SubscriptionOptions& options = packet.entries[i].options;
    options.qos = std::min(options.qos, highest);
    pending.reasons.push_back(subscribe_one(from, packet.entries[i], packet.subscription_id,
                                            {key, static_cast<std::uint32_t>(i)}, pending));
  }
  if (pending.waiting == 0) {
    acknowledge_subscriptions(session, std::move(pending));
  } else {
    pending_.emplace(key, std::move(pending));
  }
}

/// Every route of the packet is visible, or refused: the ack, then what is retained [MQTT-3.8.4-4].
void PostOffice::acknowledge_subscriptions(Session& session, PendingAck pending) {
  if (pending.unsubscribe) {
    note_done(EventKind::unsub_acked, session.tenant(), session.client_id());
    session.unsubscribed(pending.packet_id, std::move(pending.reasons));
    return;
  }
  for (const WantsRetained& wants : pending.wants) {
    const bool sys = is_sys(wants.wanted.filter);
    if (!sys && !codec::is_error(pending.reasons[wants.entry])) start_feed(session, wants.wanted);
  }
  const std::vector<ReasonCode> reasons = pending.reasons;
  note_done(EventKind::sub_acked, session.tenant(), session.client_id());
  session.subscribed(pending.packet_id, std::move(pending.reasons));
  for (const WantsRetained& wants : pending.wants) {
    const bool sys = is_sys(wants.wanted.filter);
    if (sys && !codec::is_error(reasons[wants.entry])) feed_sys(session, wants.wanted);
  }
}

ReasonCode PostOffice::judge_filter(SessionActor& from, const topic::Filter& parsed,
                                    std::uint32_t subscription_id) {
  const Session& session = from.session();
  if (!parsed.ok()) return ReasonCode::topic_filter_invalid;
  if (parsed.shared() && !session.limits().shared_available) {
    return ReasonCode::shared_subscriptions_not_supported;
  }
  if (has_wildcard(parsed.filter) && !session.limits().wildcard_available) {
    return ReasonCode::wildcard_subscriptions_not_supported;
  }
  if (subscription_id != 0 && !session.limits().subscription_ids_available) {
    return ReasonCode::subscription_identifiers_not_supported;
  }
  if (!authority_.may(from.access(), auth::Action::subscribe, session.client_id(), parsed.filter)) {
    note_refusal(EventKind::sub_action_disallow, session.tenant(), from, parsed.filter);
    return ReasonCode::not_authorized;
  }
  // Each value goes to all who want it.
  if (parsed.shared() && is_sys(parsed.filter)) return ReasonCode::implementation_specific_error;
  return ReasonCode::success;
}

ReasonCode PostOffice::subscribe_one(SessionActor& from, const codec::Subscribe::Entry& entry,
                                     std::uint32_t subscription_id, AckEntry ack,
                                     PendingAck& pending) {
  Session& session = from.session();
  const topic::Filter parsed = topic::parse_filter(entry.filter, topic_limits(session.limits()));
  const ReasonCode judged = judge_filter(from, parsed, subscription_id);
  if (judged != ReasonCode::success) return judged;
  Session::Subscription subscription{.options = entry.options, .id = subscription_id};
  if (session.bridge()) {  // a bridge never wants its own messages back, and wants RETAIN as it was
    subscription.options.no_local = !parsed.shared();
    subscription.options.retain_as_published = true;
  }
  if (session.persistent()) {
    if (!node_.usage.spend(session.tenant(), TenantKey::total_persistent_subscribe_per_second, 1,
                           now_ms_)) {
      note_refusal(EventKind::out_of_tenant_resource, session.tenant(), from, "subscribe rate");
      return ReasonCode::quota_exceeded;
    }
    ++pending.waiting;
    submit_subscribe(from, {.session = from.session_id,
                            .ack = ack,
                            .filter = entry.filter,
                            .subscription = subscription,
                            .tenant = from.identity()->tenant});
    return granted(entry.options.qos);
  }
  bool replaced =
      session.subscriptions() != nullptr && session.subscriptions()->contains(entry.filter);
  if (!replaced && !take_subscription(session, parsed.shared())) {
    return ReasonCode::quota_exceeded;
  }
  if (!session.add_subscription(entry.filter, subscription, replaced)) {
    give_back_subscription(session, parsed.shared());
    return ReasonCode::quota_exceeded;
  }
  if (parsed.shared()) {
    ++pending.waiting;
    wish({.kind = RouteWish::Kind::add,
          .tenant = session.tenant(),
          .filter = std::string(parsed.filter),
          .token = new_token(ack, entry.filter, {}),
          .receiver =
              dist::GroupReceiver{std::string(parsed.group), member_of(session, entry.options.qos)},
          .max_members = session.limits().max_group_members});
    return granted(entry.options.qos);
  }
  const auto handling = entry.options.retain_handling;
  if (handling == codec::RetainHandling::send ||
      (handling == codec::RetainHandling::send_if_new && !replaced)) {
    pending.wants.push_back({.wanted = {.filter = std::string(parsed.filter),
                                        .qos = entry.options.qos,
                                        .subscription_id = subscription_id,
                                        .no_local = subscription.options.no_local},
                             .entry = ack.entry});
  }
  const bool first = dispatch_.subscribe(session, parsed.filter, subscription, replaced);
  if (is_sys(parsed.filter)) return granted(entry.options.qos);  // no route leads there
  const std::string key = key_of(session.tenant(), parsed.filter);
  const auto adding = adding_.find(key);
  if (!first && adding == adding_.end()) return granted(entry.options.qos);
  ++pending.waiting;
  ++adding_[key];
  wish({.kind = RouteWish::Kind::subscribe,
        .tenant = session.tenant(),
        .filter = std::string(parsed.filter),
        .token = new_token(ack, entry.filter, key),
        .receiver = {}});
  return granted(entry.options.qos);
}

std::uint64_t PostOffice::new_token(AckEntry ack, const std::string& filter, std::string adding) {
  const std::uint64_t token = ++last_token_;
  tokens_.emplace(token, Token{.ack = ack, .filter = filter, .adding = std::move(adding)});
  return token;
}

void PostOffice::unsubscribe(SessionActor& from) {
  auto packet = std::get<codec::Unsubscribe>(std::move(workspace_.control));
  Session& session = from.session();
  const std::uint64_t key = ++last_pending_;
  PendingAck pending{.session = session.number, .packet_id = packet.packet_id, .unsubscribe = true};
  for (std::size_t i = 0; i < packet.filters.size(); ++i) {
    const std::string& filter = packet.filters[i];
    const topic::Filter parsed = topic::parse_filter(filter, topic_limits(session.limits()));
    if (!parsed.ok()) {
      pending.reasons.push_back(ReasonCode::topic_filter_invalid);
      continue;
    }
    if (session.persistent()) {
      pending.reasons.push_back(
          unsubscribe_inbox(from, filter, parsed, {key, static_cast<std::uint32_t>(i)}, pending));
      continue;
    }
    if (session.subscriptions() == nullptr || !session.subscriptions()->contains(filter)) {
      pending.reasons.push_back(ReasonCode::no_subscription_existed);
      continue;
    }
    pending.reasons.push_back(ReasonCode::success);
    if (parsed.shared()) {
      ++pending.waiting;  // nothing may come after UNSUBACK: other loops must know first
      leave_group(session, parsed, new_token({key, static_cast<std::uint32_t>(i)}, filter, {}));
      if (session.remove_subscription(filter)) give_back_subscription(session, true);
    } else {
      drop_subscription(session, filter);
    }
  }
  if (pending.waiting == 0) {
    acknowledge_subscriptions(session, std::move(pending));
  } else {
    pending_.emplace(key, std::move(pending));
  }
}

void PostOffice::leave_group(const Session& session, const topic::Filter& parsed,
                             std::uint64_t token) {
  wish({.kind = RouteWish::Kind::remove,
        .tenant = session.tenant(),
        .filter = std::string(parsed.filter),
        .token = token,
        .receiver = dist::GroupReceiver{std::string(parsed.group),
                                        member_of(session, codec::QoS::at_most_once)}});
}

/// The session does without `filter` from now on; nobody waits for what follows from that.
void PostOffice::drop_subscription(Session& session, const std::string& filter) {
  const topic::Filter parsed = topic::parse_filter(filter, topic_limits(session.limits()));
  if (parsed.shared()) {
    leave_group(session, parsed, 0);
  } else {
    if (dispatch_.unsubscribe(session, parsed.filter) && !is_sys(parsed.filter)) {
      wish({.kind = RouteWish::Kind::unsubscribe,
            .tenant = session.tenant(),
            .filter = std::string(parsed.filter),
            .token = 0,
            .receiver = {}});
    }
    const auto owed = feeds_.find(session.number);
    if (owed != feeds_.end()) owed->second.feed.cancel(parsed.filter);
  }
  if (session.remove_subscription(filter)) give_back_subscription(session, parsed.shared());
}

void PostOffice::on_answers(const RouteAnswers& answers) {
  new_burst();
  for (const RouteAnswer& answer : answers.answers) {
    const auto token = tokens_.find(answer.token);
    if (token == tokens_.end()) continue;
    const Token done = std::move(token->second);
    tokens_.erase(token);
    if (!done.adding.empty()) {
      const auto adding = adding_.find(done.adding);
      if (--adding->second == 0) adding_.erase(adding);
    }
    if (done.inbox && finish_in_inbox(done, answer.outcome)) continue;
    answer_entry(done, answer.outcome);
  }
}

/// One filter of a SUBSCRIBE or UNSUBSCRIBE is settled; the last one lets the ack go.
void PostOffice::answer_entry(const Token& done, dispatch::SubscribeOutcome outcome) {
  const auto found = pending_.find(done.ack.pending);
  PendingAck& pending = found->second;
  Session* session = dispatch_.find(pending.session);
  const bool failed =
      outcome == dispatch::SubscribeOutcome::failed || outcome == dispatch::SubscribeOutcome::full;
  if (failed) {
    pending.reasons[done.ack.entry] = refused(outcome);
    const bool there = session != nullptr && session->subscriptions() != nullptr &&
                       session->subscriptions()->contains(done.filter);
    if (there && !pending.unsubscribe) drop_subscription(*session, done.filter);
    if (session != nullptr && session->persistent() && !pending.unsubscribe) {
      static_cast<SessionActor*>(session->shell)->durable->subscriptions.erase(done.filter);
    }
  }
  if (--pending.waiting > 0) return;
  PendingAck complete = std::move(pending);
  pending_.erase(found);
  if (session == nullptr) return;
  acknowledge_subscriptions(*session, std::move(complete));
  dispatch_.mark_dirty(*session);
}

// -- persistent sessions: their inbox has the subscription, dist its route
// ------------------------------

dist::Receiver PostOffice::route_of(const SessionActor& actor, const topic::Filter& parsed,
                                    const inbox::Subscription& subscription) const {
  dist::GroupReceiver member = member_route(actor, std::string(parsed.group), subscription, true);
  if (parsed.shared()) return member;
  dist::InboxReceiver receiver = std::get<dist::InboxMember>(member.member).inbox;
  receiver.no_local = subscription.options.no_local;
  return receiver;
}

void PostOffice::submit_subscribe(SessionActor& actor, SubscribeWait wait) {
  inbox::Subscribe subscribe{.name = {wait.tenant, actor.session().client_id()},
                             .incarnation = actor.incarnation,
                             .filter = wait.filter,
                             .options = wait.subscription.options,
                             .id = wait.subscription.id};
  // It may turn out to replace one, and need no room.
  wait.reserved = node_.usage.reserve(wait.tenant, total_of(wait.filter));
  subscribe.may_add = wait.reserved;
  const inbox::Name name = subscribe.name;
  inbox_.submit(name, std::move(subscribe), wait_for(std::move(wait)));
}

/// Refused by the tenant's total: again, when the room was only reserved by others that may not
/// need it.
bool PostOffice::try_again(const SubscribeWait& wait) {
  Session* session = dispatch_.find(wait.session);
  if (session == nullptr) return false;
  auto& actor = *static_cast<SessionActor*>(session->shell);
  if (node_.usage.exhausted(wait.tenant, total_of(wait.filter))) {
    note_refusal(EventKind::out_of_tenant_resource, wait.tenant, actor, "subscriptions");
    return false;
  }
  submit_subscribe(actor, wait);
  return true;
}

/// The inbox has the subscription; now its route.
void PostOffice::completed(const SubscribeWait& wait, const inbox::Completion& completion) {
  if (wait.reserved) node_.usage.release(wait.tenant, total_of(wait.filter));
  if (completion.result.result == inbox::Result::over_total && try_again(wait)) return;
  Session* session = dispatch_.find(wait.session);
  const inbox::OperationResult& result = completion.result;
  const Token token{.ack = wait.ack, .filter = wait.filter, .adding = {}, .inbox = true};
  if (result.result != inbox::Result::done || session == nullptr) {
    const bool full =
        result.result == inbox::Result::full || result.result == inbox::Result::over_total;
    answer_entry(token,
                 full ? dispatch::SubscribeOutcome::full : dispatch::SubscribeOutcome::failed);
    return;
  }
  auto& actor = *static_cast<SessionActor*>(session->shell);
  const inbox::Subscription subscription{wait.subscription.options, wait.subscription.id,
                                         result.incarnation};
  const bool had = actor.durable->subscriptions.contains(wait.filter);
  actor.durable->subscriptions[wait.filter] = subscription;
  const topic::Filter parsed = topic::parse_filter(wait.filter, topic_limits(workspace_.limits));
  const auto handling = wait.subscription.options.retain_handling;
  if (!parsed.shared() && (handling == codec::RetainHandling::send ||
                           (handling == codec::RetainHandling::send_if_new && !result.replaced))) {
    pending_.at(wait.ack.pending)
        .wants.push_back({.wanted = {.filter = std::string(parsed.filter),
                                     .qos = wait.subscription.options.qos,
                                     .subscription_id = wait.subscription.id,
                                     .no_local = wait.subscription.options.no_local},
                          .entry = wait.ack.entry});
  }
  if (is_sys(wait.filter)) {
    join_sys(*session, wait.filter, subscription, had);
    answer_entry(token, dispatch::SubscribeOutcome::done);
    return;
  }
  const std::uint64_t number = ++last_token_;
  tokens_.emplace(number, token);
  wish({.kind = RouteWish::Kind::add,
        .tenant = session->tenant(),
        .filter = std::string(parsed.filter),
        .token = number,
        .receiver = route_of(actor, parsed, subscription),
        .max_members = parsed.shared() ? session->limits().max_group_members : 0});
}

/// First the route goes, then the subscription: so no route is left behind.
ReasonCode PostOffice::unsubscribe_inbox(SessionActor& from, const std::string& filter,
                                         const topic::Filter& parsed, AckEntry ack,
                                         PendingAck& pending) {
  const auto found = from.durable->subscriptions.find(filter);
  if (found == from.durable->subscriptions.end()) return ReasonCode::no_subscription_existed;
  const inbox::Subscription subscription = found->second;
  from.durable->subscriptions.erase(found);
  ++pending.waiting;
  if (is_sys(filter)) {
    dispatch_.unsubscribe(from.session(), filter);
    const inbox::Name name{from.identity()->tenant, from.session().client_id()};
    inbox_.submit(name, inbox::Unsubscribe{name, from.incarnation, filter},
                  wait_for(UnsubscribeWait{ack, filter}));
    return ReasonCode::success;
  }
  const std::uint64_t number = ++last_token_;
  tokens_.emplace(number, Token{.ack = ack, .filter = filter, .adding = {}, .inbox = true});
  wish({.kind = RouteWish::Kind::remove,
        .tenant = from.session().tenant(),
        .filter = std::string(parsed.filter),
        .token = number,
        .receiver = route_of(from, parsed, subscription)});
  const auto owed = feeds_.find(from.session_id);
  if (owed != feeds_.end() && !parsed.shared()) owed->second.feed.cancel(parsed.filter);
  return ReasonCode::success;
}

/// True when the answer has to wait for the inbox.
bool PostOffice::finish_in_inbox(const Token& done, dispatch::SubscribeOutcome outcome) {
  const PendingAck& pending = pending_.at(done.ack.pending);
  Session* session = dispatch_.find(pending.session);
  const bool failed = outcome != dispatch::SubscribeOutcome::done;
  if (session == nullptr || pending.unsubscribe == failed) return false;
  // A removal that was carried out, or an add that was not: the inbox must not have it either.
  auto& actor = *static_cast<SessionActor*>(session->shell);
  inbox::Unsubscribe unsubscribe{
      {actor.identity()->tenant, session->client_id()}, actor.incarnation, done.filter};
  const inbox::Name name = unsubscribe.name;
  const std::uint64_t token = failed ? 0 : wait_for(UnsubscribeWait{done.ack, done.filter});
  inbox_.submit(name, std::move(unsubscribe), token);
  return token != 0;
}

void PostOffice::completed(const UnsubscribeWait& wait, const inbox::Completion& completion) {
  const bool gone = completion.result.result == inbox::Result::done ||
                    completion.result.result == inbox::Result::absent;
  answer_entry({.ack = wait.ack, .filter = wait.filter, .adding = {}, .inbox = true},
               gone ? dispatch::SubscribeOutcome::done : dispatch::SubscribeOutcome::failed);
}

}  // namespace skald::actors
