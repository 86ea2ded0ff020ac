// What one seed decides about a run of one Raft group: size, timing, faults, workload (swarm
// testing: which faults are on is itself drawn).
#pragma once

#include <cstdint>
#include <string>

#include "config/base/random.h"
#include "kv/raft/options.h"
#include "tests/sim/disk.h"
#include "tests/sim/faults.h"
#include "tests/sim/network.h"

namespace skald::sim {

struct GroupOptions {
  std::uint64_t seed = 0;
  std::uint32_t machines = 3;
  std::uint32_t voters = 3;  ///< of the first configuration: machines 1 to voters
  Micros tick = 50 * kMillisecond;
  raft::Options raft;
  NetworkOptions network;
  DiskOptions disk;
  FaultSet faults{};
  Reduction less;

  Micros safety = 20 * kSecond;                 ///< with faults
  Micros liveness = 600 * kSecond;              ///< without, for everything to come to its end
  Micros fault_interval = 800 * kMillisecond;   ///< mean time between faults
  Micros propose_interval = 20 * kMillisecond;  ///< mean time between proposals
  std::size_t payload_max = 200;
  Micros apply_delay_max = 5 * kMillisecond;
  std::uint64_t log_cache = 100000;   ///< entries of the log that need no fetch
  std::uint64_t compact_behind = 50;  ///< entries kept behind the flushed state

  bool has(Fault fault) const { return faults[static_cast<std::size_t>(fault)]; }
};

GroupOptions draw_options(std::uint64_t seed);
/// Timeouts and limits of one group; limits may be as small as one entry.
raft::Options draw_raft(Random& random);
/// Three healthy machines, 1 ms apart, with the default timeouts. Without streams nobody is told
/// when a connection breaks.
GroupOptions default_options(std::uint64_t seed, bool streams);
/// Leaves out what `less` names.
void reduce(GroupOptions& options, const Reduction& less);
std::string describe(const GroupOptions& options);

}  // namespace skald::sim
