#include "mqtt/auth/admission.h"

namespace skald::auth {

Admission examine(const Directory& directory, const codec::Connect& connect, const Origin& origin) {
  Admission result;
  const bool named = connect.user_name.has_value();
  if (!directory.has_accounts() || !named) {
    // A password without a name (v5) proves nothing.
    if (!directory.admits_anonymous(origin.loopback)) return result;
    result.outcome = Admission::Outcome::admit;
    result.identity = directory.anonymous();
    return result;
  }
  result.reason = codec::ReasonCode::bad_user_name_or_password;
  if (!connect.password) return result;  // the same for every name: says nothing about it
  const Account* account = directory.by_login(*connect.user_name);
  result.known = account != nullptr;
  if (account == nullptr) account = &directory.decoy(*connect.user_name);
  result.outcome = Admission::Outcome::verify;
  result.password = &account->password;
  if (result.known) result.identity = account->identity;
  return result;
}

}  // namespace skald::auth
