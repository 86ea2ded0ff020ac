// The history checker on histories made by hand: bad ones, each of which must be found and blamed
// on the right invariant and on nothing else, and good ones that look suspicious.
//
// Times here are in milliseconds.
#define BOOST_TEST_MODULE chaos
#include <boost/test/unit_test.hpp>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/chaos/checker/check.h"
#include "tests/chaos/checker/match.h"

namespace skald::checker {
namespace {

// A persistent subscriber (c=1, client sub) and a persistent publisher (c=2, client pub).
constexpr const char* kSetup = R"(
0 connect c=1 id=sub exp=600 rm=3
1 connack c=1
2 sub c=1 s=1 f=a/# q=2
3 suback c=1 s=1 rc=2
4 connect c=2 id=pub exp=600
5 connack c=2
)";

constexpr const char* kDrained = R"(
20000 drained c=1 quiet=2000
)";

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

struct Case {
  const char* name;
  const char* broken;  // invariants, in the order of the table
  std::string text;
  Options options = {};
};

std::string setup(const char* text) { return std::string(kSetup) + text + kDrained; }

const std::vector<Case>& bad_cases() {
  static const std::vector<Case> cases = {
      {"QoS 1 acked and lost", "I1", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 puback c=2 m=1
)")},
      {"QoS 2 acked and lost", "I1", setup(R"(
100 pub c=2 m=1 t=a/b q=2 p=1
101 pubrec c=2 m=1
102 pubrel c=2 m=1
103 pubcomp c=2 m=1
)")},
      {"promised by PUBREC, then the publisher died", "I1", setup(R"(
100 pub c=2 m=1 t=a/b q=2 p=1
101 pubrec c=2 m=1
102 close c=2
)")},
      {"lost by a kill while the subscriber was away", "I1", setup(R"(
50 close c=1
100 pub c=2 m=1 t=a/b q=1 p=1
101 puback c=2 m=1
200 kill
201 close c=2
300 up
400 connect c=3 id=sub exp=600
401 connack c=3 sp=1
9000 drained c=3 quiet=2000
)")},
      {"a resent message acked late and lost", "I1", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
200 kill
201 close c=2
201 close c=1
300 up
400 connect c=3 id=pub exp=600
401 connack c=3 sp=1
402 repub c=3 m=1 p=1
403 puback c=3 m=1
404 connect c=4 id=sub exp=600
405 connack c=4 sp=1
9000 drained c=4 quiet=2000
)")},
      {"subscription forgotten though the session is present", "I1", setup(R"(
50 close c=1
60 connect c=3 id=sub exp=600
61 connack c=3 sp=1
100 pub c=2 m=1 t=a/b q=1 p=1
101 puback c=2 m=1
9000 drained c=3 quiet=2000
)")},
      {"expired long before its expiry", "I1", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1 x=3600
101 puback c=2 m=1
)")},
      {"more lost than reported for the session", "I1b", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 puback c=2 m=1
102 pub c=2 m=2 t=a/b q=1 p=1
103 puback c=2 m=2
200 drops n=1 id=sub
)")},
      {"more lost than reported for all", "I1b", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 puback c=2 m=1
102 pub c=2 m=2 t=a/b q=1 p=1
103 puback c=2 m=2
200 drops n=1
)")},
      {"reported as dropped, yet delivered", "I1b", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 puback c=2 m=1
102 deliver c=1 m=1 t=a/b q=1 p=1
103 ack c=1 p=1
200 drop id=sub m=1
)")},
      {"no matching subscribers, with one", "I1c", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 puback c=2 m=1 rc=16
102 deliver c=1 m=1 t=a/b q=1 p=1
)")},
      {"no matching subscribers, and lost", "I1 I1c", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 puback c=2 m=1 rc=16
)")},
      {"QoS 2 under a new packet id", "I2", setup(R"(
100 pub c=2 m=1 t=a/b q=2 p=1
101 deliver c=1 m=1 t=a/b q=2 p=1
102 rec c=1 p=1
103 deliver c=1 m=1 t=a/b q=2 p=2
104 rec c=1 p=2
)")},
      {"QoS 2 again after its PUBREL", "I2", setup(R"(
100 pub c=2 m=1 t=a/b q=2 p=1
101 deliver c=1 m=1 t=a/b q=2 p=1
102 rec c=1 p=1
103 rel c=1 p=1
104 comp c=1 p=1
105 deliver c=1 m=1 t=a/b q=2 p=1
)")},
      {"QoS 2 again after a reconnect of the publisher", "I2", setup(R"(
100 pub c=2 m=1 t=a/b q=2 p=1
101 deliver c=1 m=1 t=a/b q=2 p=1
102 rec c=1 p=1
103 rel c=1 p=1
104 comp c=1 p=1
105 close c=2
106 connect c=3 id=pub exp=600
107 connack c=3 sp=1
108 repub c=3 m=1 p=1
109 deliver c=1 m=1 t=a/b q=2 p=2
110 pubrec c=3 m=1
)")},
      {"two messages swapped", "I3", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 pub c=2 m=2 t=a/b q=1 p=2
102 deliver c=1 m=2 t=a/b q=1 p=1
103 deliver c=1 m=1 t=a/b q=1 p=2
)")},
      {"stored messages mixed with live ones", "I3", setup(R"(
50 close c=1
100 pub c=2 m=1 t=a/b q=1 p=1
101 pub c=2 m=2 t=a/b q=1 p=2
200 connect c=3 id=sub exp=600
201 connack c=3 sp=1
202 pub c=2 m=3 t=a/b q=1 p=3
203 deliver c=3 m=1 t=a/b q=1 p=1
204 deliver c=3 m=3 t=a/b q=1 p=2
205 deliver c=3 m=2 t=a/b q=1 p=3
)")},
      {"sent again on a live connection", "I3", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 deliver c=1 m=1 t=a/b q=1 p=1
5000 deliver c=1 m=1 t=a/b q=1 p=1 d=1
)")},
      {"sent again out of order", "I3", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 pub c=2 m=2 t=a/b q=1 p=2
102 deliver c=1 m=1 t=a/b q=1 p=1
103 deliver c=1 m=2 t=a/b q=1 p=2
104 close c=1
200 connect c=3 id=sub exp=600
201 connack c=3 sp=1
202 deliver c=3 m=2 t=a/b q=1 p=2 d=1
203 deliver c=3 m=1 t=a/b q=1 p=1 d=1
)")},
      {"an old retained message", "I4", setup(R"(
100 pub c=2 m=1 t=r q=1 r=1
101 puback c=2 m=1
102 pub c=2 m=2 t=r q=1 r=1
103 puback c=2 m=2
110 sub c=1 s=2 f=r q=1
111 suback c=1 s=2 rc=1
112 deliver c=1 m=1 t=r q=1 r=1 p=1
)")},
      {"a retained message lost by a kill", "I4", setup(R"(
100 pub c=2 m=1 t=r q=1 r=1
101 puback c=2 m=1
200 kill
201 close c=1
202 close c=2
300 up
400 connect c=3 id=sub exp=600
401 connack c=3 sp=1
402 sub c=3 s=1 f=r q=1
403 suback c=3 s=1 rc=1
2403 readend c=3 s=1
)")},
      {"a retained message missing from a wildcard", "I4", setup(R"(
100 pub c=2 m=1 t=r/1 q=1 r=1
101 puback c=2 m=1
102 pub c=2 m=2 t=r/2 q=1 r=1
103 puback c=2 m=2
402 sub c=1 s=2 f=r/+ q=1
403 suback c=1 s=2 rc=1
404 deliver c=1 m=1 t=r/1 q=1 r=1 p=1
2403 readend c=1 s=2
)")},
      {"a cleared message is back", "I5", setup(R"(
100 pub c=2 m=1 t=r q=1 r=1
101 puback c=2 m=1
102 pub c=2 m=2 t=r q=1 r=1 e=1
103 puback c=2 m=2
110 sub c=1 s=2 f=r q=1
111 suback c=1 s=2 rc=1
112 deliver c=1 m=1 t=r q=1 r=1 p=1
)")},
      {"a cleared message is back after a restart", "I5", setup(R"(
100 pub c=2 m=1 t=r q=2 r=1
101 pubrec c=2 m=1
102 pub c=2 m=2 t=r q=2 r=1 e=1
103 pubrec c=2 m=2
200 kill
201 close c=1
202 close c=2
300 up
400 connect c=3 id=sub exp=600
401 connack c=3 sp=1
402 sub c=3 s=1 f=# q=1
403 suback c=3 s=1 rc=1
404 deliver c=3 m=1 t=r q=1 r=1 p=1
)")},
      {"the old connection stays open after a takeover", "I6", setup(R"(
100 connect c=3 id=sub exp=600
101 connack c=3 sp=1
19000 close c=1
)")},
      {"a publish is accepted from the old connection", "I6", setup(R"(
100 connect c=3 id=pub exp=600
101 connack c=3 sp=1
102 pub c=2 m=1 t=x q=1 p=1
103 puback c=2 m=1
200 close c=2
)")},
      {"the old connection still gets messages", "I6", setup(R"(
100 connect c=3 id=sub exp=600
101 connack c=3 sp=1
1900 pub c=2 m=1 t=a/b q=0
1901 deliver c=1 m=1 t=a/b
2000 close c=1
)")},
      {"session present after a clean start", "I6", setup(R"(
50 close c=1
100 connect c=3 id=sub clean=1 exp=600
101 connack c=3 sp=1
)")},
      {"session present of nobody", "I6", setup(R"(
100 connect c=3 id=new exp=600
101 connack c=3 sp=1
)")},
      {"a session lost by a kill", "I7", setup(R"(
100 kill
101 close c=1
102 close c=2
200 up
300 connect c=3 id=sub exp=600
301 connack c=3
)")},
      {"a session gone before its expiry", "I7", setup(R"(
100 disconnect c=1 exp=30
101 close c=1
9000 connect c=3 id=sub exp=600
9001 connack c=3
)")},
      {"delivered after the unsubscribe", "I7", setup(R"(
50 unsub c=1 s=2 f=a/#
51 unsuback c=1 s=2
100 pub c=2 m=1 t=a/b q=1 p=1
101 deliver c=1 m=1 t=a/b q=1 p=1
)")},
      {"a subscription survives a clean start", "I7", setup(R"(
50 close c=1
51 connect c=3 id=sub clean=1 exp=600
52 connack c=3
100 pub c=2 m=1 t=a/b q=1 p=1
101 deliver c=3 m=1 t=a/b q=1 p=1
)")},
      {"a will never came", "I8", setup(R"(
50 connect c=3 id=w will=1 wt=a/w wq=1
51 connack c=3
100 close c=3
)")},
      {"a will lost by a kill", "I8", setup(R"(
50 connect c=3 id=w will=1 wt=a/w wq=1
51 connack c=3
100 kill
101 close c=1
102 close c=2
103 close c=3
200 up
300 connect c=4 id=sub exp=600
301 connack c=4 sp=1
20000 drained c=4 quiet=2000
)")},
      {"a will after a clean disconnect", "I8", setup(R"(
50 connect c=3 id=w will=1 wt=a/w wq=1
51 connack c=3
100 disconnect c=3
101 close c=3
102 deliver c=1 m=1 t=a/w q=1 p=1
)")},
      {"the will of a live connection", "I8", setup(R"(
50 connect c=3 id=w will=1 wt=a/w wq=1
51 connack c=3
100 deliver c=1 m=1 t=a/w q=1 p=1
)")},
      {"a will before its delay", "I8", setup(R"(
50 connect c=3 id=w exp=60 will=1 wt=a/w wq=1 wd=5
51 connack c=3
100 close c=3
101 deliver c=1 m=1 t=a/w q=1 p=1
)")},
      {"a will though the client was back in time", "I8", setup(R"(
50 connect c=3 id=w exp=60 will=1 wt=a/w wq=1 wd=5
51 connack c=3
100 close c=3
1000 connect c=4 id=w exp=60
1001 connack c=4 sp=1
5200 deliver c=1 m=1 t=a/w q=1 p=1
)")},
      {"a will twice", "I8", setup(R"(
50 connect c=3 id=w will=1 wt=a/w wq=1
51 connack c=3
100 close c=3
101 deliver c=1 m=1 t=a/w q=1 p=1
102 ack c=1 p=1
110 deliver c=1 m=1 t=a/w q=1 p=2
)")},
      {"a will of a refused connection", "I8", setup(R"(
50 connect c=3 id=w will=1 wt=a/w wq=1
51 connack c=3 rc=135
101 deliver c=1 m=1 t=a/w q=1 p=1
)")},
      {"two members of a group", "I9", setup(R"(
50 connect c=3 id=m1 exp=600
51 connack c=3
52 sub c=3 s=1 f=$share/g/s q=1
53 suback c=3 s=1 rc=1
60 connect c=4 id=m2 exp=600
61 connack c=4
62 sub c=4 s=1 f=$share/g/s q=1
63 suback c=4 s=1 rc=1
100 pub c=2 m=1 t=s q=1 p=1
101 puback c=2 m=1
102 deliver c=3 m=1 t=s q=1 p=1
103 deliver c=4 m=1 t=s q=1 p=1
)")},
      {"no member of a group", "I9", setup(R"(
50 connect c=3 id=m1 exp=600
51 connack c=3
52 sub c=3 s=1 f=$share/g/s q=1
53 suback c=3 s=1 rc=1
100 pub c=2 m=1 t=s q=1 p=1
101 puback c=2 m=1
9000 drained c=3 quiet=2000
)")},
      {"a message of another tenant", "I10", setup(R"(
50 connect c=3 id=pub tn=t2 exp=600
51 connack c=3
100 pub c=3 m=1 t=a/b q=0
101 deliver c=1 m=1 t=a/b
)")},
      {"a retained message of another tenant", "I10", setup(R"(
50 connect c=3 id=sub tn=t2 exp=600
51 connack c=3
100 pub c=2 m=1 t=r q=1 r=1
101 puback c=2 m=1
102 sub c=3 s=1 f=# q=0
103 suback c=3 s=1 rc=0
104 deliver c=3 m=1 t=r r=1
)")},
      {"a message nobody sent", "I11", setup("101 deliver c=1 m=77 t=a/b\n")},
      {"a payload that is garbage", "I11", setup("101 deliver c=1 m=0 t=a/b\n")},
      {"on another topic", "I11", setup(R"(
100 pub c=2 m=1 t=a/b q=0
101 deliver c=1 m=1 t=a/c
)")},
      {"without a subscription", "I11", setup(R"(
100 pub c=2 m=1 t=x q=0
101 deliver c=1 m=1 t=x
)")},
      {"at a higher QoS than sent", "I11", setup(R"(
100 pub c=2 m=1 t=a/b q=0
101 deliver c=1 m=1 t=a/b q=1 p=1
)")},
      {"refused as not authorized, yet delivered", "I11", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 puback c=2 m=1 rc=135
102 deliver c=1 m=1 t=a/b q=1 p=1
)")},
      {"delivered after its expiry", "I12", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1 x=3
101 puback c=2 m=1
6000 deliver c=1 m=1 t=a/b q=1 p=1
)")},
      {"the expiry does not count down", "I12", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1 x=60
101 puback c=2 m=1
9000 deliver c=1 m=1 t=a/b q=1 p=1 x=60
)")},
      {"a session outlives its expiry", "I12", setup(R"(
100 disconnect c=1 exp=3
101 close c=1
9000 connect c=3 id=sub exp=600
9001 connack c=3 sp=1
)")},
      {"above the receive maximum", "I13", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
100 pub c=2 m=2 t=a/b q=1 p=2
100 pub c=2 m=3 t=a/b q=1 p=3
100 pub c=2 m=4 t=a/b q=1 p=4
101 deliver c=1 m=1 t=a/b q=1 p=1
102 deliver c=1 m=2 t=a/b q=1 p=2
103 deliver c=1 m=3 t=a/b q=1 p=3
104 deliver c=1 m=4 t=a/b q=1 p=4
)")},
      {"a packet id in flight is reused", "I13", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
100 pub c=2 m=2 t=a/b q=1 p=2
101 deliver c=1 m=1 t=a/b q=1 p=1
102 deliver c=1 m=2 t=a/b q=1 p=1
)")},
      {"a packet id in flight is reused after a takeover", "I13", setup(R"(
100 pub c=2 m=1 t=a/b q=2 p=1
101 deliver c=1 m=1 t=a/b q=2 p=9
102 rec c=1 p=9
110 connect c=3 id=sub exp=600
111 connack c=3 sp=1
112 close c=1
120 pub c=2 m=2 t=a/b q=2 p=2
121 deliver c=3 m=2 t=a/b q=2 p=9
)")},
  };
  return cases;
}

const std::vector<Case>& good_cases() {
  static const std::vector<Case> cases = {
      {"unknown outcomes may vanish", "", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 pub c=2 m=2 t=a/b q=2 p=2
102 close c=2
)")},
      {"unknown outcomes may come", "", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 close c=2
9000 deliver c=1 m=1 t=a/b q=1 p=1
)")},
      {"QoS 2 in brokers that promise by PUBCOMP",
       "",
       setup(R"(
100 pub c=2 m=1 t=a/b q=2 p=1
101 pubrec c=2 m=1
102 close c=2
)"),
       {.promise_at_pubcomp = true}},
      {"redelivery with DUP after a reconnect, QoS 1 and 2", "", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 pub c=2 m=2 t=a/b q=2 p=2
102 puback c=2 m=1
103 pubrec c=2 m=2
104 deliver c=1 m=1 t=a/b q=1 p=1
105 deliver c=1 m=2 t=a/b q=2 p=2
106 rec c=1 p=2
107 close c=1
200 connect c=3 id=sub exp=600
201 connack c=3 sp=1
202 deliver c=3 m=1 t=a/b q=1 p=1 d=1
203 deliver c=3 m=2 t=a/b q=2 p=2 d=1
204 ack c=3 p=1
205 rec c=3 p=2
206 rel c=3 p=2
207 comp c=3 p=2
)")},
      {"QoS 1 twice after the publisher resent it", "", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 pub c=2 m=2 t=a/b q=1 p=2
102 deliver c=1 m=1 t=a/b q=1 p=1
103 deliver c=1 m=2 t=a/b q=1 p=2
104 ack c=1 p=1
104 ack c=1 p=2
105 close c=2
106 connect c=3 id=pub exp=600
107 connack c=3 sp=1
108 repub c=3 m=1 p=1
109 repub c=3 m=2 p=2
110 deliver c=1 m=1 t=a/b q=1 p=3
111 deliver c=1 m=2 t=a/b q=1 p=4
112 puback c=3 m=1
113 puback c=3 m=2
)")},
      {"message expiry in the queue", "", setup(R"(
50 close c=1
100 pub c=2 m=1 t=a/b q=1 p=1 x=3
101 puback c=2 m=1
9000 connect c=3 id=sub exp=600
9001 connack c=3 sp=1
20000 drained c=3 quiet=2000
)")},
      {"a delivery begun before the expiry may end after it", "", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1 x=3
101 puback c=2 m=1
200 close c=1
9000 connect c=3 id=sub exp=600
9001 connack c=3 sp=1
9002 deliver c=3 m=1 t=a/b q=1 p=1 d=1
)")},
      {"overflow, each drop reported", "", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 puback c=2 m=1
102 pub c=2 m=2 t=a/b q=1 p=2
103 puback c=2 m=2
104 pub c=2 m=3 t=a/b q=1 p=3
105 puback c=2 m=3
200 drop id=sub m=1
201 drops n=1 id=sub
202 drops n=1
)")},
      {"refused for quota", "", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 puback c=2 m=1 rc=151
)")},
      {"will delay with return in time", "", setup(R"(
50 connect c=3 id=w exp=60 will=1 wt=a/w wq=1 wd=5
51 connack c=3
100 close c=3
1000 connect c=4 id=w exp=60
1001 connack c=4 sp=1
)")},
      {"will delay cut short by the end of the session", "", setup(R"(
50 connect c=3 id=w exp=60 will=1 wt=a/w wq=1 wd=30
51 connack c=3
100 close c=3
1000 connect c=4 id=w clean=1
1001 connack c=4
1002 deliver c=1 m=1 t=a/w q=1 p=1
)")},
      {"will by DISCONNECT 4, and by takeover", "", setup(R"(
50 connect c=3 id=w will=1 wt=a/w wq=1
51 connack c=3
100 disconnect c=3 rc=4
101 close c=3
102 deliver c=1 m=1 t=a/w q=1 p=1
110 connect c=4 id=w exp=60 will=2 wt=a/w wq=1
111 connack c=4
120 connect c=5 id=w exp=60
121 deliver c=1 m=2 t=a/w q=1 p=2
122 connack c=5 sp=1
123 close c=4 srv=1 rc=142
)")},
      {"a clean disconnect that a kill may have swallowed", "", setup(R"(
50 connect c=3 id=w will=1 wt=a/w wq=1
51 connack c=3
100 disconnect c=3
100 kill
101 close c=1
102 close c=2
103 close c=3
200 up
300 connect c=4 id=sub exp=600
301 connack c=4 sp=1
3400 deliver c=4 m=1 t=a/w q=1 p=1
)")},
      {"a will that waits over a kill, the client back at an unlucky moment", "", setup(R"(
50 connect c=3 id=w exp=60 will=1 wt=a/w wq=1 wd=5
51 connack c=3
100 kill
101 close c=1
102 close c=2
103 close c=3
200 up
300 connect c=5 id=sub exp=600
301 connack c=5 sp=1
7000 connect c=4 id=w exp=60
7001 connack c=4 sp=1
40000 drained c=5 quiet=2000
)")},
      {"a weak broker loses a transient session's will by a kill",
       "",
       setup(R"(
50 connect c=3 id=w will=1 wt=a/w wq=1
51 connack c=3
100 kill
101 close c=1
102 close c=2
103 close c=3
200 up
300 connect c=4 id=sub exp=600
301 connack c=4 sp=1
20000 drained c=4 quiet=2000
)"),
       {.weak_wills = true}},
      {"late ack after a takeover", "", setup(R"(
100 pub c=2 m=1 t=x q=1 p=1
101 connect c=3 id=pub exp=600
102 connack c=3 sp=1
103 puback c=2 m=1
104 close c=2 srv=1 rc=142
)")},
      {"a session that a clean start of unknown outcome may have ended", "", setup(R"(
50 close c=1
60 connect c=3 id=sub clean=1
70 close c=3
100 pub c=2 m=1 t=a/b q=1 p=1
101 puback c=2 m=1
3000 connect c=4 id=sub exp=600
3001 connack c=4
20000 drained c=4 quiet=2000
)")},
      {"a transient session ends with its connection", "", setup(R"(
50 connect c=3 id=tr
51 connack c=3
52 sub c=3 s=1 f=a/b q=1
53 suback c=3 s=1 rc=1
100 pub c=2 m=1 t=a/b q=1 p=1
101 puback c=2 m=1
102 deliver c=1 m=1 t=a/b q=1 p=1
103 close c=3
200 connect c=4 id=tr
201 connack c=4
9000 drained c=4 quiet=2000
)")},
      {"unsubscribed before the queue was drained", "", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 puback c=2 m=1
102 unsub c=1 s=2 f=a/#
103 unsuback c=1 s=2
)")},
      {"queued before the unsubscribe, delivered after", "", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 puback c=2 m=1
102 unsub c=1 s=2 f=a/#
103 unsuback c=1 s=2
104 deliver c=1 m=1 t=a/b q=1 p=1
)")},
      {"nothing drained, nothing judged", "", std::string(kSetup) + R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 puback c=2 m=1
)"},
      {"overlapping subscriptions: two copies at QoS 2", "", setup(R"(
10 sub c=1 s=2 f=a/b q=2
11 suback c=1 s=2 rc=2
100 pub c=2 m=1 t=a/b q=2 p=1
101 deliver c=1 m=1 t=a/b q=2 p=1
102 deliver c=1 m=1 t=a/b q=2 p=2
)")},
      {"a retained write of unknown outcome, a concurrent clear", "", setup(R"(
100 pub c=2 m=1 t=r q=1 r=1
101 puback c=2 m=1
102 pub c=2 m=2 t=r q=1 r=1
103 close c=2
110 sub c=1 s=2 f=r q=1
111 suback c=1 s=2 rc=1
112 deliver c=1 m=1 t=r q=1 r=1 p=1
113 ack c=1 p=1
2000 readend c=1 s=2
2100 sub c=1 s=3 f=r q=1
2111 suback c=1 s=3 rc=1
2112 deliver c=1 m=2 t=r q=1 r=1 p=1
4000 readend c=1 s=3
)")},
      {"a retained message expires", "", setup(R"(
100 pub c=2 m=1 t=r q=1 r=1 x=3
101 puback c=2 m=1
3200 sub c=1 s=2 f=r q=1
3201 suback c=1 s=2 rc=1
5200 readend c=1 s=2
)")},
      {"skipped by the retained feed, for it came live", "", setup(R"(
100 pub c=2 m=1 t=r q=1 r=1
101 puback c=2 m=1
110 sub c=1 s=2 f=r q=1
111 suback c=1 s=2 rc=1
112 pub c=2 m=2 t=r q=1 r=1
113 deliver c=1 m=2 t=r q=1 p=1
114 puback c=2 m=2
5200 readend c=1 s=2
)")},
      {"a group member dies with a message", "", setup(R"(
50 connect c=3 id=m1 exp=600
51 connack c=3
52 sub c=3 s=1 f=$share/g/s q=1
53 suback c=3 s=1 rc=1
60 connect c=4 id=m2 exp=600
61 connack c=4
62 sub c=4 s=1 f=$share/g/s q=1
63 suback c=4 s=1 rc=1
100 pub c=2 m=1 t=s q=1 p=1
101 puback c=2 m=1
102 deliver c=3 m=1 t=s q=1 p=1
103 close c=3
104 deliver c=4 m=1 t=s q=1 p=1
)")},
      {"equal names in two tenants", "", setup(R"(
50 connect c=3 id=sub tn=t2 exp=600
51 connack c=3
52 sub c=3 s=1 f=a/# q=1
53 suback c=3 s=1 rc=1
100 pub c=2 m=1 t=a/b q=1 p=1
101 puback c=2 m=1
102 deliver c=1 m=1 t=a/b q=1 p=1
9000 drained c=3 quiet=2000
)")},
  };
  return cases;
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
