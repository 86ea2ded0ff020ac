// Who there is and what they may do: an immutable snapshot, made anew at each reload.
//
// Pure. Accounts come from the configuration's [[user]] tables and from a password file, rules from
// the tables or an ACL file. A login name is "user" or "tenant/user"; each account is found by the
// pair of tenant and user as well. Shared between loops; nobody changes it.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/base/result.h"
#include "mqtt/auth/authority.h"
#include "mqtt/auth/password.h"
#include "mqtt/auth/rights.h"

namespace skald::auth {

inline constexpr std::string_view kDefaultTenant = "default";

/// 1 to 64 letters, digits, `_`, `-` and `.`, not beginning with `-` or `.`: a tenant's name stands
/// in keys, metrics and log lines.
bool is_tenant_name(std::string_view name);

struct Account {
  std::string origin;  // "node.toml:12": where it is told
  std::string login;   // the name in CONNECT
  IdentityRef identity;
  PasswordHash password;
  std::optional<RuleSet> rules;  // its own; without them those of the ACL file, if there is one
};

/// Of an ACL file. Users by login name.
struct AccessList {
  RuleSet anonymous;
  std::map<std::string, RuleSet, std::less<>> users;
  RuleSet everyone;  // `pattern` lines
};

struct DirectorySource {
  bool allow_anonymous = false;  // from anywhere; loopback alone needs no accounts to be told
  std::vector<Account> accounts{};
  std::optional<AccessList> access_list{};
  std::uint64_t seed = 0;     // see decoy()
  std::uint64_t version = 0;  // of this snapshot, for Rights
};

class Directory {
 public:
  /// All that is wrong, one line each, with its origin.
  static Result<std::shared_ptr<const Directory>> make(DirectorySource source);

  /// Null: nobody of that name.
  const Account* by_login(std::string_view login) const;
  const Account* by_user(std::string_view tenant, std::string_view user) const;
  /// Whose password hash an unknown name is compared with, so that it takes as long as a known one:
  /// always the same for one name. Requires: has_accounts().
  const Account& decoy(std::string_view login) const;

  bool has_accounts() const { return !source_.accounts.empty(); }
  std::size_t size() const { return source_.accounts.size(); }
  bool admits_anonymous(bool loopback) const {
    return source_.allow_anonymous || (loopback && !has_accounts());
  }
  /// Of all who have no name.
  const IdentityRef& anonymous() const { return anonymous_; }
  /// Nobody by this name is known any more, or its password has changed.
  bool is_stale(const Identity& identity, bool loopback) const;

  /// What counts for the identity; empty: it may do nothing. Valid as long as the directory.
  std::vector<const RuleSet*> rules_of(const Identity& identity) const;
  std::uint64_t version() const { return source_.version; }

 private:
  explicit Directory(DirectorySource source) : source_(std::move(source)) {}
  void index(std::string& errors);

  DirectorySource source_;
  RuleSet everything_{.everything = true};
  IdentityRef anonymous_ = std::make_shared<const Identity>(
      Identity{.tenant = std::string(kDefaultTenant), .user = {}, .credential = 0});
  absl::flat_hash_map<std::string, std::size_t> by_login_;
  absl::flat_hash_map<std::string, std::size_t> by_user_;  // tenant, NUL, user
};
using DirectoryRef = std::shared_ptr<const Directory>;

/// An account's identity from its login name and, when it is told, its tenant. The error says what
/// is wrong with the names.
Result<IdentityRef> make_identity(std::string_view login, std::string_view tenant,
                                  const PasswordHash& password);

}  // namespace skald::auth
