// The authority of one loop: rights from its own snapshot, passwords through the gatekeeper.
//
// Owned by the loop's post office; only on its thread. What waits for the gatekeeper is bounded by
// the connections of the loop, each of which asks once.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <string_view>

#include "actors/messages.h"
#include "actors/node_state.h"
#include "mqtt/auth/authority.h"
#include "mqtt/auth/judge.h"
#include "mqtt/session/session.h"

namespace skald::actors {

class LoopAuthority final : public auth::Authority, public session::ReceiveRights {
 public:
  /// `node` outlives it.
  LoopAuthority(NodeState& node, std::uint16_t loop);

  void on_connect(const codec::Connect& connect, const auth::Origin& origin,
                  OnConnect done) override;
  bool may(auth::Access& access, auth::Action action, std::string_view client_id,
           std::string_view topic) override {
    return judge_.may(access, action, client_id, topic);
  }
  /// Of sessions whose shell is a SessionActor.
  bool may_receive(const session::Session& session, std::string_view topic) override;

  /// A will that is due for a session that has no connection.
  bool may_publish_later(const auth::Identity& identity, std::string_view client_id,
                         std::string_view topic) {
    return judge_.may(identity, auth::Action::publish, client_id, topic);
  }
  /// False: everything is for it, and may_receive() need not be asked.
  bool is_restricted(auth::Access& access, std::string_view client_id) {
    return !judge_.rights_of(access, client_id).everything();
  }

  void on_verdict(const CredentialVerdict& verdict);
  void set_directory(auth::DirectoryRef directory) { judge_.set_directory(std::move(directory)); }
  const auth::Directory& directory() const { return *judge_.directory(); }

 private:
  struct Waiting {
    OnConnect done;
    auth::IdentityRef identity;  // null: an unknown name
    bool is_v5 = false;
  };

  NodeState& node_;
  std::uint16_t loop_;
  auth::Judge judge_;
  absl::flat_hash_map<std::uint64_t, Waiting> waiting_;
  std::uint64_t last_token_ = 0;
};

}  // namespace skald::actors
