#include "mqtt/auth/directory.h"

#include <boost/test/unit_test.hpp>
#include <set>

#include "mqtt/auth/admission.h"
#include "mqtt/auth/failure_limiter.h"
#include "mqtt/auth/judge.h"

namespace skald::auth {
namespace {

using codec::ReasonCode;

const Origin kLoopback{.address = "127.0.0.1", .loopback = true};
const Origin kRemote{.address = "192.0.2.1", .loopback = false};

Account account(const std::string& login, const std::string& password = "x",
                const std::string& tenant = "", std::optional<RuleSet> rules = std::nullopt) {
  Account made{.origin = "node.toml:" + login,
               .login = login,
               .identity = nullptr,
               .password = *PasswordHash::pbkdf2(password, "salt", 1),
               .rules = std::move(rules)};
  made.identity = *make_identity(login, tenant, made.password);
  return made;
}

DirectoryRef directory_of(DirectorySource source) {
  auto made = Directory::make(std::move(source));
  BOOST_REQUIRE(made.ok());
  return *made;
}

Admission ask(const Directory& directory, const Origin& origin,
              std::optional<std::string> user = std::nullopt,
              std::optional<std::string> password = std::nullopt) {
  codec::Connect connect;
  connect.user_name = std::move(user);
  connect.password = std::move(password);
  return examine(directory, connect, origin);
}

BOOST_AUTO_TEST_CASE(anonymous_clients) {
  const DirectoryRef none = directory_of({});
  const DirectoryRef open = directory_of({.allow_anonymous = true, .accounts = {account("bob")}});
  const DirectoryRef closed = directory_of({.accounts = {account("bob")}});
  struct Case {
    const Directory& directory;
    const Origin& origin;
    Admission::Outcome outcome;
  };
  const Case cases[] = {{*none, kLoopback, Admission::Outcome::admit},
                        {*none, kRemote, Admission::Outcome::refuse},
                        {*open, kLoopback, Admission::Outcome::admit},
                        {*open, kRemote, Admission::Outcome::admit},
                        {*closed, kLoopback, Admission::Outcome::refuse},
                        {*closed, kRemote, Admission::Outcome::refuse}};
  for (const Case& one : cases) {
    const Admission got = ask(one.directory, one.origin);
    BOOST_TEST((got.outcome == one.outcome));
    BOOST_TEST((got.identity != nullptr) == (one.outcome == Admission::Outcome::admit));
    if (got.identity) BOOST_TEST(got.identity->user.empty());
    BOOST_TEST((got.reason == ReasonCode::not_authorized));
  }
  // Without accounts a name says nothing: above all it does not choose the tenant.
  const Admission named = ask(*none, kLoopback, "other/admin", "x");
  BOOST_REQUIRE(named.identity != nullptr);
  BOOST_TEST(named.identity->tenant == "default");
  BOOST_TEST(named.identity->user.empty());
  // With accounts a name is looked up, also where anonymous clients are let in.
  BOOST_TEST((ask(*open, kLoopback, "bob", "wrong").outcome == Admission::Outcome::verify));
}

BOOST_AUTO_TEST_CASE(names_and_passwords) {
  const DirectoryRef directory = directory_of(
      {.accounts = {account("bob"), account("acme/eve"), account("kim", "x", "acme")}});
  struct Case {
    std::string login;
    std::string tenant;
    std::string user;
  };
  for (const Case& one : {Case{"bob", "default", "bob"}, Case{"default/bob", "default", "bob"},
                          Case{"acme/eve", "acme", "eve"}, Case{"kim", "acme", "kim"},
                          Case{"acme/kim", "acme", "kim"}}) {
    const Admission got = ask(*directory, kRemote, one.login, "x");
    BOOST_TEST_CONTEXT(one.login) {
      BOOST_TEST((got.outcome == Admission::Outcome::verify));
      BOOST_TEST(got.known);
      BOOST_REQUIRE(got.identity != nullptr);
      BOOST_TEST(got.identity->tenant == one.tenant);
      BOOST_TEST(got.identity->user == one.user);
    }
  }
  for (const std::string login : {"eve", "acme/bob", "acme", "acme/", "/bob", "", "BOB"}) {
    const Admission got = ask(*directory, kRemote, login, "x");
    BOOST_TEST_CONTEXT(login) {
      BOOST_TEST((got.outcome == Admission::Outcome::verify));  // it takes as long
      BOOST_TEST(!got.known);
      BOOST_TEST(got.identity == nullptr);
      BOOST_REQUIRE(got.password != nullptr);
      BOOST_TEST(got.password == ask(*directory, kRemote, login, "y").password);
    }
  }
  const Admission without = ask(*directory, kLoopback, "bob");  // CVE-2016-9877
  BOOST_TEST((without.outcome == Admission::Outcome::refuse));
  BOOST_TEST((without.reason == ReasonCode::bad_user_name_or_password));
}

BOOST_AUTO_TEST_CASE(names_that_cannot_be) {
  const PasswordHash hash = *PasswordHash::pbkdf2("x", "salt", 1);
  for (const std::string_view name : {"a", "acme", "A-b_c.9", "0"})
    BOOST_TEST(is_tenant_name(name));
  for (const std::string_view name :
       {"", ".", "..", "-a", ".a", "a/b", "a b", "a\n", "caf\xc3\xa9", "$SYS", "a#"}) {
    BOOST_TEST(!is_tenant_name(name));
  }
  BOOST_TEST(is_tenant_name(std::string(64, 'a')));
  BOOST_TEST(!is_tenant_name(std::string(65, 'a')));
  BOOST_TEST(!make_identity("acme/bob", "other", hash).ok());
  BOOST_TEST(make_identity("acme/bob", "acme", hash).ok());
  BOOST_TEST(!make_identity("", "acme", hash).ok());
  BOOST_TEST(!make_identity("acme/", "", hash).ok());
  BOOST_TEST(!make_identity("/bob", "", hash).ok());
  const auto twice = Directory::make({.accounts = {account("bob"), account("bob")}});
  BOOST_REQUIRE(!twice.ok());
  const auto same =
      Directory::make({.accounts = {account("acme/kim"), account("kim", "x", "acme")}});
  BOOST_REQUIRE(!same.ok());
  BOOST_TEST(same.error().message.starts_with("node.toml:kim: "));
}

BOOST_AUTO_TEST_CASE(what_became_of_an_identity) {
  const DirectoryRef before = directory_of({.accounts = {account("bob"), account("eve")}});
  const DirectoryRef after = directory_of({.accounts = {account("bob", "new"), account("kim")}});
  const Identity bob = *before->by_login("bob")->identity;
  const Identity eve = *before->by_login("eve")->identity;
  BOOST_TEST(!before->is_stale(bob, false));
  BOOST_TEST(after->is_stale(bob, false));
  BOOST_TEST(after->is_stale(eve, false));
  const Identity anonymous{.tenant = "default", .user = {}};
  BOOST_TEST(after->is_stale(anonymous, true));
  BOOST_TEST(!directory_of({})->is_stale(anonymous, true));
}

BOOST_AUTO_TEST_CASE(whose_rules_count) {
  AccessList list;
  list.users["bob"].publish = {{"bob/#"}};
  list.everyone.publish = {{"all"}};
  list.anonymous.publish = {{"news"}};
  const RuleSet own{.publish = {{"own"}}};
  Judge judge;
  const auto may = [&judge](const Identity& who, std::string_view topic) {
    Access access{.identity = std::make_shared<const Identity>(who), .rights = nullptr};
    const bool once = judge.may(access, Action::publish, "c1", topic);
    BOOST_TEST(judge.may(access, Action::publish, "c1", topic) == once);  // from the cache
    BOOST_TEST(judge.may(who, Action::publish, "c1", topic) == once);     // not connected
    return once;
  };
  const Identity bob{.tenant = "default", .user = "bob"};
  const Identity eve{.tenant = "default", .user = "eve"};
  const Identity gone{.tenant = "acme", .user = "bob"};
  const Identity anonymous{.tenant = "default", .user = {}};
  BOOST_TEST(!may(bob, "all"));  // no directory: nobody may do anything
  judge.set_directory(directory_of({.accounts = {account("bob"), account("eve")}, .version = 1}));
  BOOST_TEST(may(bob, "anything"));
  BOOST_TEST(may(anonymous, "anything"));
  BOOST_TEST(!may(gone, "anything"));
  judge.set_directory(directory_of({.accounts = {account("bob"), account("eve", "x", "", own)},
                                    .access_list = list,
                                    .version = 2}));
  BOOST_TEST(may(bob, "bob/x"));
  BOOST_TEST(may(bob, "all"));
  BOOST_TEST(!may(bob, "news"));
  BOOST_TEST(may(eve, "own"));
  BOOST_TEST(!may(eve, "all"));  // its entry says all about it
  BOOST_TEST(may(anonymous, "news"));
  BOOST_TEST(may(anonymous, "all"));
  BOOST_TEST(!may(anonymous, "bob/x"));
  BOOST_TEST(!may(gone, "all"));
}

BOOST_AUTO_TEST_CASE(new_rules_hold_at_once_and_rights_are_shared) {
  const auto with = [](const char* filter, std::uint64_t version) {
    return directory_of({.accounts = {account("bob", "x", "", RuleSet{.publish = {{filter}}})},
                         .version = version});
  };
  Judge judge;
  judge.set_directory(with("a", 1));
  const IdentityRef bob = judge.directory()->by_login("bob")->identity;
  Access one{bob, nullptr};
  Access two{bob, nullptr};
  for (int i = 0; i < 100; ++i) {
    BOOST_TEST(judge.may(one, Action::publish, "c1", "a"));
    BOOST_TEST(judge.may(two, Action::publish, "c2", "a"));
  }
  BOOST_TEST(judge.counters().compiled == 1U);
  BOOST_TEST(judge.counters().judged == 1U);
  judge.set_directory(with("b", 2));
  BOOST_TEST(!judge.may(one, Action::publish, "c1", "a"));
  BOOST_TEST(judge.may(two, Action::publish, "c2", "b"));
  judge.set_directory(with("dev/%c", 3));
  BOOST_TEST(judge.may(one, Action::publish, "c1", "dev/c1"));
  BOOST_TEST(!judge.may(two, Action::publish, "c2", "dev/c1"));
  BOOST_TEST(judge.may(two, Action::publish, "c2", "dev/c2"));
  const std::string deep = "dev/" + std::string(Judge::kMaxCachedTopic, 'x');
  BOOST_TEST(!judge.may(two, Action::publish, "c2", deep));
}

BOOST_AUTO_TEST_CASE(unknown_names_cost_what_known_ones_do) {
  std::vector<Account> accounts;
  for (int i = 0; i < 8; ++i) accounts.push_back(account("user" + std::to_string(i)));
  const DirectoryRef directory = directory_of({.accounts = std::move(accounts), .seed = 7});
  std::set<const Account*> used;
  for (int i = 0; i < 200; ++i) used.insert(&directory->decoy("nobody" + std::to_string(i)));
  BOOST_TEST(used.size() == 8U);
}

BOOST_AUTO_TEST_CASE(failures_are_limited_by_user_and_by_address) {
  FailureLimiter limiter(
      {.by_user = 5, .by_address = 3, .fade_ms = 10'000, .max_block_ms = 60'000});
  std::uint64_t now = 1000;
  for (int i = 0; i < 2; ++i) limiter.failed("bob", "192.0.2.1", now);
  BOOST_TEST(!limiter.blocked("bob", "192.0.2.1", now));
  limiter.failed("eve", "192.0.2.1", now);
  BOOST_TEST(limiter.blocked("bob", "192.0.2.1", now));  // the address
  BOOST_TEST(limiter.blocked("kim", "192.0.2.1", now));
  BOOST_TEST(!limiter.blocked("bob", "192.0.2.2", now));
  for (int i = 0; i < 3; ++i) limiter.failed("bob", "198.51.100." + std::to_string(i), now);
  BOOST_TEST(limiter.blocked("bob", "203.0.113.9", now));  // the name
  BOOST_TEST(!limiter.blocked("kim", "203.0.113.9", now));
  now += 1000;
  BOOST_TEST(!limiter.blocked("bob", "203.0.113.9", now));
  limiter.failed("bob", "203.0.113.9", now);  // again: two seconds
  BOOST_TEST(limiter.blocked("bob", "203.0.113.9", now + 1999));
  BOOST_TEST(!limiter.blocked("bob", "203.0.113.9", now + 2000));
  for (int i = 0; i < 40; ++i) limiter.failed("bob", "203.0.113.9", now);
  BOOST_TEST(limiter.blocked("bob", "203.0.113.9", now + 59'999));
  BOOST_TEST(!limiter.blocked("bob", "203.0.113.9", now + 60'000));
  now += 1'000'000;  // long ago
  limiter.failed("bob", "203.0.113.9", now);
  BOOST_TEST(!limiter.blocked("bob", "203.0.113.9", now));
  for (int i = 0; i < 5; ++i) limiter.failed("kim", "203.0.113.7", now);
  limiter.succeeded("kim");
  BOOST_TEST(!limiter.blocked("kim", "203.0.113.8", now));
  BOOST_TEST(limiter.blocked("kim", "203.0.113.7", now));  // an account does not clear an address
}

BOOST_AUTO_TEST_CASE(addresses_of_one_network) {
  FailureLimiter limiter({.by_user = 0, .by_address = 2});
  limiter.failed("a", "2001:db8:0:1::1", 1);
  limiter.failed("b", "2001:db8:0:1:ffff::2", 1);
  BOOST_TEST(limiter.blocked("c", "2001:db8:0:1::3", 1));
  BOOST_TEST(!limiter.blocked("c", "2001:db8:0:2::3", 1));
  limiter.failed("a", "::ffff:192.0.2.1", 1);
  limiter.failed("a", "192.0.2.1", 1);
  BOOST_TEST(limiter.blocked("c", "192.0.2.1", 1));
  limiter.set_limits(0, 0);
  BOOST_TEST(!limiter.blocked("c", "192.0.2.1", 1));
}

BOOST_AUTO_TEST_CASE(a_flood_of_names_does_not_wash_out_a_count) {
  FailureLimiter limiter({.by_user = 5, .by_address = 0, .places = 64});
  for (int i = 0; i < 4; ++i) limiter.failed("victim", "x", 1);
  for (int i = 0; i < 100'000; ++i) limiter.failed("made-up-" + std::to_string(i), "x", 1);
  limiter.failed("victim", "x", 1);
  BOOST_TEST(limiter.blocked("victim", "x", 1));
}

}  // namespace
}  // namespace skald::auth
