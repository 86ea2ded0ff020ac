#include "tests/sim/outcome.h"

#include <iomanip>
#include <sstream>

namespace skald::sim {

const char* name_of(Count count) {
  static constexpr std::array<const char*, kCounts> kNames = {
      "seeds",     "events", "simulated hours", "acked", "reads",     "elections", "configs",
      "transfers", "splits", "snapshots",       "made",  "destroyed", "starts",    "messages",
      "lost",      "syncs",  "served"};
  return kNames[static_cast<std::size_t>(count)];
}

void Stats::add(const Stats& other) {
  for (std::size_t i = 0; i < kCounts; ++i) counts[i] += other.counts[i];
  for (std::size_t i = 0; i < kFaultKinds; ++i) faults[i] += other.faults[i];
}

std::string to_line(const Stats& stats) {
  std::string line;
  for (const std::uint64_t number : stats.counts) line += std::to_string(number) + " ";
  for (const std::uint64_t number : stats.faults) line += std::to_string(number) + " ";
  return line;
}

Stats parse_stats(const std::string& line) {
  Stats stats;
  std::istringstream in(line);
  for (std::uint64_t& number : stats.counts) in >> number;
  for (std::uint64_t& number : stats.faults) in >> number;
  return stats;
}

std::string describe(const Stats& stats) {
  std::ostringstream out;
  for (std::size_t i = 0; i < kCounts; ++i) {
    const auto count = static_cast<Count>(i);
    out << (i == 0 ? "" : ", ");
    if (count == Count::kMicros) {
      out << std::fixed << std::setprecision(2) << static_cast<double>(stats[count]) / 3.6e9;
    } else {
      out << stats[count];
    }
    out << " " << name_of(count);
  }
  out << "\n  faults:";
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    if (stats.faults[kind] == 0) continue;
    out << " " << name_of(static_cast<Fault>(kind)) << " " << stats.faults[kind];
  }
  out << "\n";
  return out.str();
}

}  // namespace skald::sim
