// Who a client is and what it may do: the one interface through which a loop asks.
//
// Admission may be answered at once or later, through the callback, on the asking loop's thread.
// Rights are answered at once, by the newest rules, from what was compiled at CONNECT or at the
// last reload. Any doubt or failure refuses. One a loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "mqtt/auth/rights.h"
#include "mqtt/codec/packets.h"
#include "mqtt/codec/types.h"

namespace skald::auth {

/// Where a client comes from.
struct Origin {
  std::string address;    // numeric, without port
  bool loopback = false;  // the peer's address is a loopback address
};

/// What a client was found to be. Immutable; shared by all clients of a user.
struct Identity {
  std::string tenant;
  std::string user;              // empty: anonymous
  std::uint64_t credential = 0;  // changes with the password; not a secret
};
using IdentityRef = std::shared_ptr<const Identity>;

struct ConnectVerdict {
  codec::ReasonCode reason = codec::ReasonCode::not_authorized;
  IdentityRef identity;  // set when reason is success
};

/// A client's standing, kept for it by its connection.
struct Access {
  IdentityRef identity;
  RightsRef rights;  // renewed by Authority::may when the rules have changed
};

class Authority {
 public:
  using OnConnect = std::function<void(const ConnectVerdict&)>;

  virtual ~Authority() = default;

  /// Calls `done` exactly once, now or later. `connect` is valid until this call returns.
  virtual void on_connect(const codec::Connect& connect, const Origin& origin, OnConnect done) = 0;
  /// May the client publish to a topic, subscribe to a filter (without $share/), be handed a
  /// message of a topic? Wills are judged as publishes, at CONNECT and again when they go out.
  virtual bool may(Access& access, Action action, std::string_view client_id,
                   std::string_view topic) = 0;
};

}  // namespace skald::auth
