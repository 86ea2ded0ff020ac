#include "tests/sim/faults.h"

namespace skald::sim {
namespace {

constexpr std::array<const char*, kFaultKinds> kNames = {
    "crash",      "pause",        "partition", "reset",        "network", "disk-slow",
    "disk-stall", "disk-failure", "disk-full", "data-failure", "drift",   "membership",
    "transfer",   "split",        "snapshot",  "damage"};

}  // namespace

const char* name_of(Fault fault) { return kNames[static_cast<std::size_t>(fault)]; }

bool find_fault(const std::string& name, Fault& fault) {
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    if (name != kNames[kind]) continue;
    fault = static_cast<Fault>(kind);
    return true;
  }
  return false;
}

std::string describe(const Reduction& less) {
  std::string out;
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    if (less.without[kind]) out += std::string(" --without ") + kNames[kind];
  }
  for (const std::uint64_t strike : less.skip) out += " --skip " + std::to_string(strike);
  if (less.strikes_max != ~std::uint64_t{0})
    out += " --strikes " + std::to_string(less.strikes_max);
  if (less.safety != 0) out += " --until " + std::to_string(less.safety / kMillisecond);
  return out;
}

}  // namespace skald::sim
