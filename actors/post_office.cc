// Post office: messages, connections, rounds. Subscriptions: post_office_subscribe.cc.
#include "actors/post_office.h"

#include <caf/send.hpp>
#include <chrono>

#include "actors/connection_log.h"
#include "actors/monitor/sys_topics.h"
#include "actors/session_actor.h"
#include "config/base/assert.h"

namespace skald::actors {

using codec::ReasonCode;
using session::End;
using session::Session;

namespace {

/// A tick that comes later than this was not delayed by work but by the process standing still.
constexpr mqtt::TimeMs kStandstillMs = 1000;

dispatch::Dispatch::Options dispatch_options(const NodeState& node, std::uint16_t loop) {
  const config::MqttOptions& mqtt = node.options.mqtt;
  return {.loop = loop,
          .loops = static_cast<std::uint16_t>(node.connections.size()),
          .life = node.life,
          .seed = node.seed + loop,
          .back_pressure = {.slow_receiver_timeout_ms = mqtt.slow_receiver_timeout_ms,
                            .publisher_credit_bytes = mqtt.publisher_credit}};
}

}  // namespace

PostOffice::PostOffice(caf::actor_config& config, NodeState& node)
    : Pinned(config),
      node_(node),
      read_buffer_(new char[kCarryMax + kReadSize]),
      dispatch_(dispatch_options(node, loop().index()), workspace_),
      authority_(node, loop().index()),
      wheel_(node.clock.now_ms()),
      now_ms_(node.clock.now_ms()),
      last_tick_ms_(now_ms_),
      index_(loop().index()),
      inbox_({node.life, loop().index()}),
      retain_router_({node.life, loop().index()}, {}) {
  set_tenants(node.options);
  workspace_.receive_rights = &authority_;
  for (const auto& range : node.ranges[static_cast<std::size_t>(StoreKind::inbox)]) {
    inbox_.learn(range);
  }
  for (const auto& range : node.ranges[static_cast<std::size_t>(StoreKind::retain)]) {
    retain_router_.learn(range);
  }
}

caf::behavior PostOffice::make_behavior() {
  loop().set_client(this);
  tick_event_ = event_new(loop().base(), -1, EV_PERSIST, &PostOffice::on_tick, this);
  const timeval period{0, TimingWheel::kTickMs * 1000};
  SKALD_ASSERT(tick_event_ != nullptr && event_add(tick_event_, &period) == 0);
  return {[this](const AcceptedSockets& accepted) { accept(accepted); },
          [this](const RangeReplies& replies) { on_replies(replies); },
          [this](const LoopParcel& parcel) { on_parcel(parcel); },
          [this](const Evicted& evicted) { on_evicted(evicted); },
          [this](const SessionStateFound& found) { on_state(found); },
          [this](const MessagesFetched& fetched) { on_fetched(fetched); },
          [this](const RouteAnswers& answers) { on_answers(answers); },
          [this](const Handover& handover) { on_handover(handover); },
          [this](const CreditReturn& returned) { on_credits(returned); },
          [this](const CredentialVerdict& verdict) {
            now_ms_ = node_.clock.now_ms();
            authority_.on_verdict(verdict);
          },
          [this](const NewRules& rules) {
            on_rules(rules);
            return RulesTaken{};
          },
          [this](const ReportWanted& wanted) { return report(wanted); },
          [this](const SysUpdate& update) { on_sys(update); },
          [this](FeedMore) { feed_some(); },
          [this](Stop) { stop(); }};
}

void PostOffice::on_exit() {
  loop().set_client(nullptr);
  if (tick_event_ != nullptr) event_free(std::exchange(tick_event_, nullptr));
}

void PostOffice::on_tick(evutil_socket_t, short, void* self) noexcept {
  auto* office = static_cast<PostOffice*>(self);
  office->enter();
  office->tick();
}

void PostOffice::tick() {
  now_ms_ = node_.clock.now_ms();
  // After a standstill of the process what came meanwhile is read before anyone is judged silent.
  const bool late = now_ms_ - std::exchange(last_tick_ms_, now_ms_) > kStandstillMs;
  stood_still_ = late && !stood_still_;  // once: a loop that is always late must not stop time
  if (stood_still_) return;
  wheel_.advance(now_ms_, [](TimingWheel::Timer& timer) {
    static_cast<SessionTimer&>(timer).session->on_timer();
  });
  dispatch_.back_pressure().tick(now_ms_);
  dispatch_.tick(now_ms_);
  if (pending_.empty() && feeds_.empty()) dispatch_.watch_live(false);
  const std::uint64_t now_us = Clock::monotonic_us();
  inbox_.tick(now_us);
  retain_router_.tick(now_us);
  for (SessionActor* session : std::exchange(lazy_, {})) {
    session->lazy = false;
    send_lazy(*session);
  }
  for (SessionActor* session : std::exchange(behind_, {})) {
    session->behind = false;
    collect(*session);
  }
  std::erase_if(resting_, [](SessionActor* session) {
    if (session->rested()) session->resting = false;
    return !session->resting;
  });
  for (const std::uint64_t session : std::exchange(feeds_waiting_, {})) feed_ready(session);
  give_up_waiting();
  if (!evicting_.empty()) stop_evicting();
  if (node_.disk_failing) refuse_attaching();
}

// -- connections
// --------------------------------------------------------------------------------------

void PostOffice::accept(const AcceptedSockets& accepted) {
  now_ms_ = node_.clock.now_ms();
  for (const Accepted& socket : accepted.sockets) {
    const caf::actor made =
        spawn_pinned<SessionActor, caf::hidden + caf::lazy_init>(loop(), *this, socket);
    auto* session = static_cast<SessionActor*>(caf::actor_cast<caf::abstract_actor*>(made));
    session->position = static_cast<std::uint32_t>(connections_.size());
    connections_.push_back(session);
    ++counters_.connections_total;
    log_connection(socket);
    session->start();
    if (stopping_) session->close(ReasonCode::server_shutting_down, End::shutting_down);
  }
}

std::string_view PostOffice::intern_tenant(const std::string& tenant) {
  if (last_tenant_ != tenant) last_tenant_ = node_.tenants.intern(tenant);
  return last_tenant_;
}

bool PostOffice::may_publish_will(SessionActor& session, std::string_view topic) {
  const Session& core = session.session();
  const std::string_view client_id = core.state() == Session::State::connecting
                                         ? std::string_view(core.connect_packet().client_id)
                                         : std::string_view(core.client_id());
  return authority_.may(session.access(), auth::Action::publish, client_id, topic);
}

/// After a reload: who is not known any more has to go; for the others the new rules hold at once.
void PostOffice::on_rules(const NewRules& rules) {
  now_ms_ = node_.clock.now_ms();
  authority_.set_directory(rules.users);
  set_tenants(*rules.options);
  const std::vector<SessionActor*> open = connections_;
  for (SessionActor* actor : open) {
    if (!actor->identity() || actor->buried) continue;
    if (rules.users->is_stale(*actor->identity(), actor->accepted().loopback)) {
      actor->close(ReasonCode::not_authorized, End::not_authorized, "the user has changed");
      continue;
    }
    Session& session = actor->session();
    session.set_restricted(authority_.is_restricted(actor->access(), session.client_id()));
  }
}

void PostOffice::session_over(SessionActor& actor) {
  Session& session = actor.session();
  new_burst();  // its will and its unfinished shared messages go by the newest routes
  log_end(events_, now_ms_, actor.accepted(), session);
  leave_tenant(actor);
  if (dispatch_.find(actor.session_id) == &session) {
    --figures_[session.tenant()].clients;
    leave_sys(actor);
    if (session.subscriptions() != nullptr) {
      std::vector<std::string> filters;
      filters.reserve(session.subscriptions()->size());
      for (const auto& [filter, subscription] : *session.subscriptions()) filters.push_back(filter);
      for (const std::string& filter : filters) drop_subscription(session, filter);
    }
    dispatch_.remove(session);
    drop_feed(actor.session_id);
    for (const session::SharedMessage& message : session.take_unfinished_shared()) {
      dispatch_.redispatch(message, now_ms_);
    }
  }
  detach_session(actor);
  if (std::exchange(actor.lazy, false)) std::erase(lazy_, &actor);
  if (std::exchange(actor.behind, false)) std::erase(behind_, &actor);
  if (std::exchange(actor.resting, false)) std::erase(resting_, &actor);
}

void PostOffice::rest(SessionActor& session) {
  if (session.resting) return;
  session.resting = true;
  resting_.push_back(&session);
}

void PostOffice::bury(SessionActor& session) {
  if (session.buried) return;
  session.buried = true;
  buried_.push_back(&session);
}

// -- publications
// -------------------------------------------------------------------------------------

void PostOffice::new_burst() {
  now_ms_ = node_.clock.now_ms();
  if (auto routes = node_.routes.newer(routes_version_)) dispatch_.set_routes(std::move(routes));
  if (auto interest = node_.interest.newer(interest_version_)) {
    dispatch_.set_interest(std::move(interest));
  }
}

void PostOffice::publish(SessionActor& from) {
  Session& session = from.session();
  mqtt::PublicationView& publication = workspace_.publication;
  if (!authority_.may(from.access(), auth::Action::publish, session.client_id(),
                      publication.topic)) {
    note_refusal(EventKind::pub_action_disallow, session.tenant(), from, publication.topic);
    session.acknowledge(ReasonCode::not_authorized);
    return;
  }
  if (session.limits().metered && !within_rates(publication)) [[unlikely]] {
    note_refusal(EventKind::out_of_tenant_resource, session.tenant(), from, "publish rate");
    const bool told = session.is_v5() || publication.info.qos == codec::QoS::at_most_once;
    if (told) session.acknowledge(ReasonCode::quota_exceeded);
    if (!told) from.close(ReasonCode::quota_exceeded, End::quota);  // 3.x cannot hear of it
    return;
  }
  if (is_refused_by_disk(from)) return refuse_by_disk(from);
  if (must_hold(from)) {
    hold(from);
    return;
  }
  const dispatch::PublishResult result = dispatch_.publish(publication, &session, now_ms_);
  if (!result.pending) {
    session.acknowledge(result.matched ? ReasonCode::success : ReasonCode::no_matching_subscribers);
  } else if (node_.disk_full) {
    static_cast<void>(dispatch_.take_inserts());
    refuse_by_disk(from);
  } else {
    InsertWait wait{.session = from.session_id};
    if (publication.info.qos != codec::QoS::at_most_once) wait.ticket = session.defer_acknowledge();
    if (session.persistent() && publication.info.qos == codec::QoS::exactly_once) {
      wait.handed_out = workspace_.publish.packet_id;
      wait.sequence = publication.info.sequence;
    }
    insert_into_inboxes(publication, &from, std::move(wait));
  }
  publication.shared = {};
  settle_pressed(session);
}

/// Flushes the receivers that got much; the publisher waits for those that are behind even so.
void PostOffice::settle_pressed(Session& publisher) {
  if (!dispatch_.has_pressed()) return;
  const std::vector<Session*> pressed = dispatch_.take_pressed();
  for (Session* receiver : pressed) static_cast<SessionActor*>(receiver->shell)->flush();
  if (publisher.state() == Session::State::connected) {
    dispatch_.settle(publisher, pressed, now_ms_);
  }
}

void PostOffice::burst_done(SessionActor& from) {
  Session& session = from.session();
  if (dispatch_.has_batches()) send_batches(&session);
  if (session.persistent()) collect(from);
  if (!session.output().empty()) dispatch_.mark_dirty(session);
  progressed(from);
}

void PostOffice::progressed(SessionActor& session) {
  if (dispatch_.back_pressure().receivers_behind() > 0 || session.session().slow()) {
    dispatch_.back_pressure().progressed(session.session());
  }
  if (!feeds_.empty()) feed_ready(session.session_id);
  if (session.session().persistent()) collect(session);
}

void PostOffice::send_batches(Session* publisher) {
  enter();
  for (auto& [to, batch] : dispatch_.take_batches(publisher)) {
    caf::anon_send(node_.post_offices[to],
                   Handover{std::make_shared<const dispatch::LoopBatch>(std::move(batch))});
  }
}

void PostOffice::on_handover(const Handover& handover) {
  new_burst();
  dispatch_.receive(*handover.batch, now_ms_);
  const std::vector<Session*> pressed = dispatch_.take_pressed();
  for (Session* receiver : pressed) static_cast<SessionActor*>(receiver->shell)->flush();
  dispatch_.return_credit(handover.batch->credit, pressed, now_ms_);
  if (dispatch_.has_batches()) send_batches(nullptr);
}

void PostOffice::on_credits(const CreditReturn& returned) {
  for (const dispatch::Credit& credit : returned.credits) {
    if (Session* publisher = dispatch_.find(credit.publisher)) {
      dispatch_.back_pressure().give_back(*publisher, credit.bytes);
    }
  }
}

// -- rounds
// -------------------------------------------------------------------------------------------

void PostOffice::on_round() noexcept {
  enter();
  do {
    flush_dirty();
    release_publishers();
    for (SessionActor* gone : std::exchange(buried_, {})) {
      connections_[gone->position] = connections_.back();
      connections_[gone->position]->position = gone->position;
      connections_.pop_back();
      node_.connections[loop().index()].fetch_sub(1, std::memory_order_relaxed);
      gone->end();
    }
  } while (!buried_.empty() || !dispatch_.dirty().empty());
  if (dispatch_.has_batches()) send_batches(nullptr);  // of sessions that ended: given to others
  if (!wishes_.empty()) {
    caf::anon_send(node_.route_keeper, RouteWishes{loop().index(), std::exchange(wishes_, {})});
  }
  if (dispatch_.has_unlogged()) deliver_unlogged();
  if (!dispatch_.inserts().empty()) insert_all({}, 0);  // of other loops: nobody here waits
  std::atomic<std::uint64_t>& held = node_.retained_held[loop().index()];
  if (retain_hold_.oldest_ms() < held.load(std::memory_order_relaxed)) {
    held.store(retain_hold_.oldest_ms(), std::memory_order_release);  // before it can be stored
  }
  store_retained();
  send_requests();
  if (dispatch_.has_batches()) send_batches(nullptr);
  // Only now: what was dispatched is on its way to the other loops.
  held.store(retain_hold_.oldest_ms(), std::memory_order_release);
  if (dispatch_.back_pressure().has_credits()) send_credits();
  if (stopping_) maybe_stopped();
}

void PostOffice::flush_dirty() {
  std::vector<Session*>& dirty = dispatch_.dirty();
  // By index: a flush may make other sessions dirty, never a clean one gone.
  for (std::size_t i = 0; i < dirty.size(); ++i) {
    Session* session = dirty[i];
    if (session == nullptr) continue;
    session->dirty = false;
    static_cast<SessionActor*>(session->shell)->flush();
  }
  dirty.clear();
}

void PostOffice::release_publishers() {
  dispatch::BackPressure& pressure = dispatch_.back_pressure();
  if (!pressure.has_released()) return;
  for (Session* session : pressure.take_released()) {
    static_cast<SessionActor*>(session->shell)->released();
  }
}

void PostOffice::send_credits() {
  std::vector<std::vector<dispatch::Credit>> by_loop(node_.post_offices.size());
  for (const dispatch::Credit& credit : dispatch_.back_pressure().take_credits()) {
    if (credit.publisher != 0) by_loop[credit.loop].push_back(credit);
  }
  for (std::size_t to = 0; to < by_loop.size(); ++to) {
    if (by_loop[to].empty()) continue;
    caf::anon_send(node_.post_offices[to], CreditReturn{std::move(by_loop[to])});
  }
}

void PostOffice::stop() {
  stopping_ = true;
  stop_asked_by_ = current_sender();
  const std::vector<SessionActor*> open = connections_;
  for (SessionActor* session : open) {
    session->close(ReasonCode::server_shutting_down, End::shutting_down);
  }
}

void PostOffice::maybe_stopped() {
  // What a disk that refuses keeps from being committed is as after a crash.
  const bool waits = inbox_.waiting_bytes() > 0 || !waits_.empty();
  const bool busy = !connections_.empty() || (waits && !node_.disk_failing);
  if (busy || stop_asked_by_ == nullptr) return;
  const auto asked = caf::actor_cast<caf::actor>(std::exchange(stop_asked_by_, nullptr));
  caf::anon_send(asked, Stopped{"post office " + std::to_string(loop().index())});
}

}  // namespace skald::actors
