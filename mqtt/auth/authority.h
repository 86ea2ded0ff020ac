// Who a client is and what it may do: the one interface through which the broker asks.
//
// An answer may come at once, which is the hot path (permissions that were compiled at CONNECT), or
// later, through the callback, on the asking loop's thread. Any doubt or failure refuses.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "mqtt/codec/packets.h"
#include "mqtt/codec/types.h"

namespace skald::auth {

/// Where a client comes from.
struct Origin {
  std::string address;    // numeric, without port
  bool loopback = false;  // the peer's address is a loopback address
};

/// What a client was found to be. Kept for the life of its session; immutable.
struct Identity {
  std::string tenant;
  std::string user;  // empty: anonymous
};
using IdentityRef = std::shared_ptr<const Identity>;

struct ConnectVerdict {
  codec::ReasonCode reason = codec::ReasonCode::not_authorized;
  IdentityRef identity;  // set when reason is success
};

class Authority {
 public:
  using OnConnect = std::function<void(ConnectVerdict)>;

  virtual ~Authority() = default;

  /// Calls `done` exactly once, now or later. `connect` is valid until this call returns.
  virtual void on_connect(const codec::Connect& connect, const Origin& origin, OnConnect done) = 0;
  /// May the client publish to `topic`? Wills are judged at connect and again when published.
  virtual bool may_publish(const Identity& identity, std::string_view topic) const = 0;
  /// May the client subscribe to `filter` (without $share)?
  virtual bool may_subscribe(const Identity& identity, std::string_view filter) const = 0;
  /// May the client be handed a message of `topic` that was stored before (retained, queued)?
  virtual bool may_receive(const Identity& identity, std::string_view topic) const = 0;
};

/// Without configuration anonymous clients are let in on loopback only (design.md section 5), or
/// from anywhere when the operator says so. Everyone is one tenant and may do everything.
class AnonymousAuthority final : public Authority {
 public:
  explicit AnonymousAuthority(bool allow_remote);

  void on_connect(const codec::Connect& connect, const Origin& origin, OnConnect done) override;
  bool may_publish(const Identity&, std::string_view) const override { return true; }
  bool may_subscribe(const Identity&, std::string_view) const override { return true; }
  bool may_receive(const Identity&, std::string_view) const override { return true; }

 private:
  bool allow_remote_;
  IdentityRef anonymous_;
};

}  // namespace skald::auth
