// What the loop tells the monitor, and the broker's own topics.
//
// Values of $SYS come from the monitor and go to the subscribers of this loop at QoS 0: no route
// leads to them, no other loop, no inbox and no log hears of them. A persistent session's
// subscription is kept in its inbox like any other; its connection gets the values.
#include "actors/connection_log.h"
#include "actors/monitor/sys_topics.h"
#include "actors/post_office.h"
#include "actors/session_actor.h"
#include "mqtt/topic/topic.h"

namespace skald::actors {

using session::Session;

LoopReport PostOffice::report(const ReportWanted& wanted) {
  events_.tell_left_out(node_.clock.now_ms());
  return {.round = wanted.round,
          .loop = index_,
          .tenants = {figures_.begin(), figures_.end()},
          .unnamed = workspace_.counters,
          .dispatch = dispatch_.counters(),
          .load = load(),
          .events = events_.counts(),
          .connections = connections_.size(),
          .connections_total = counters_.connections_total,
          .refused_disk_full = counters_.refused_disk_full,
          .stale_routes = counters_.stale_routes};
}

LoopLoad PostOffice::load() {
  LoopLoad load{.match_cache_bytes = dispatch_.match_cache_bytes(),
                .attaching = attaching_.size(),
                .acks_waiting = pending_.size(),
                .inbox_operations = waits_.size(),
                .inbox_bytes = inbox_.waiting_bytes(),
                .retained_held = retain_hold_.retained(),
                .feeds = feeds_.size(),
                .fed_lately = dispatch_.live_memory().size(),
                .receivers_behind = dispatch_.back_pressure().receivers_behind(),
                .publishers_held = dispatch_.back_pressure().publishers_held(),
                .slow_receivers_total = dispatch_.back_pressure().slow_receivers_total()};
  for (const auto& [tenant, values] : sys_values_) load.sys_values += values.size();
  return load;
}

/// Something was refused for the tenant's limits, or for want of a right.
void PostOffice::note_refusal(EventKind kind, std::string_view tenant, const SessionActor& actor,
                              std::string_view what) {
  TenantFigures& figures = figures_[intern_tenant(std::string(tenant))];
  if (kind == EventKind::out_of_tenant_resource) {
    ++figures.refused_by_limits;
  } else {
    ++figures.refused_by_rights;
  }
  const auto level = kind == EventKind::out_of_tenant_resource ? config::LogLevel::warning
                                                               : config::LogLevel::info;
  if (!is_logged(level)) {
    events_.count(kind);
    return;
  }
  events_.note(kind, level, now_ms_,
               {{"tenant", escaped(tenant)},
                {"client_id", escaped(actor.session().client_id())},
                {"address", actor.accepted().address},
                {"what", escaped(what)}});
}

/// Counted; written only when somebody looks for it.
void PostOffice::note_done(EventKind kind, std::string_view tenant, std::string_view what) {
  if (!is_logged(config::LogLevel::debug)) {
    events_.count(kind);
    return;
  }
  events_.note(kind, config::LogLevel::debug, now_ms_,
               {{"tenant", escaped(tenant)}, {"what", escaped(what)}});
}

/// The client is one of its tenant from now on.
void PostOffice::count_in(Session& session, std::string_view tenant) {
  TenantFigures& figures = figures_[tenant];
  ++figures.clients;
  ++figures.clients_total;
  session.use_counters(figures.traffic);
}

/// Values reach the connection of a persistent session by the loop's own table.
void PostOffice::join_sys(Session& session, std::string_view filter,
                          const inbox::Subscription& subscription, bool replace) {
  Session::Subscription local{.options = subscription.options, .id = subscription.id};
  local.options.qos = codec::QoS::at_most_once;
  dispatch_.subscribe(session, filter, local, replace);
}

void PostOffice::leave_sys(SessionActor& actor) {
  if (actor.durable == nullptr) return;
  for (const auto& [filter, subscription] : actor.durable->subscriptions) {
    if (is_sys(filter)) dispatch_.unsubscribe(actor.session(), filter);
  }
}

void PostOffice::on_sys(const SysUpdate& update) {
  new_burst();
  dispatch::LoopBatch batch;
  for (const mqtt::PublicationRef& value : *update.values) {
    sys_values_[std::string(value->tenant())][std::string(value->topic())] = value;
    batch.items.push_back({.publication = value, .group = {}});
  }
  dispatch_.receive(batch, now_ms_);
  for (Session* receiver : dispatch_.take_pressed()) {
    static_cast<SessionActor*>(receiver->shell)->flush();
  }
}

/// What a new subscription gets of the current values, as if they were retained; after its SUBACK.
void PostOffice::feed_sys(Session& session, const retain::Feed::Wanted& wanted) {
  const auto values = sys_values_.find(session.tenant());
  if (values == sys_values_.end()) return;
  for (const auto& [topic, value] : values->second) {
    if (topic::matches(wanted.filter, topic)) feed_now(session, value, wanted);
  }
}

}  // namespace skald::actors
