#include <string>
#include <vector>

#include "tests/chaos/checker_cases.h"

namespace skald::checker {

namespace {

const std::vector<Case> kBadCases = {
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
    {"two readers saw two retained writes in different orders", "I4", setup(R"(
100 pub c=2 m=1 t=r q=1 r=1
100 pub c=2 m=2 t=r q=1 r=1
110 sub c=1 s=2 f=r q=0
111 suback c=1 s=2 rc=0
112 deliver c=1 m=1 t=r r=1
113 readend c=1 s=2
120 sub c=1 s=3 f=r q=0
121 suback c=1 s=3 rc=0
122 deliver c=1 m=2 t=r r=1
123 readend c=1 s=3
130 sub c=1 s=4 f=r q=0
131 suback c=1 s=4 rc=0
132 deliver c=1 m=1 t=r r=1
133 readend c=1 s=4
200 puback c=2 m=1
200 puback c=2 m=2
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

}  // namespace

const std::vector<Case>& bad_cases() { return kBadCases; }

}  // namespace skald::checker
