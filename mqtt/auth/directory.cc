#include "mqtt/auth/directory.h"

#include <algorithm>
#include <utility>

#include "config/base/assert.h"

namespace skald::auth {

namespace {

constexpr std::size_t kMaxTenantBytes = 64;

std::string user_key(std::string_view tenant, std::string_view user) {
  std::string key(tenant);
  key.push_back('\0');
  return key.append(user);
}

/// FNV-1a: the same on every platform, and nothing here is a secret from the operator.
std::uint64_t hash_of(std::string_view text, std::uint64_t seed) {
  std::uint64_t hash = 0xcbf29ce484222325ULL ^ seed;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return hash ^ (hash >> 32);
}

}  // namespace

bool is_tenant_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxTenantBytes) return false;
  if (name.front() == '-' || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

Result<IdentityRef> make_identity(std::string_view login, std::string_view tenant,
                                  const PasswordHash& password) {
  std::string_view user = login;
  std::string_view named = tenant;
  if (const std::size_t slash = login.find('/'); slash != std::string_view::npos) {
    named = login.substr(0, slash);
    user = login.substr(slash + 1);
    if (!tenant.empty() && tenant != named) {
      return Error{"the tenant of the name and that of the entry differ"};
    }
  }
  if (named.empty() && user.size() == login.size()) named = kDefaultTenant;
  if (!is_tenant_name(named)) {
    return Error{
        "the tenant must be 1 to 64 letters, digits, _, - or ., beginning with none of the "
        "last two"};
  }
  if (user.empty()) return Error{"the user name is empty"};
  return IdentityRef(
      std::make_shared<const Identity>(Identity{.tenant = std::string(named),
                                                .user = std::string(user),
                                                .credential = hash_of(password.text(), 0)}));
}

Result<DirectoryRef> Directory::make(DirectorySource source) {
  const std::shared_ptr<Directory> made(new Directory(std::move(source)));
  std::string errors;
  made->index(errors);
  if (!errors.empty()) return Error{std::move(errors)};
  return DirectoryRef(made);
}

void Directory::index(std::string& errors) {
  const auto fail = [&errors](const Account& account, const std::string& what) {
    errors.append(errors.empty() ? "" : "\n").append(account.origin).append(": ").append(what);
  };
  for (std::size_t i = 0; i < source_.accounts.size(); ++i) {
    const Account& account = source_.accounts[i];
    SKALD_ASSERT(account.identity != nullptr);
    const Identity& identity = *account.identity;
    const auto [named, fresh] = by_login_.emplace(account.login, i);
    if (!fresh) {
      fail(account, "the name is that of " + source_.accounts[named->second].origin +
                        "; tell users of two tenants apart by tenant/user");
      continue;
    }
    if (!by_user_.emplace(user_key(identity.tenant, identity.user), i).second) {
      fail(account, "this user of the tenant is there already");
    }
  }
}

const Account* Directory::by_login(std::string_view login) const {
  const auto found = by_login_.find(std::string(login));
  if (found != by_login_.end()) return &source_.accounts[found->second];
  // "tenant/user" also finds an entry whose name is plain and whose tenant is told apart from it.
  const std::size_t slash = login.find('/');
  if (slash == std::string_view::npos) return nullptr;
  return by_user(login.substr(0, slash), login.substr(slash + 1));
}

const Account* Directory::by_user(std::string_view tenant, std::string_view user) const {
  const auto found = by_user_.find(user_key(tenant, user));
  return found == by_user_.end() ? nullptr : &source_.accounts[found->second];
}

const Account& Directory::decoy(std::string_view login) const {
  SKALD_ASSERT(has_accounts());
  return source_.accounts[hash_of(login, source_.seed) % source_.accounts.size()];
}

bool Directory::is_stale(const Identity& identity, bool loopback) const {
  if (identity.user.empty()) return !admits_anonymous(loopback);
  const Account* account = by_user(identity.tenant, identity.user);
  return account == nullptr || account->identity->credential != identity.credential;
}

std::vector<const RuleSet*> Directory::rules_of(const Identity& identity) const {
  const RuleSet* own = nullptr;
  std::string_view login;
  if (!identity.user.empty()) {
    const Account* account = by_user(identity.tenant, identity.user);
    if (account == nullptr) return {};
    if (account->rules) return {&*account->rules};
    login = account->login;
  }
  if (!source_.access_list) return {&everything_};
  const AccessList& list = *source_.access_list;
  if (identity.user.empty()) {
    own = &list.anonymous;
  } else if (const auto found = list.users.find(login); found != list.users.end()) {
    own = &found->second;
  }
  if (own == nullptr) return {&list.everyone};
  return {own, &list.everyone};
}

}  // namespace skald::auth
