// The faults of a simulated group: what breaks, when, and for how long.
#include <algorithm>

#include "tests/sim/group_world.h"
#include "tests/sim/partitions.h"

namespace skald::sim {
namespace {

/// Faults that strike at moments; the others are properties of network, disk or workload.
constexpr std::array<Fault, 7> kStrikes = {Fault::kCrash,   Fault::kPause,     Fault::kPartition,
                                           Fault::kReset,   Fault::kDiskStall, Fault::kDiskFailure,
                                           Fault::kDiskFull};

}  // namespace

void GroupWorld::schedule_fault() {
  scheduler_.after(random_faults_.below(2 * options_.fault_interval + 1), [this] {
    if (calm_) return;
    Random strike = random_faults_.fork();
    const Fault fault = kStrikes[strike.below(kStrikes.size())];
    const bool allowed = options_.less.allows(next_strike_++);
    if (allowed && options_.has(fault)) inject(fault, strike);
    schedule_fault();
  });
}

void GroupWorld::inject(Fault fault, Random strike) {
  ++stats_[fault];
  trace_.fold(99, static_cast<std::uint64_t>(fault));
  if (trace_.loud()) {
    trace_.say(0, "fault " + std::to_string(next_strike_ - 1) + ": " + name_of(fault));
  }
  const Micros duration = strike.between(20, 4000) * kMillisecond;
  const Micros delay = strike.between(20, 4000) * kMillisecond;
  GroupNode& node = nodes_.at(any_machine(strike));
  const auto fail = [this, machine = node.machine(), delay] { crash_and_restart(machine, delay); };
  switch (fault) {
    case Fault::kCrash:
      crash_some(strike);
      break;
    case Fault::kPause:
      if (node.up()) node.pause(duration);
      break;
    case Fault::kPartition:
      partition(scheduler_, network_, strike, options_.machines);
      break;
    case Fault::kReset:
      network_.reset(node.machine(), any_machine(strike));
      break;
    case Fault::kDiskStall:
      node.disk().stall(duration);
      break;
    case Fault::kDiskFailure:
      if (node.up()) node.disk().fail_next(fail);
      break;
    case Fault::kDiskFull:
      node.disk().fill(duration, fail);
      break;
    default:
      break;
  }
}

/// One machine, the leader, or all of them at once (power).
void GroupWorld::crash_some(Random& strike) {
  const std::uint64_t whom = strike.below(8);
  std::vector<Machine> victims;
  GroupNode* const leads = leader();
  if (whom == 0) {
    for (const auto& [machine, node] : nodes_) victims.push_back(machine);
  } else if (whom <= 3 && leads != nullptr) {
    victims.push_back(leads->machine());
  } else {
    victims.push_back(any_machine(strike));
  }
  for (Machine machine : victims) {
    if (!nodes_.at(machine).up()) continue;
    crash_and_restart(machine, strike.between(20, 4000) * kMillisecond);
    for (Machine peer = 1; peer <= options_.machines; ++peer) {
      if (peer != machine) network_.reset(machine, peer);
    }
  }
}

void GroupWorld::crash_and_restart(Machine machine, Micros delay) {
  nodes_.at(machine).crash();
  scheduler_.after(delay, [this, machine] {
    GroupNode& node = nodes_.at(machine);
    if (node.exists() && !node.up()) node.restart();
  });
}

}  // namespace skald::sim
