// The checker: a history in, a report out. No search but for retained registers; O(n log n) in the
// events, times the wildcard filters for each distinct topic.
//
// What it assumes of the driver: clients are honest (they keep QoS 2 packet ids and unacked
// messages as the standard says, resend in order, and send nothing for a session that the server
// said is gone), and an operation without a return is of unknown outcome, never failed.
//
// What it does not see: a loss that no `drained` line of the session follows (counted as excused),
// and everything on the server's side of the sockets.
#pragma once

#include <cstdint>

#include "tests/chaos/checker/history.h"
#include "tests/chaos/checker/report.h"

namespace skald::checker {

struct Options {
  /// How far apart the broker's and the clients' view of one moment may be.
  std::uint64_t eps_us = 1'000'000;
  /// How long after `up` the broker may take to end what a kill left behind (lives, wills).
  std::uint64_t kill_grace_us = 10'000'000;
  /// How long after a takeover the old connection may still be open.
  std::uint64_t close_grace_us = 5'000'000;
  /// A message of QoS 2 is promised from PUBREC (Skald) or only from PUBCOMP.
  bool promise_at_pubcomp = false;
  /// Wills of sessions that end with their connection may be lost by a kill (not so in Skald).
  bool weak_wills = false;
  /// A publish of QoS 2 that its publisher repeats after a kill may go to a second member of a
  /// group.
  bool weak_groups = false;
  /// Steps of the linearizability search per topic; beyond it the topic is excused.
  std::uint64_t search_steps = 20'000'000;
  std::uint32_t max_details = 10;
};

Report check(const History& history, const Options& options);

}  // namespace skald::checker
