#include "mqtt/auth/authority.h"

namespace skald::auth {

AnonymousAuthority::AnonymousAuthority(bool allow_remote)
    : allow_remote_(allow_remote),
      anonymous_(std::make_shared<const Identity>(Identity{.tenant = "default", .user = {}})) {}

void AnonymousAuthority::on_connect(const codec::Connect&, const Origin& origin, OnConnect done) {
  if (!origin.loopback && !allow_remote_) {
    done({.reason = codec::ReasonCode::not_authorized, .identity = nullptr});
    return;
  }
  done({.reason = codec::ReasonCode::success, .identity = anonymous_});
}

}  // namespace skald::auth
