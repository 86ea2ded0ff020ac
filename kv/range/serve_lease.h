// Serve leases: which replicas may answer matches, and when the reply to a route command may leave
// (design.md section 4).
//
// Two pure values, clocked by the caller's monotonic clock in microseconds:
//
//   LeaseHolder   every replica: reports how far it has published (visible), keeps its grant.
//   LeaseGranter  the leader: grants, and knows from when on a command is seen by everybody who may
//                 serve. Made at the election, thrown away with the leadership.
//
// Why it holds. A grant ends `lease` after the send time of the leader's last heartbeat round that
// a quorum acked (raft::Raft::lease_anchor): whoever is elected later was elected after that time,
// and takes every replica for granted for `lease` x 1.01 from its election. The leader tells a
// duration that begins when the replica *sent* its report, so no two clocks are compared; 1 % on
// either side covers their rates. A replica that has not published what was already answered gets
// no grant, and no answer leaves before all that hold a grant have published it or their grants
// have run out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>

#include "config/base/ids.h"
#include "kv/raft/types.h"

namespace skald::range {

inline constexpr std::uint64_t kServeLeaseUs = 1'000'000;

class LeaseHolder {
 public:
  struct Report {
    std::uint64_t number = 0;  ///< grows, also over restarts of the process
    raft::Index visible = 0;
  };

  /// What was published up to `index` is seen by every match from now on. Never goes back but by
  /// reset().
  void published(raft::Index index);
  /// A snapshot was installed, or the machine is being rebuilt: nothing may be served.
  void reset();
  /// The grant is given up before its time; what is visible stays so.
  void revoke();
  /// To be sent to the leader now.
  Report report(std::uint64_t now_us);
  /// The leader's answer to a report.
  void granted(std::uint64_t number, std::uint64_t duration_us);
  /// Asked after the socket was read, before the match.
  bool may_serve(std::uint64_t now_us) const { return now_us < until_us_; }
  std::uint64_t until_us() const { return until_us_; }
  raft::Index visible() const { return visible_; }

 private:
  raft::Index visible_ = 0;
  std::uint64_t until_us_ = 0;
  std::uint64_t next_number_ = 1;
  std::map<std::uint64_t, std::uint64_t> sent_;  ///< reports of the last lease: number -> when
};

class LeaseGranter {
 public:
  /// `floor`: the index of the leader's own no-op, or more. What lies before it may have been
  /// answered by leaders before, so nobody may serve who is behind it. `elected_us`: not before the
  /// election; none if nobody but the leader's own process ever held a grant.
  LeaseGranter(std::optional<std::uint64_t> elected_us, raft::Index floor,
               std::uint64_t lease_us = kServeLeaseUs)
      : lease_us_(lease_us),
        all_until_us_(elected_us ? *elected_us + lease_us + lease_us / 100 + 1 : 0),
        replied_(floor) {}

  /// A report, as soon as it comes: it may let replies go. Grants nothing.
  void note(ReplicaId replica, const LeaseHolder::Report& report);
  /// Of the leader's own replica, without a report.
  void note_own(ReplicaId replica, raft::Index visible);
  /// The duration to grant to `replica`; 0: none. `anchor_us`: the leader's lease_anchor();
  /// `now_us`: read after the report came, or the grant would last too long.
  /// Reports that were overtaken by a later one are ignored: their replica may have been reset.
  std::uint64_t on_report(ReplicaId replica, const LeaseHolder::Report& report,
                          std::optional<std::uint64_t> anchor_us, std::uint64_t now_us);
  /// Whether the reply to the command at `index` may leave. Once it may, replicas that are behind
  /// `index` get no more grants.
  bool may_reply(raft::Index index, std::uint64_t now_us);

  /// Who is behind `index` gets no more grants.
  void raise(raft::Index index) { replied_ = std::max(replied_, index); }
  raft::Index replied() const { return replied_; }

 private:
  struct Grant {
    std::uint64_t number = 0;
    raft::Index visible = 0;
    std::uint64_t until_us = 0;  ///< by this clock the replica surely does not serve any more
  };

  const std::uint64_t lease_us_;
  const std::uint64_t all_until_us_;
  raft::Index replied_;
  std::map<ReplicaId, Grant> grants_;  ///< entries go when they have run out
};

}  // namespace skald::range
