// The kinds of faults of both worlds, and what of a run's faults is left out when a failing seed is
// made smaller.
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <string>

#include "tests/sim/scheduler.h"

namespace skald::sim {

enum class Fault : std::uint8_t {
  kCrash,
  kPause,
  kPartition,
  kReset,
  kNetwork,  ///< loss, duplication, slow messages
  kDiskSlow,
  kDiskStall,
  kDiskFailure,  ///< EIO: nothing or all of a sync is on the platter
  kDiskFull,     ///< ENOSPC: nothing is written until there is space again
  kDataFailure,  ///< the data engine's write or flush fails
  kDrift,        ///< clocks run 1 % fast or slow; wall clocks are off and step at restarts
  kMembership,
  kTransfer,
  kSplit,
  kSnapshot,  ///< early truncation, lost reports
  kDamage,    ///< a chunk of a snapshot arrives damaged
};
inline constexpr std::size_t kFaultKinds = 16;
using FaultSet = std::array<bool, kFaultKinds>;

const char* name_of(Fault fault);
/// False if there is no such fault.
bool find_fault(const std::string& name, Fault& fault);

/// Strikes of the nemesis are numbered in the order in which they are drawn, also those that do not
/// happen: leaving one out changes no other.
struct Reduction {
  FaultSet without{};
  std::uint64_t strikes_max = ~std::uint64_t{0};  ///< those numbered from here on do not happen
  std::set<std::uint64_t> skip;                   ///< nor do these
  Micros safety = 0;                              ///< length of the phase with faults; 0: as drawn

  bool allows(std::uint64_t strike) const { return strike < strikes_max && !skip.contains(strike); }
};

/// As options of the command line.
std::string describe(const Reduction& less);

}  // namespace skald::sim
