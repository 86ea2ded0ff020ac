#include "mqtt/auth/rights.h"

#include <boost/test/unit_test.hpp>

#include "config/base/random.h"
#include "mqtt/auth/filters.h"
#include "mqtt/auth/mosquitto_files.h"
#include "mqtt/topic/topic.h"

namespace skald::auth {
namespace {

using namespace std::string_view_literals;

Rights compiled(const RuleSet& rules, std::string_view user = "bob",
                std::string_view client = "c1") {
  const RuleSet* sets[] = {&rules};
  return Rights(sets, user, client, 1, 1);
}

BOOST_AUTO_TEST_CASE(filters_that_cover_or_overlap) {
  struct Case {
    std::string_view a;
    std::string_view b;
    bool covers;
    bool overlaps;
  };
  const Case cases[] = {
      {"#", "#", true, true},          {"#", "a/b", true, true},
      {"#", "$SYS/#", false, false},   {"+/#", "$SYS/x", false, false},
      {"+", "$x", false, false},       {"$SYS/#", "$SYS/+", true, true},
      {"$SYS/#", "#", false, false},   {"a/#", "a", true, true},
      {"a/#", "a/+/c", true, true},    {"a/+", "a/#", false, true},
      {"a/+", "a/b", true, true},      {"a/b", "a/+", false, true},
      {"a/+", "a", false, false},      {"a/+", "a/", true, true},
      {"+/+", "a/#", false, true},     {"a/b", "a/c", false, false},
      {"a/+/c", "a/b/#", false, true}, {"a/+/c", "+/b/d", false, false},
      {"a/b/#", "a", false, false},    {"a", "a/#", false, true},
      {"a/#", "#", false, true},       {"", "+", false, true},
  };
  for (const Case& one : cases) {
    BOOST_TEST_CONTEXT(one.a << " and " << one.b) {
      BOOST_TEST(covers(one.a, one.b) == one.covers);
      BOOST_TEST(overlaps(one.a, one.b) == one.overlaps);
      BOOST_TEST(overlaps(one.b, one.a) == one.overlaps);
    }
  }
}

/// Against the plain definition: topics over a small alphabet, all of them.
BOOST_AUTO_TEST_CASE(filters_relate_as_the_topics_they_match) {
  const std::string_view words[] = {"a", "b", "$s", "", "+", "#"};
  std::vector<std::string> topics;
  for (std::size_t i = 0; i < 4; ++i) {
    topics.emplace_back(words[i]);
    for (std::size_t k = 0; k < 4; ++k) {
      topics.push_back(std::string(words[i]) + "/" + std::string(words[k]));
      for (std::size_t m = 0; m < 4; ++m)
        topics.push_back(topics.back() + "/" + std::string(words[m]));
    }
  }
  std::vector<std::string> filters;
  for (const std::string_view first : words) {
    filters.emplace_back(first);
    for (const std::string_view second : words) {
      filters.push_back(std::string(first) + "/" + std::string(second));
    }
  }
  std::erase_if(filters, [](const std::string& f) {
    return topic::check_plain_filter(f) != topic::Refusal::none;
  });
  for (const std::string& a : filters) {
    for (const std::string& b : filters) {
      bool common = false;
      bool all = true;
      for (const std::string& name : topics) {
        common |= topic::matches(a, name) && topic::matches(b, name);
        all &= !topic::matches(b, name) || topic::matches(a, name);
      }
      BOOST_TEST_CONTEXT(a << " and " << b) {
        BOOST_TEST(overlaps(a, b) == common);
        if (covers(a, b)) BOOST_TEST(all);  // it may miss one, never claim one
        if (a.find('#') == std::string::npos && b.find('#') == std::string::npos) {
          BOOST_TEST(covers(a, b) == all);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(deny_wins_and_silence_refuses) {
  const RuleSet rules{.publish = {{"home/secret/#", true}, {"home/#", false}},
                      .subscribe = {{"home/#", false}, {"home/secret/#", true}},
                      .receive = {{"home/#", false}, {"alarm", false}}};
  const Rights rights = compiled(rules);
  BOOST_TEST(!rights.everything());
  BOOST_TEST(rights.allows(Action::publish, "home/x"));
  BOOST_TEST(rights.allows(Action::publish, "home"));
  BOOST_TEST(!rights.allows(Action::publish, "home/secret/x"));
  BOOST_TEST(!rights.allows(Action::publish, "alarm"));
  BOOST_TEST(rights.allows(Action::subscribe, "home/#"));  // the denied part is not delivered
  BOOST_TEST(rights.allows(Action::subscribe, "home/+/x"));
  BOOST_TEST(!rights.allows(Action::subscribe, "home/secret/+"));
  BOOST_TEST(!rights.allows(Action::subscribe, "#"));
  BOOST_TEST(!rights.allows(Action::subscribe, "+/x"));
  BOOST_TEST(!rights.allows(Action::receive, "home/secret/x"));
  BOOST_TEST(rights.allows(Action::receive, "home/x"));
  BOOST_TEST(rights.allows(Action::receive, "alarm"));
  const Rights none = compiled(RuleSet{});
  for (const Action action : {Action::publish, Action::subscribe, Action::receive}) {
    BOOST_TEST(!none.allows(action, "a"));
    BOOST_TEST(!Rights({}, "bob", "c1", 1, 1).allows(action, "a"));
  }
  BOOST_TEST(compiled(RuleSet{.everything = true}).allows(Action::subscribe, "$SYS/#"));
  BOOST_TEST(!compiled(RuleSet{.publish = {{"#", false}}}).allows(Action::publish, "$SYS/x"));
}

/// CVE-2017-7650 and its kin: whatever the names hold, an allowing rule never matches more than one
/// level's worth of that name, and a denying one never less than it would.
BOOST_AUTO_TEST_CASE(names_never_widen_a_rule) {
  const RuleSet rules{
      .publish = {
          {"dev/%c/#", false}, {"%u/x", false}, {"all/#", false}, {"all/%c/private/#", true}}};
  const Rights good = compiled(rules, "bob", "c1");
  BOOST_TEST(good.allows(Action::publish, "dev/c1/up"));
  BOOST_TEST(!good.allows(Action::publish, "dev/c2/up"));
  BOOST_TEST(good.allows(Action::publish, "bob/x"));
  BOOST_TEST(good.allows(Action::publish, "all/c1/open"));
  BOOST_TEST(!good.allows(Action::publish, "all/c1/private/x"));
  const std::string_view attacks[] = {"+", "#", "a/b",    "+/#", "c2/#",
                                      "/", "",  "a\0b"sv, "c+",  "#c"};
  for (const std::string_view name : attacks) {
    BOOST_TEST_CONTEXT(name) {
      const Rights client = compiled(rules, "bob", name);
      for (const std::string_view topic :
           {"dev/c1/up"sv, "dev/c2/up"sv, "dev/a/b/x"sv, "dev//up"sv}) {
        BOOST_TEST(!client.allows(Action::publish, topic));
      }
      BOOST_TEST(!client.allows(Action::publish, "all/c1/private/x"));
      BOOST_TEST(!client.allows(Action::publish, "all/a/b/private/x"));
      BOOST_TEST(!client.allows(Action::publish, "all/c1/open"));  // dearer than to guess
      const Rights user = compiled(rules, name, "c1");
      BOOST_TEST(!user.allows(Action::publish, "bob/x"));
      BOOST_TEST(!user.allows(Action::publish, "a/b/x"));
      BOOST_TEST(!user.allows(Action::publish, "/x"));
    }
  }
  // A name does not reach the topics that begin with $, and is not replaced again.
  const RuleSet plain{.publish = {{"%u/#", false}}};
  BOOST_TEST(!compiled(plain, "$SYS").allows(Action::publish, "$SYS/x"));
  BOOST_TEST(compiled(plain, "%c", "c1").allows(Action::publish, "%c/x"));
  BOOST_TEST(!compiled(plain, "%c", "c1").allows(Action::publish, "c1/x"));
}

BOOST_AUTO_TEST_CASE(rules_that_cannot_be) {
  for (const std::string_view good : {"#", "a/%c/+", "%u", "100%/x", "$SYS/#", "a b"}) {
    BOOST_TEST(rule_problem(good).empty());
  }
  for (const std::string_view bad : {"", "a#", "#/a", "a+", "$share/g/x", "%c#"}) {
    BOOST_TEST(!rule_problem(bad).empty());
  }
}

BOOST_AUTO_TEST_CASE(an_acl_file) {
  const Result<AccessList> list = parse_acl_file("acl", R"(# the anonymous part
topic read news/#
topic $SYS/#

user bob
topic readwrite bob/#
topic deny bob/private/#
topic write  with spaces/in it

user acme/eve
pattern read  dev/%c/up
pattern write dev/%c/down
)");
  BOOST_REQUIRE(list.ok());
  const auto with_patterns = [&list](const RuleSet& own, std::string_view user) {
    const RuleSet* sets[] = {&own, &list->everyone};
    return Rights(sets, user, "c1", 1, 1);
  };
  const Rights bob = with_patterns(list->users.at("bob"), "bob");
  BOOST_TEST(bob.allows(Action::publish, "bob/x"));
  BOOST_TEST(!bob.allows(Action::publish, "bob/private/x"));
  BOOST_TEST(!bob.allows(Action::receive, "bob/private/x"));
  BOOST_TEST(bob.allows(Action::publish, "with spaces/in it"));
  BOOST_TEST(!bob.allows(Action::receive, "with spaces/in it"));
  BOOST_TEST(bob.allows(Action::subscribe, "#"));  // of which it gets what it may read
  BOOST_TEST(bob.allows(Action::subscribe, "bob/#"));
  BOOST_TEST(!bob.allows(Action::subscribe, "news/#"));
  BOOST_TEST(!bob.allows(Action::subscribe, "bob/private/x"));
  BOOST_TEST(bob.allows(Action::receive, "dev/c1/up"));
  BOOST_TEST(!bob.allows(Action::publish, "dev/c1/up"));
  BOOST_TEST(!bob.allows(Action::publish, "dev/c2/down"));
  const Rights anonymous = with_patterns(list->anonymous, "");
  BOOST_TEST(anonymous.allows(Action::receive, "news/x"));
  BOOST_TEST(!anonymous.allows(Action::publish, "news/x"));
  BOOST_TEST(anonymous.allows(Action::publish, "$SYS/x"));  // by its rights
  BOOST_TEST(list->users.contains("acme/eve"));
  const Result<AccessList> empty = parse_acl_file("acl", "\n# nothing\n");
  BOOST_REQUIRE(empty.ok());
  BOOST_TEST(!with_patterns(empty->anonymous, "").allows(Action::publish, "a"));
}

BOOST_AUTO_TEST_CASE(bad_files_are_refused_whole_with_their_lines) {
  const Result<AccessList> acl = parse_acl_file(
      "acl", "user a\n  topic loud x\ntopic\n\npattern read a#\nnonsense x\nuser\ntopic read ok\n");
  BOOST_REQUIRE(!acl.ok());
  for (const std::string_view part : {"acl:2: access", "acl:3: something", "acl:5: topic",
                                      "acl:6: must begin", "acl:7: something"}) {
    BOOST_TEST(acl.error().message.find(part) != std::string::npos);
  }
  BOOST_TEST(acl.error().message.find("acl:8") == std::string::npos);
  BOOST_TEST(!parse_acl_file("acl", "topic read a\0b"sv).ok());
  const auto hash = PasswordHash::pbkdf2("x", "salt", 5)->text();
  const Result<std::vector<Account>> good =
      parse_password_file("pw", "# users\r\nbob:" + hash + "\r\n\nacme/eve:" + hash);
  BOOST_REQUIRE(good.ok());
  BOOST_REQUIRE(good->size() == 2U);
  BOOST_TEST((*good)[1].identity->tenant == "acme");
  BOOST_TEST((*good)[1].identity->user == "eve");
  BOOST_TEST((*good)[1].login == "acme/eve");
  const Result<std::vector<Account>> bad =
      parse_password_file("pw", "bob\nbob:\nbob:plain\n:" + hash + "\nbad tenant/x:" + hash +
                                    "\nacme/:" + hash + "\n/x:" + hash + "\nok:" + hash);
  BOOST_REQUIRE(!bad.ok());
  for (int line = 1; line <= 7; ++line) {
    BOOST_TEST(bad.error().message.find("pw:" + std::to_string(line) + ": ") != std::string::npos);
  }
  BOOST_TEST(bad.error().message.find("pw:8") == std::string::npos);
  BOOST_TEST(bad.error().message.find("plain") == std::string::npos);  // a password, perhaps
}

}  // namespace
}  // namespace skald::auth
