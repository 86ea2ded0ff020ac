#include "mqtt/auth/load_directory.h"

#include <utility>

#include "mqtt/auth/mosquitto_files.h"

namespace skald::auth {

namespace {

class Loader {
 public:
  explicit Loader(const ReadFile& read) : read_(read) {}

  void users(const config::Options& options) {
    for (const config::UserOptions& user : options.users) add(user);
  }

  void tenants(const config::Options& options) {
    for (const config::TenantOptions& tenant : options.tenants) {
      if (!is_tenant_name(tenant.name)) fail("[tenant." + tenant.name + "]", kBadTenant);
    }
  }

  void password_file(const std::string& path) {
    if (path.empty()) return;
    const Result<std::string> text = read_(path);
    if (!text) return fail("[auth] password_file", text.error().message);
    Result<std::vector<Account>> accounts = parse_password_file(path, *text);
    if (!accounts) return lines(accounts.error().message);
    for (Account& account : *accounts) source.accounts.push_back(std::move(account));
  }

  void acl_file(const std::string& path) {
    if (path.empty()) return;
    const Result<std::string> text = read_(path);
    if (!text) return fail("[auth] acl_file", text.error().message);
    Result<AccessList> list = parse_acl_file(path, *text);
    if (!list) return lines(list.error().message);
    source.access_list = std::move(*list);
  }

  const std::string& errors() const { return errors_; }

  DirectorySource source;

 private:
  static constexpr const char* kBadTenant =
      "a tenant's name is 1 to 64 letters, digits, _, - or ., beginning with none of the last two";

  void lines(const std::string& text) { errors_.append(errors_.empty() ? "" : "\n").append(text); }
  void fail(const std::string& place, const std::string& what) { lines(place + ": " + what); }

  void add(const config::UserOptions& user) {
    const std::string place = user.place.text + ": [[user]] ";
    Result<PasswordHash> password = PasswordHash::parse(user.password);
    if (!password) return fail(place + "password", password.error().message);
    Result<IdentityRef> identity = make_identity(user.name, user.tenant, *password);
    if (!identity) return fail(place + "name", identity.error().message);
    Account account{.origin = user.place.text,
                    .login = user.name,
                    .identity = std::move(*identity),
                    .password = std::move(*password),
                    .rules = std::nullopt};
    if (user.publish || user.subscribe || user.receive) {
      RuleSet rules;
      rules.publish = rules_of(user.publish, place + "publish");
      rules.subscribe = rules_of(user.subscribe, place + "subscribe");
      rules.receive = user.receive ? rules_of(user.receive, place + "receive") : rules.subscribe;
      account.rules = std::move(rules);
    }
    source.accounts.push_back(std::move(account));
  }

  std::vector<Rule> rules_of(const std::optional<std::vector<std::string>>& list,
                             const std::string& place) {
    std::vector<Rule> rules;
    if (!list) return rules;
    for (const std::string& text : *list) {
      Rule rule{.filter = text, .deny = text.starts_with('!')};
      if (rule.deny) rule.filter.erase(0, 1);
      const std::string_view problem = rule_problem(rule.filter);
      if (!problem.empty()) fail(place + " " + text, std::string(problem));
      rules.push_back(std::move(rule));
    }
    return rules;
  }

  const ReadFile& read_;
  std::string errors_;
};

}  // namespace

Result<DirectoryRef> load_directory(const config::Options& options, const ReadFile& read,
                                    std::uint64_t seed, std::uint64_t version) {
  Loader loader(read);
  loader.source.allow_anonymous = options.mqtt.allow_anonymous;
  loader.source.seed = seed;
  loader.source.version = version;
  loader.users(options);
  loader.tenants(options);
  loader.password_file(options.auth.password_file);
  loader.acl_file(options.auth.acl_file);
  if (!loader.errors().empty()) return Error{loader.errors()};
  return Directory::make(std::move(loader.source));
}

}  // namespace skald::auth
