// Limits and totals of tenants: what a connection, a subscription and a publish may take of them.
#include <absl/strings/string_view.h>

#include <algorithm>

#include "actors/post_office.h"
#include "actors/session_actor.h"
#include "mqtt/inbox/record.h"
#include "mqtt/tenant/limits.h"

namespace skald::actors {

using codec::ReasonCode;
using config::TenantKey;
using session::Session;

/// Sessions point to the limits of their CONNECT, so these stay; equal ones are the same object.
const session::Limits* PostOffice::keep_limits(const session::Limits& limits) {
  const auto found = std::find(limits_.begin(), limits_.end(), limits);
  return found != limits_.end() ? &*found : &limits_.emplace_back(limits);
}

void PostOffice::set_tenants(const config::Options& options) {
  node_limits_ = keep_limits(tenant::node_limits(options.mqtt));
  workspace_.limits = *node_limits_;
  foreign_session_ = options.auth.foreign_session;
  tenant_limits_.clear();
  stored_limits_.clear();
  fan_out_.clear();
  const config::TenantSettings home;
  const auto at_home = [&home](TenantKey key) { return static_cast<std::uint64_t>(home.get(key)); };
  const StoredLimits unlimited{.fan_out = at_home(TenantKey::max_persistent_fanout),
                               .fan_out_bytes = at_home(TenantKey::max_persistent_fanout_bytes)};
  for (const config::TenantOptions& one : options.tenants) {
    tenant_limits_[one.name] = keep_limits(tenant::limits_of(options.mqtt, one.settings));
    const auto limit = [&one](TenantKey key) {
      return static_cast<std::uint64_t>(one.settings.get(key));
    };
    const dispatch::FanOut fan_out{
        .max_groups = static_cast<std::uint32_t>(limit(TenantKey::max_group_fanout)),
        .rated = one.settings.is_set(TenantKey::total_transient_fan_out_bytes_per_seconds)};
    if (fan_out != dispatch::FanOut{}) fan_out_[one.name] = fan_out;
    const StoredLimits stored{
        .retained_topics = limit(TenantKey::total_retain_topics),
        .retained_bytes = limit(TenantKey::total_retain_message_space_bytes),
        .queued_bytes = limit(TenantKey::total_persistent_session_space_bytes),
        .fan_out = limit(TenantKey::max_persistent_fanout),
        .fan_out_bytes = limit(TenantKey::max_persistent_fanout_bytes),
        .fan_out_rate = limit(TenantKey::total_persistent_fan_out_bytes_per_seconds)};
    if (stored == unlimited) continue;
    stored_limits_[one.name] = stored;
  }
  dispatch_.limit_fan_out(fan_out_.empty() ? nullptr : this);
}

/// A client is known now: the limits of its tenant, and a place among its connections.
ReasonCode PostOffice::enter_tenant(SessionActor& actor) {
  const std::string& tenant = actor.identity()->tenant;
  const auto found = tenant_limits_.find(tenant);
  const session::Limits* limits = found == tenant_limits_.end() ? node_limits_ : found->second;
  const ReasonCode reason = actor.session().use_limits(*limits);
  if (reason != ReasonCode::success) return reason;
  if (!node_.usage.spend(tenant, TenantKey::total_connect_per_second, 1, now_ms_)) {
    note_refusal(EventKind::out_of_tenant_resource, tenant, actor, "connect rate");
    return ReasonCode::connection_rate_exceeded;
  }
  if (!node_.usage.take(tenant, TenantKey::total_connections)) {
    note_refusal(EventKind::out_of_tenant_resource, tenant, actor, "connections");
    return ReasonCode::quota_exceeded;
  }
  actor.counted = true;
  return ReasonCode::success;
}

void PostOffice::leave_tenant(SessionActor& actor) {
  if (!actor.counted) return;
  actor.counted = false;
  node_.usage.give_back(actor.identity()->tenant, TenantKey::total_connections);
}

/// True when the tenant has room for one more subscription.
bool PostOffice::take_subscription(const Session& session, bool shared) {
  const bool taken =
      node_.usage.spend(session.tenant(), TenantKey::total_transient_subscribe_per_second, 1,
                        now_ms_) &&
      node_.usage.take(session.tenant(), shared ? TenantKey::total_shared_subscriptions
                                                : TenantKey::total_transient_subscriptions);
  if (taken) {
    ++figures_[session.tenant()].subscriptions;
  } else {
    note_refusal(EventKind::out_of_tenant_resource, session.tenant(),
                 *static_cast<SessionActor*>(session.shell), "subscriptions");
  }
  return taken;
}

void PostOffice::give_back_subscription(const Session& session, bool shared) {
  --figures_[session.tenant()].subscriptions;
  node_.usage.give_back(session.tenant(), shared ? TenantKey::total_shared_subscriptions
                                                 : TenantKey::total_transient_subscriptions);
}

/// The limits of the tenants in a command: its range holds them to these.
std::vector<retain::Store::Limit> PostOffice::retain_limits(const retain::Store& store) const {
  std::vector<retain::Store::Limit> limits;
  if (stored_limits_.empty()) return limits;
  for (const mqtt::PublicationRef& publication : store.publications) {
    const std::string_view tenant = publication->tenant();
    const auto found = stored_limits_.find(tenant);
    if (found == stored_limits_.end()) continue;
    const StoredLimits& own = found->second;
    if (own.retained_topics == 0 && own.retained_bytes == 0) continue;
    const auto is_it = [tenant](const retain::Store::Limit& one) { return one.tenant == tenant; };
    if (std::any_of(limits.begin(), limits.end(), is_it)) continue;
    limits.push_back({std::string(tenant), own.retained_topics, own.retained_bytes});
  }
  return limits;
}

/// How many of its `targets` may queue a publication by the limits of its tenant; to the others it
/// is lost, as with a full queue.
std::size_t PostOffice::room_in_inboxes(const mqtt::Publication& publication, std::size_t targets,
                                        std::uint64_t token) {
  const std::string_view tenant = publication.tenant();
  const auto found = stored_limits_.find(tenant);
  if (found == stored_limits_.end()) return targets;
  const StoredLimits& limits = found->second;
  const std::uint64_t bytes = inbox::message_bytes(publication);
  const std::uint64_t room =
      std::min({std::uint64_t{targets}, limits.fan_out, limits.fan_out_bytes / bytes});
  if (room == 0) return 0;
  constexpr TenantKey kRate = TenantKey::total_persistent_fan_out_bytes_per_seconds;
  if (limits.fan_out_rate != 0 && !node_.usage.spend(tenant, kRate, room * bytes, now_ms_)) {
    return 0;
  }
  return reserve_space(tenant, room * bytes, token) ? static_cast<std::size_t>(room) : 0;
}

/// True when the tenant's queues have room for so many bytes more, taken until the insert under
/// `token` is answered; 0: nobody hears of the answer.
bool PostOffice::reserve_space(std::string_view tenant, std::uint64_t bytes, std::uint64_t token) {
  const auto found = stored_limits_.find(tenant);
  if (found == stored_limits_.end() || found->second.queued_bytes == 0) return true;
  constexpr TenantKey kSpace = TenantKey::total_persistent_session_space_bytes;
  if (!node_.usage.reserve(tenant, kSpace, bytes)) {
    node_.usage.exhausted(tenant, kSpace, bytes);  // counts it
    return false;
  }
  if (token == 0) {
    node_.usage.release(tenant, kSpace, bytes);
    return true;
  }
  ReservedSpace& reserved = reserved_space_[token];
  reserved.tenant = tenant;
  reserved.bytes += bytes;
  return true;
}

void PostOffice::release_space(std::uint64_t token) {
  const auto found = reserved_space_.find(token);
  if (found == reserved_space_.end()) return;
  node_.usage.release(found->second.tenant, TenantKey::total_persistent_session_space_bytes,
                      found->second.bytes);
  reserved_space_.erase(found);
}

dispatch::FanOut PostOffice::fan_out_of(std::string_view tenant) const {
  const auto found = fan_out_.find(absl::string_view(tenant.data(), tenant.size()));
  return found == fan_out_.end() ? dispatch::FanOut{} : found->second;
}

/// What transient sessions are handed in a second; to those that are over it is lost.
bool PostOffice::may_hand_out(const mqtt::PublicationView& publication, std::size_t receivers) {
  const std::size_t bytes = publication.topic.size() + publication.payload.size();
  if (node_.usage.spend(publication.tenant, TenantKey::total_transient_fan_out_bytes_per_seconds,
                        receivers * bytes, now_ms_)) {
    return true;
  }
  figures_[intern_tenant(std::string(publication.tenant))].dropped_fan_out += receivers;
  return false;
}

void PostOffice::left_out(std::string_view tenant, std::size_t groups) {
  figures_[intern_tenant(std::string(tenant))].dropped_fan_out += groups;
}

/// True when the publication fits in what the tenant may publish in a second.
bool PostOffice::within_rates(const mqtt::PublicationView& publication) {
  const std::size_t bytes = publication.topic.size() + publication.payload.size();
  const auto spend = [this, &publication](TenantKey rate, std::uint64_t amount) {
    return node_.usage.spend(publication.tenant, rate, amount, now_ms_);
  };
  if (!spend(TenantKey::total_inbound_bytes_per_second, bytes)) return false;
  if (!publication.info.retain) return true;
  return spend(TenantKey::total_retained_messages_per_seconds, 1) &&
         spend(TenantKey::total_retained_bytes_per_second, bytes);
}

}  // namespace skald::actors
