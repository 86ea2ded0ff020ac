// What a CONNECT's name and password amount to, before any hash is computed.
//
// Pure and cheap: it runs on the loop. Only Outcome::verify needs the slow comparison. A name that
// is not known is sent there too, with another account's hash, so that it takes as long.
#pragma once

#include <string_view>

#include "mqtt/auth/authority.h"
#include "mqtt/auth/directory.h"

namespace skald::auth {

struct Admission {
  enum class Outcome : std::uint8_t { refuse, admit, verify };

  Outcome outcome = Outcome::refuse;
  codec::ReasonCode reason = codec::ReasonCode::not_authorized;  // of refuse
  IdentityRef identity;                    // of admit, and of verify when it succeeds
  const PasswordHash* password = nullptr;  // of verify; of the directory
  bool known = false;                      // of verify: false: whatever the comparison says, no
};

/// A name with a password is looked up as soon as there are accounts, also where anonymous clients
/// are let in; without accounts names say nothing and everyone is anonymous.
Admission examine(const Directory& directory, const codec::Connect& connect, const Origin& origin);

}  // namespace skald::auth
