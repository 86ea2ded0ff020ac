// Validity of names and filters, and the plain matcher, by table.
#include "mqtt/topic/topic.h"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

namespace skald::topic {

// Found by Boost.Test through the namespace of Refusal.
static std::ostream& operator<<(std::ostream& out, Refusal refusal) {
  return out << to_string(refusal);
}

namespace {

using namespace std::string_literals;

BOOST_AUTO_TEST_SUITE(topic_rules)

BOOST_AUTO_TEST_CASE(names) {
  const struct {
    std::string name;
    Refusal want;
  } cases[] = {
      {"a", Refusal::none},
      {"/", Refusal::none},
      {"a//b", Refusal::none},
      {" ", Refusal::none},
      {"$SYS/x", Refusal::none},
      {"sport/tennis/player1", Refusal::none},
      {"", Refusal::empty},                          // [MQTT-4.7.3-1]
      {"a\0b"s, Refusal::null_character},            // [MQTT-4.7.3-2]
      {std::string(65536, 'a'), Refusal::too_long},  // [MQTT-4.7.3-3]
      {std::string(65535, 'a'), Refusal::none},
      {"a/+", Refusal::wildcard_in_name},  // [MQTT-4.7.0-1]
      {"a#", Refusal::wildcard_in_name},
      {std::string(199, '/'), Refusal::none},
      {std::string(200, '/'), Refusal::too_many_levels},
      {std::string(65535, '/'), Refusal::too_many_levels},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.name.substr(0, 40)) { BOOST_CHECK_EQUAL(check_name(c.name), c.want); }
  }
  BOOST_CHECK_EQUAL(check_name("a/b/c", {.max_bytes = 5, .max_levels = 3}), Refusal::none);
  BOOST_CHECK_EQUAL(check_name("a/b/cc", {.max_bytes = 5, .max_levels = 3}), Refusal::too_long);
  BOOST_CHECK_EQUAL(check_name("a/b//", {.max_bytes = 5, .max_levels = 3}),
                    Refusal::too_many_levels);
}

BOOST_AUTO_TEST_CASE(filters) {
  const struct {
    std::string text;
    Refusal want;
    std::string group;
    std::string filter;
  } cases[] = {
      {"#", Refusal::none, "", "#"},
      {"+", Refusal::none, "", "+"},
      {"+/+", Refusal::none, "", "+/+"},
      {"/+", Refusal::none, "", "/+"},
      {"a/+/b/#", Refusal::none, "", "a/+/b/#"},
      {"$share", Refusal::none, "", "$share"},
      {"$shared/g/x", Refusal::none, "", "$shared/g/x"},
      {"$SYS/#", Refusal::none, "", "$SYS/#"},
      {"", Refusal::empty, "", ""},
      {"a\0"s, Refusal::null_character, "", ""},
      {"a/#/b", Refusal::hash_not_last, "", ""},    // [MQTT-4.7.1-1]
      {"#/", Refusal::hash_not_last, "", ""},       // [MQTT-4.7.1-1]
      {"a#", Refusal::hash_not_alone, "", ""},      // [MQTT-4.7.1-1]
      {"a/b#", Refusal::hash_not_alone, "", ""},    // [MQTT-4.7.1-1]
      {"##", Refusal::hash_not_alone, "", ""},      // [MQTT-4.7.1-1]
      {"a+", Refusal::plus_not_alone, "", ""},      // [MQTT-4.7.1-2]
      {"a/+b/c", Refusal::plus_not_alone, "", ""},  // [MQTT-4.7.1-2]
      {"++", Refusal::plus_not_alone, "", ""},
      {"$share/g/x", Refusal::none, "g", "x"},
      {"$share/g//", Refusal::none, "g", "/"},
      {"$share/g/#", Refusal::none, "g", "#"},
      {"$share/a b/$SYS/+", Refusal::none, "a b", "$SYS/+"},
      {"$share/", Refusal::share_without_group, "", ""},  // [MQTT-4.8.2-1]
      {"$share//x", Refusal::share_without_group, "", ""},
      {"$share/g", Refusal::share_without_filter, "", ""},  // [MQTT-4.8.2-2]
      {"$share/g/", Refusal::share_without_filter, "", ""},
      {"$share/+/x", Refusal::share_group_wildcard, "", ""},  // [MQTT-4.8.2-2]
      {"$share/g#/x", Refusal::share_group_wildcard, "", ""},
      {"$share/g/a+", Refusal::plus_not_alone, "", ""},
      {"$share/g/#/a", Refusal::hash_not_last, "", ""},
      {"$oshare/g/x", Refusal::ordered_share, "", ""},
      {std::string(200, '/'), Refusal::too_many_levels, "", ""},
      {"$share/g/" + std::string(199, '/'), Refusal::none, "g", std::string(199, '/')},
      {"$share/g/" + std::string(200, '/'), Refusal::too_many_levels, "", ""},
      {std::string(65536, 'a'), Refusal::too_long, "", ""},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.text.substr(0, 40)) {
      const Filter parsed = parse_filter(c.text);
      BOOST_CHECK_EQUAL(parsed.refusal, c.want);
      if (c.want != Refusal::none) continue;
      BOOST_CHECK_EQUAL(parsed.group, c.group);
      BOOST_CHECK_EQUAL(parsed.filter, c.filter);
      BOOST_CHECK_EQUAL(parsed.shared(), !c.group.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(plain_matcher) {
  const struct {
    const char* filter;
    const char* name;
    bool want;
  } cases[] = {
      // The examples of MQTT 5.0 sections 4.7.1 and 4.7.2.
      {"sport/tennis/player1/#", "sport/tennis/player1", true},
      {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
      {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
      {"sport/#", "sport", true},
      {"#", "sport", true},
      {"sport/tennis/+", "sport/tennis/player1", true},
      {"sport/tennis/+", "sport/tennis/player1/ranking", false},
      {"sport/+", "sport", false},
      {"sport/+", "sport/", true},
      {"+/+", "/finance", true},
      {"/+", "/finance", true},
      {"+", "/finance", false},
      {"#", "$SYS/monitor", false},
      {"+/monitor/Clients", "$SYS/monitor/Clients", false},
      {"$SYS/#", "$SYS/monitor/Clients", true},
      {"$SYS/monitor/+", "$SYS/monitor/Clients", true},
      // Ours.
      {"+", "$SYS", false},
      {"a/+/c", "a/$b/c", true},
      {"a", "A", false},
      {"a", "a/", false},
      {"a/", "a", false},
      {"a//b", "a//b", true},
      {"a/+/b", "a//b", true},
      {"+/#", "a", true},
      {"+/+/#", "a", false},
      {"a/#", "ab", false},
      {"a/b", "a", false},
      {"a", "a/b", false},
      {"/#", "/", true},
      {"/#", "", true},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.filter << " on " << c.name) {
      BOOST_CHECK_EQUAL(matches(c.filter, c.name), c.want);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::topic
