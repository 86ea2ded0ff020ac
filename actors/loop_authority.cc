#include "actors/loop_authority.h"

#include <caf/send.hpp>
#include <utility>

#include "actors/session_actor.h"
#include "mqtt/auth/admission.h"

namespace skald::actors {

using codec::ReasonCode;

namespace {

ReasonCode reason_of(LoginResult result, bool is_v5) {
  switch (result) {
    case LoginResult::yes:
      return ReasonCode::success;
    case LoginResult::no:
      return ReasonCode::bad_user_name_or_password;
    case LoginResult::limited:
      // 3.x knows "server unavailable", which says to try again at once, and "not authorized".
      return is_v5 ? ReasonCode::connection_rate_exceeded : ReasonCode::not_authorized;
    case LoginResult::busy:
      return ReasonCode::server_busy;
    case LoginResult::unavailable:
      return ReasonCode::server_unavailable;
  }
  return ReasonCode::not_authorized;
}

/// Failures count by user, whether it calls itself `user` or `tenant/user`.
std::string limited_name(const auth::Identity& identity) {
  return identity.tenant + "/" + identity.user;
}

}  // namespace

LoopAuthority::LoopAuthority(NodeState& node, std::uint16_t loop) : node_(node), loop_(loop) {
  judge_.set_directory(node.users);
}

void LoopAuthority::on_connect(const codec::Connect& connect, const auth::Origin& origin,
                               OnConnect done) {
  const auth::Admission admission = auth::examine(directory(), connect, origin);
  if (admission.outcome == auth::Admission::Outcome::admit) {
    done({.reason = ReasonCode::success, .identity = admission.identity});
    return;
  }
  if (admission.outcome == auth::Admission::Outcome::refuse) {
    node_.auth_counters.failures.fetch_add(1, std::memory_order_relaxed);
    done({.reason = admission.reason, .identity = nullptr});
    return;
  }
  const std::uint64_t token = ++last_token_;
  waiting_.emplace(
      token, Waiting{std::move(done), admission.identity, connect.version == codec::Version::v5});
  caf::anon_send(
      node_.gatekeeper,
      Credentials{.token = token,
                  .loop = loop_,
                  .known = admission.known,
                  .name = admission.known ? limited_name(*admission.identity) : *connect.user_name,
                  .password = *connect.password,
                  .address = origin.address,
                  .hash = *admission.password});
}

void LoopAuthority::on_verdict(const CredentialVerdict& verdict) {
  const auto found = waiting_.find(verdict.token);
  if (found == waiting_.end()) return;
  const Waiting asked = std::move(found->second);
  waiting_.erase(found);
  ReasonCode reason = reason_of(verdict.result, asked.is_v5);
  if (reason == ReasonCode::success) {
    // The rules may have changed while the password was compared.
    const bool stale = !asked.identity || directory().is_stale(*asked.identity, false);
    if (stale) reason = ReasonCode::bad_user_name_or_password;
  }
  const bool good = reason == ReasonCode::success;
  asked.done({.reason = reason, .identity = good ? asked.identity : nullptr});
}

bool LoopAuthority::may_receive(const session::Session& session, std::string_view topic) {
  auto* actor = static_cast<SessionActor*>(session.shell);
  return judge_.may(actor->access(), auth::Action::receive, session.client_id(), topic);
}

}  // namespace skald::actors
