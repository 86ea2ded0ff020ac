// A session and its inbox: attach before CONNACK, takeover, what it resumes from, detach.
//
// The inbox range is the directory (design.md section 5): an attach takes effect at once and fences
// whoever had the session; CONNACK waits until that connection is closed, at most kEvictMs.
#include <caf/send.hpp>
#include <utility>

#include "actors/connection_log.h"
#include "actors/monitor/sys_topics.h"
#include "actors/post_office.h"
#include "actors/session_actor.h"
#include "config/base/assert.h"
#include "mqtt/inbox/keys.h"
#include "mqtt/topic/topic.h"

namespace skald::actors {

using codec::ReasonCode;
using config::TenantKey;
using session::End;
using session::Session;

namespace {

constexpr std::uint64_t kEvictMs = 2000;
/// How long a client may wait for a disk that refuses.
constexpr std::uint64_t kAttachMs = 5000;

}  // namespace

std::uint64_t PostOffice::wait_for(Wait wait) {
  const std::uint64_t token = ++last_wait_;
  waits_.emplace(token, std::move(wait));
  return token;
}

void PostOffice::attach_session(SessionActor& actor) {
  Session& session = actor.session();
  const std::uint64_t id = next_session_id();
  actor.session_id = id;
  std::string client_id = session.connect_packet().client_id;
  if (client_id.empty()) {
    client_id = "auto-" + std::to_string(node_.life.number.value) + "-" + std::to_string(id);
  }
  session.set_client_id(client_id);
  actor.access().rights = nullptr;  // of the id that the client has not chosen
  attaching_.emplace(id, Attaching{.actor = &actor, .since_ms = now_ms_});
  submit_attach(actor);
}

void PostOffice::submit_attach(SessionActor& actor) {
  Session& session = actor.session();
  const std::string& tenant = actor.identity()->tenant;
  inbox::Attach attach;
  attach.name = {tenant, session.client_id()};
  attach.owner = {node_.life, actor.session_id};
  attach.user = actor.identity()->user;
  attach.take_from_others = foreign_session_ == config::ForeignSession::replace;
  attach.clean_start = session.clean_start();
  attach.expiry_s = session.wished_expiry_s(session.limits());
  attach.will = session.will(tenant);
  const session::Limits& limits = session.limits();
  attach.quota.max_messages = limits.max_queued_messages;
  attach.quota.max_bytes = limits.max_queued_bytes;
  attach.quota.max_subscriptions = limits.max_subscriptions;
  AttachWait wait{.session = actor.session_id, .name = attach.name};
  if (attach.expiry_s > 0) {  // it may turn out to be there already, and need no room
    wait.reserved = node_.usage.reserve(tenant, TenantKey::total_persistent_sessions);
    attach.may_begin = wait.reserved;
  }
  const inbox::Name name = attach.name;
  inbox_.submit(name, std::move(attach), wait_for(std::move(wait)));
}

void PostOffice::completed(const AttachWait& wait, const inbox::Completion& completion) {
  const inbox::OperationResult& result = completion.result;
  if (wait.reserved) {
    node_.usage.release(wait.name.tenant, TenantKey::total_persistent_sessions);
  }
  const auto found = attaching_.find(wait.session);
  if (found == attaching_.end()) {  // gone since
    if (result.result != inbox::Result::done) return;
    inbox_.submit(wait.name,
                  inbox::Detach{.name = wait.name,
                                .incarnation = result.incarnation,
                                .why = inbox::Detach::Why::clean,
                                .expiry_s = std::nullopt},
                  0);
    return;
  }
  SessionActor& actor = *found->second.actor;
  if (result.result == inbox::Result::over_total) {
    if (!node_.usage.exhausted(wait.name.tenant, TenantKey::total_persistent_sessions)) {
      submit_attach(actor);  // the room was only reserved, by others that may not need it
    } else {
      note_refusal(EventKind::out_of_tenant_resource, wait.name.tenant, actor,
                   "persistent sessions");
      actor.refuse(ReasonCode::quota_exceeded, End::quota);
    }
    return;
  }
  if (result.result != inbox::Result::done) {
    const bool foreign = result.result == inbox::Result::foreign;
    actor.refuse(foreign ? ReasonCode::not_authorized : ReasonCode::server_unavailable,
                 foreign ? End::not_authorized : End::server_busy);
    return;
  }
  actor.attached = true;
  actor.incarnation = result.incarnation;
  found->second.result = result;
  if (result.previous && result.previous->life == node_.life) {
    found->second.evicting = true;
    evicting_.emplace_back(now_ms_ + kEvictMs, wait.session);
  } else {
    proceed(wait.session);
  }
}

/// The id is this connection's alone: CONNACK, once it is known what is resumed.
void PostOffice::proceed(std::uint64_t session) {
  const auto found = attaching_.find(session);
  if (found == attaching_.end()) return;
  found->second.evicting = false;
  SessionActor& actor = *found->second.actor;
  if (found->second.result.session_present) {
    send(node_.stores[static_cast<std::size_t>(StoreKind::inbox)],
         SessionStateWanted{
             {actor.identity()->tenant, actor.session().client_id()}, session, actor.incarnation});
    return;
  }
  const Attaching attaching = found->second;
  attaching_.erase(found);
  accept_new(attaching);
}

void PostOffice::accept_new(Attaching attaching) {
  SessionActor& actor = *attaching.actor;
  if (actor.session().state() != Session::State::connecting) return;
  if (actor.session().wished_expiry_s(actor.session().limits()) == 0) {
    actor.granted(nullptr);
    return;
  }
  inbox::SessionState fresh;
  fresh.incarnation = attaching.result.incarnation;
  fresh.birth = attaching.result.birth;
  fresh.head = 1;
  actor.granted(&fresh);
}

void PostOffice::on_state(const SessionStateFound& found) {
  now_ms_ = node_.clock.now_ms();
  const auto attaching = attaching_.find(found.session);
  if (attaching == attaching_.end()) return;
  SessionActor* actor = attaching->second.actor;
  if (!found.state) {  // fenced since, or the range has moved: the client will try again
    actor->overtaken();
    return;
  }
  attaching_.erase(attaching);
  actor->granted(&*found.state);
}

void PostOffice::accept_session(SessionActor& actor, const inbox::SessionState* state) {
  Session& session = actor.session();
  const bool clean = session.clean_start();
  const std::string_view tenant = intern_tenant(actor.identity()->tenant);
  const std::string& prefix = node_.options.mqtt.response_information;
  const std::string response = prefix.empty() ? "" : prefix + session.client_id();
  Session::Identity identity{.tenant = tenant,
                             .publisher = {.life = node_.life, .session = actor.session_id},
                             .response_information = response};
  count_in(session, tenant);
  if (state == nullptr) {
    session.accept(identity, now_ms_);
  } else {
    const bool present = state->birth != state->incarnation;
    identity.publisher = mqtt::persistent_publisher(tenant, session.client_id(), state->birth);
    const session::Resume resume = session::Resume::of(*state, present);
    session.accept(identity, now_ms_, &resume);
    actor.durable = std::make_unique<SessionActor::Durable>();
    actor.durable->subscriptions.insert(state->subscriptions.begin(), state->subscriptions.end());
  }
  session.set_restricted(authority_.is_restricted(actor.access(), session.client_id()));
  dispatch_.add(session, actor.session_id);
  log_accepted(events_, now_ms_, actor.accepted(), session, actor.identity()->user, clean);
  if (state == nullptr) return;
  for (const auto& [filter, subscription] : state->subscriptions) {
    announce_member(actor, filter, true);
    if (is_sys(filter)) join_sys(session, filter, subscription, false);
  }
  resume_feeds(actor);
  collect(actor);
}

dist::GroupReceiver PostOffice::member_route(const SessionActor& actor, std::string group,
                                             const inbox::Subscription& subscription,
                                             bool online) const {
  dist::InboxMember member;
  member.inbox = {.inbox = actor.session().client_id(),
                  .incarnation = subscription.incarnation,
                  .qos = subscription.options.qos,
                  .retain_as_published = subscription.options.retain_as_published,
                  .no_local = false,
                  .subscription_id = subscription.id};
  if (online) member.owner = node_.life;
  member.attached = actor.incarnation;
  return {std::move(group), std::move(member)};
}

/// A persistent member of a shared group has a connection here from now on, or no longer: members
/// with one come first.
void PostOffice::announce_member(SessionActor& actor, const std::string& filter, bool online) {
  const topic::Filter parsed = topic::parse_filter(filter, {});
  if (!parsed.shared()) return;
  const auto found = actor.durable->subscriptions.find(filter);
  if (found == actor.durable->subscriptions.end()) return;
  wish({.kind = RouteWish::Kind::add,
        .tenant = actor.session().tenant(),
        .filter = std::string(parsed.filter),
        .token = 0,
        .receiver = member_route(actor, std::string(parsed.group), found->second, online)});
}

/// Whoever has to go for a newer connection goes, and that is told: once its inbox has all that it
/// did, or the newer one would go on from less [MQTT-4.3.3-10].
void PostOffice::evict(const inbox::Evict& evict) {
  const std::uint64_t id = evict.owner.session;
  SessionActor* actor = nullptr;
  if (Session* session = dispatch_.find(id)) {
    actor = static_cast<SessionActor*>(session->shell);
  } else if (const auto found = attaching_.find(id); found != attaching_.end()) {
    actor = found->second.actor;
  }
  if (actor == nullptr) {
    if (const auto leaving = leaving_.find(id); leaving != leaving_.end()) {
      leaving->second.evicted_for = evict.to;
    } else if (const auto detaching = detaching_.find(id); detaching != detaching_.end()) {
      std::get<DetachWait>(waits_.at(detaching->second)).evicted_for = evict.to;
    } else {
      tell_evicted(evict.to);
    }
    return;
  }
  evicted_for_[id] = evict.to;
  if (actor->session().state() == Session::State::connected) {
    actor->close(ReasonCode::session_taken_over, End::taken_over);  // [MQTT-3.1.4-3]
  } else {
    actor->overtaken();
  }
}

void PostOffice::tell_evicted(const inbox::Owner& owner) {
  if (owner.life != node_.life) return;  // that node waits for its time
  enter();
  caf::anon_send(node_.post_offices[owner.session & 0xFF], Evicted{owner});
}

void PostOffice::on_evicted(const Evicted& evicted) {
  now_ms_ = node_.clock.now_ms();
  previous_gone(evicted.owner.session);
}

/// `session` need not wait for who had its place. One that has itself been overtaken, or has ended,
/// leaves only now: who comes after it must wait for both.
void PostOffice::previous_gone(std::uint64_t session) {
  const auto found = attaching_.find(session);
  if (found == attaching_.end()) {
    const auto leaving = leaving_.find(session);
    const bool awaits =
        leaving != leaving_.end() && std::exchange(leaving->second.awaits_previous, false);
    if (awaits) published({.session = session});
  } else if (found->second.evicting) {
    proceed(session);
  }
}

/// Nothing can be committed: who waits for its inbox is told to come later. One that is attached
/// after all is detached again.
void PostOffice::refuse_attaching() {
  std::vector<SessionActor*> refused;
  for (const auto& [id, attaching] : attaching_) {
    if (attaching.since_ms + kAttachMs <= now_ms_) refused.push_back(attaching.actor);
  }
  for (SessionActor* actor : refused) {
    actor->refuse(ReasonCode::server_unavailable, End::server_busy);
  }
}

/// Those that would not go in time are fenced: nothing of theirs counts any more.
void PostOffice::stop_evicting() {
  while (!evicting_.empty() && evicting_.front().first <= now_ms_) {
    const std::uint64_t session = evicting_.front().second;
    evicting_.pop_front();
    previous_gone(session);
  }
}

/// The connection is over: its inbox decides what follows from that.
void PostOffice::detach_session(SessionActor& actor) {
  Leaving leaving;
  const auto attaching = attaching_.find(actor.session_id);
  const bool accepted = attaching == attaching_.end();
  if (!accepted) {
    leaving.awaits_previous = attaching->second.evicting;
    attaching_.erase(attaching);
    if (leaving.awaits_previous) publishing(actor.session_id);
  }
  if (const auto evicted = evicted_for_.find(actor.session_id); evicted != evicted_for_.end()) {
    leaving.evicted_for = evicted->second;
    evicted_for_.erase(evicted);
  }
  if (!actor.attached) {
    if (leaving.evicted_for) tell_evicted(*leaving.evicted_for);
    return;
  }
  actor.attached = false;
  Session& session = actor.session();
  inbox::Detach detach;
  detach.name = {actor.identity()->tenant, session.client_id()};
  detach.incarnation = actor.incarnation;
  if (session.ended_clean() || !accepted) {
    detach.why = inbox::Detach::Why::clean;
  } else if (stopping_) {
    detach.why = inbox::Detach::Why::drain;
  }
  if (session.persistent()) {
    collect(actor);
    send_lazy(actor);
    detach.expiry_s = session.changed_expiry_s();
    detach.sent_up_to = session.sent_up_to();
    for (const auto& [filter, subscription] : actor.durable->subscriptions) {
      announce_member(actor, filter, false);
    }
  }
  leaving.detach = std::move(detach);
  if (publishing_.contains(actor.session_id)) {
    leaving_.emplace(actor.session_id, std::move(leaving));
  } else {
    leave(actor.session_id, std::move(leaving));
  }
}

/// What the session has published is with its receivers: now its will may follow, and whoever waits
/// for its place be told, once its inbox has heard of it.
void PostOffice::leave(std::uint64_t session, Leaving leaving) {
  const inbox::Name name = leaving.detach.name;
  const std::uint64_t token = wait_for(DetachWait{session, leaving.evicted_for});
  detaching_.emplace(session, token);
  inbox_.submit(name, std::move(leaving.detach), token);
}

void PostOffice::completed(const DetachWait& wait, const inbox::Completion&) {
  detaching_.erase(wait.session);
  if (wait.evicted_for) tell_evicted(*wait.evicted_for);
}

/// One more publish of the session is on its way, or one less.
void PostOffice::publishing(std::uint64_t session) { ++publishing_[session]; }

void PostOffice::published(const InsertWait& wait) {
  const auto found = publishing_.find(wait.session);
  if (found == publishing_.end()) return;
  const auto leaving = leaving_.find(wait.session);
  if (leaving != leaving_.end() && wait.handed_out != 0) {
    const inbox::Detach& detach = leaving->second.detach;
    inbox_.submit(detach.name,
                  inbox::HandedOut{detach.name, detach.incarnation, wait.handed_out, wait.sequence},
                  0);
  }
  if (--found->second > 0) return;
  publishing_.erase(found);
  if (leaving == leaving_.end()) return;
  Leaving now = std::move(leaving->second);
  leaving_.erase(leaving);
  leave(wait.session, std::move(now));
}

}  // namespace skald::actors
