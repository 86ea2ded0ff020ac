// Cases about serve leases (kv/range/serve_lease.h): on the lease's two halves alone, where what
// counts is who holds what by which clock; and through whole stores.
#include "kv/range/serve_lease.h"
#include "tests/sim/cases.h"
#include "tests/sim/scripted_stores.h"

namespace skald::sim {
namespace {

using range::kServeLeaseUs;
using range::LeaseGranter;
using range::LeaseHolder;

constexpr ReplicaId kReplica{1};
constexpr ReplicaId kOther{2};

Violation stale(const char* what) { return {"no stale match", what}; }

/// Reports and is answered at once.
bool renew(LeaseHolder& holder, LeaseGranter& granter, ReplicaId who, Micros anchor, Micros now) {
  const LeaseHolder::Report report = holder.report(now);
  const std::uint64_t duration = granter.on_report(who, report, anchor, now);
  holder.granted(report.number, duration);
  return holder.may_serve(now);
}

}  // namespace

/// The leader is paused, another is elected and answers a command; the old one wakes up, believes
/// that it leads, and goes on granting from the heartbeat round that a quorum acked last.
Violation serve_lease_after_a_paused_leader() {
  LeaseHolder replica;
  replica.published(10);
  LeaseGranter old_leader(0, 10);
  const Micros anchor = 5 * kSecond;  // the last round of the old leader that a quorum acked
  if (!renew(replica, old_leader, kReplica, anchor, anchor + kMillisecond)) {
    return {"liveness", "no lease from a healthy leader"};
  }
  // Paused from here on. Elected as early as can be, the new leader takes all for granted.
  const Micros elected = anchor + 500 * kMillisecond;
  LeaseGranter new_leader(elected, 11);
  if (new_leader.may_reply(12, elected + kMillisecond) &&
      replica.may_serve(elected + kMillisecond)) {
    return stale("a new leader answers while an old grant runs");
  }
  // It wakes up and grants again, from its old anchor.
  const Micros awake = anchor + 900 * kMillisecond;
  renew(replica, old_leader, kReplica, anchor, awake);
  for (Micros now = awake; now < elected + 3 * kSecond; now += 10 * kMillisecond) {
    if (new_leader.may_reply(12, now) && replica.may_serve(now) && replica.visible() < 12) {
      return stale("served behind a reply, by the grace of a deposed leader");
    }
  }
  if (!new_leader.may_reply(12, elected + 2 * kSecond)) return {"liveness", "no reply ever leaves"};
  // Much later it still believes: an old anchor gives nothing.
  if (renew(replica, old_leader, kReplica, anchor, anchor + 3 * kSecond)) {
    return stale("a grant from an anchor that is too old");
  }
  return {};
}

/// A replica that holds a grant is cut off: replies wait for it until the grant has run out by any
/// clock, then it serves no more, and behind the reply it gets no new grant until it has caught up.
Violation serve_lease_after_a_cut_off_replica() {
  LeaseHolder near;
  LeaseHolder cut_off;
  near.published(10);
  cut_off.published(10);
  LeaseGranter leader(0, 10);
  const Micros start = 5 * kSecond;
  renew(near, leader, kReplica, start, start);
  renew(cut_off, leader, kOther, start, start);
  const Micros committed = start + 100 * kMillisecond;  // entry 11; the other never hears of it
  near.published(11);
  renew(near, leader, kReplica, committed, committed);
  Micros left = 0;
  for (Micros now = committed; now < start + 5 * kSecond && left == 0; now += kMillisecond) {
    if (now % (200 * kMillisecond) == 0) renew(near, leader, kReplica, now, now);
    if (leader.may_reply(11, now)) left = now;
  }
  if (left == 0) return {"liveness", "the reply never leaves"};
  // Its clock runs 1 % slow: it believes in its grant for longer than anybody else.
  const Micros by_its_clock = start + (left - start) * 99 / 100;
  if (cut_off.may_serve(by_its_clock)) return stale("the cut-off replica still serves");
  if (left < start + kServeLeaseUs) return stale("the reply did not wait for the grant");
  if (renew(cut_off, leader, kOther, left, left)) return stale("a grant to one that is behind");
  cut_off.published(11);
  if (!renew(cut_off, leader, kOther, left + kMillisecond, left + kMillisecond)) {
    return {"liveness", "no grant to one that has caught up"};
  }
  return {};
}

/// As above, through whole stores: the successor's first reply leaves when the paused leader, which
/// has not heard of the command, may not serve by its own clock; awake, it serves when it has.
Violation paused_leader_beside_its_successor() {
  ScriptedStores stores(3, 3, true);
  const Machine old = stores.leads(kFirstRange);
  stores.run(2 * kSecond);
  if (!stores.may_serve(old, kFirstRange)) return {"liveness", "a healthy leader does not serve"};
  const raft::Index known = stores.replica(old, kFirstRange)->applier().applied().index;
  stores.node(old).pause(6 * kSecond);
  if (!stores.may_serve(old, kFirstRange)) return {"sanity", "a lease ends with a pause"};
  stores.must_write("k50");
  if (!stores.node(old).paused()) return {"sanity", "nobody took over"};
  if (stores.replica(old, kFirstRange)->applier().applied().index != known) {
    return {"sanity", "a paused store applies"};
  }
  if (stores.may_serve(old, kFirstRange)) return stale("the paused leader still serves");
  stores.run_until([&stores, old] { return !stores.node(old).paused(); });
  while (stores.clean() && !stores.may_serve(old, kFirstRange) && stores.step()) {
  }
  const auto seen = stores.node(old).published().find(kFirstRange);
  if (seen == stores.node(old).published().end()) return stale("serves before it published");
  const range::Range* leads = stores.leader(kFirstRange)->host().find(kFirstRange);
  if (stores.replica(old, kFirstRange)->applier().applied().index <= known || leads == nullptr) {
    return stale("serves again what was overtaken");
  }
  return stores.finish();
}

/// A follower that is cut off goes on serving until its grant ends, and the reply waits for that.
Violation cut_off_replica_beside_a_reply() {
  ScriptedStores stores(3, 3, true);
  const Machine away = stores.leads(kFirstRange) == 3 ? 2 : 3;
  stores.run(2 * kSecond);
  if (!stores.may_serve(away, kFirstRange)) return {"liveness", "a healthy replica does not serve"};
  stores.isolate(away);
  const Micros asked = stores.now();
  const std::uint64_t op = stores.write("k50");
  Micros served = asked;
  stores.run_until([&] {
    if (stores.may_serve(away, kFirstRange)) served = stores.now();
    return stores.acked(op);
  });
  if (!stores.acked(op)) return {"liveness", "the reply never leaves"};
  if (stores.may_serve(away, kFirstRange)) return stale("the cut-off replica still serves");
  if (served < asked + 500 * kMillisecond) return {"sanity", "there was no lease to wait for"};
  const Micros next = stores.now();
  stores.must_write("k60");  // nobody holds anything any more: at once
  if (stores.now() > next + 500 * kMillisecond) return {"liveness", "replies wait for nobody"};
  stores.heal();
  if (!stores.run_until([&stores, away] { return stores.may_serve(away, kFirstRange); })) {
    return {"liveness", "it never serves again"};
  }
  return stores.finish();
}

}  // namespace skald::sim
