// What a run of a world came to: a violation or none, and what it did in numbers.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/sim/faults.h"

namespace skald::sim {

struct Violation {
  std::string checker;
  std::string what;

  bool none() const { return checker.empty(); }
};

enum class Count : std::uint8_t {
  kSeeds,
  kEvents,
  kMicros,  ///< simulated
  kAcked,   ///< commands whose client was told that they are done
  kReads,   ///< answered
  kElections,
  kConfigs,  ///< committed configurations
  kTransfers,
  kSplits,
  kSnapshots,  ///< installed
  kMade,       ///< replicas that a message made
  kDestroyed,
  kStarts,  ///< of processes
  kMessages,
  kLost,
  kSyncs,
  kServed,  ///< looks at somebody who may serve
};
inline constexpr std::size_t kCounts = 17;
const char* name_of(Count count);

struct Stats {
  std::array<std::uint64_t, kCounts> counts{};
  std::array<std::uint64_t, kFaultKinds> faults{};

  std::uint64_t& operator[](Count count) { return counts[static_cast<std::size_t>(count)]; }
  std::uint64_t operator[](Count count) const { return counts[static_cast<std::size_t>(count)]; }
  std::uint64_t& operator[](Fault fault) { return faults[static_cast<std::size_t>(fault)]; }
  std::uint64_t operator[](Fault fault) const { return faults[static_cast<std::size_t>(fault)]; }
  void add(const Stats& other);
};

/// Numbers with blanks between them, and back.
std::string to_line(const Stats& stats);
Stats parse_stats(const std::string& line);
/// For people, two lines: the work, the faults.
std::string describe(const Stats& stats);

struct Outcome {
  Violation violation;
  Stats stats;
  std::uint64_t trace_hash = 0;
};

}  // namespace skald::sim
