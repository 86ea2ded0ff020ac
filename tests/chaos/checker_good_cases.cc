#include <string>
#include <vector>

#include "tests/chaos/checker_cases.h"

namespace skald::checker {

namespace {

const std::vector<Case> kGoodCases = {
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
    {"two copies that the publisher's resending made, in order", "", setup(R"(
100 pub c=2 m=1 t=a/b q=1 p=1
101 pub c=2 m=2 t=a/b q=1 p=2
102 close c=1
103 close c=2
106 connect c=3 id=pub exp=600
107 connack c=3 sp=1
108 repub c=3 m=1 p=1
109 repub c=3 m=2 p=2
112 puback c=3 m=1
113 puback c=3 m=2
200 connect c=4 id=sub exp=600
201 connack c=4 sp=1
202 deliver c=4 m=1 t=a/b q=1 p=1 d=1
203 deliver c=4 m=2 t=a/b q=1 p=2 d=1
204 deliver c=4 m=1 t=a/b q=1 p=3 d=1
205 deliver c=4 m=2 t=a/b q=1 p=4 d=1
)")},
    {"a DISCONNECT that a killed broker cannot have read", "", setup(R"(
100 connect c=3 id=w v=5 exp=30 will=9 wt=a/b wq=1
101 connack c=3
200 kill
350 disconnect c=3
351 close c=3
352 close c=1
353 close c=2
400 up
500 connect c=4 id=sub exp=600
501 connack c=4 sp=1
900 deliver c=4 m=9 t=a/b q=1 p=1
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

}  // namespace

const std::vector<Case>& good_cases() { return kGoodCases; }

}  // namespace skald::checker
