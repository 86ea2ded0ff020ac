// The faults of a simulated group: what breaks, when, and for how long.
#include <algorithm>

#include "tests/sim/group_world.h"

namespace skald::sim {
namespace {

/// Faults that strike at moments; the others are properties of network, disk or workload.
constexpr std::array<Fault, 6> kStrikes = {Fault::kCrash, Fault::kPause,     Fault::kPartition,
                                           Fault::kReset, Fault::kDiskStall, Fault::kDiskFailure};

}  // namespace

void GroupWorld::schedule_fault() {
  scheduler_.after(random_faults_.below(2 * options_.fault_interval + 1), [this] {
    if (calm_) return;
    const Fault fault = kStrikes[random_faults_.below(kStrikes.size())];
    if (options_.has(fault)) inject(fault);
    schedule_fault();
  });
}

void GroupWorld::inject(Fault fault) {
  ++stats_.faults[static_cast<std::size_t>(fault)];
  trace_.fold(99, static_cast<std::uint64_t>(fault));
  if (trace_.loud()) trace_.say(0, std::string("fault: ") + name_of(fault));
  const Micros duration = random_faults_.between(20, 4000) * kMillisecond;
  GroupNode& node = nodes_.at(any_machine());
  switch (fault) {
    case Fault::kCrash:
      crash_some();
      break;
    case Fault::kPause:
      if (node.up()) node.pause(duration);
      break;
    case Fault::kPartition:
      partition();
      break;
    case Fault::kReset:
      network_.reset(node.machine(), any_machine());
      break;
    case Fault::kDiskStall:
      node.disk().stall(duration);
      break;
    case Fault::kDiskFailure:
      fail_disk(node);
      break;
    default:
      break;
  }
}

/// One machine, the leader, or all of them at once (power).
void GroupWorld::crash_some() {
  const std::uint64_t whom = random_faults_.below(8);
  std::vector<Machine> victims;
  GroupNode* const leads = leader();
  if (whom == 0) {
    for (const auto& [machine, node] : nodes_) victims.push_back(machine);
  } else if (whom <= 3 && leads != nullptr) {
    victims.push_back(leads->machine());
  } else {
    victims.push_back(any_machine());
  }
  for (Machine machine : victims) {
    if (!nodes_.at(machine).up()) continue;
    nodes_.at(machine).crash();
    for (Machine peer = 1; peer <= options_.machines; ++peer) {
      if (peer != machine) network_.reset(machine, peer);
    }
    restart_later(machine);
  }
}

void GroupWorld::restart_later(Machine machine) {
  const Micros delay = random_faults_.between(20, 4000) * kMillisecond;
  scheduler_.after(delay, [this, machine] {
    GroupNode& node = nodes_.at(machine);
    if (node.exists() && !node.up()) node.restart();
  });
}

void GroupWorld::fail_disk(GroupNode& node) {
  if (!node.up()) return;
  node.disk().fail_next([this, machine = node.machine()] {
    nodes_.at(machine).crash();
    restart_later(machine);
  });
}

/// Every shape: one machine, one direction, two halves, a ring in which each sees only its
/// neighbours, a link that comes and goes.
void GroupWorld::partition() {
  const Micros duration = random_faults_.between(100, 6000) * kMillisecond;
  const Machine one = any_machine();
  const Machine other = any_machine();
  const std::uint64_t shape = random_faults_.below(6);
  if (shape == 5) {
    flap(one, other, 10);
    return;
  }
  const auto halves = random_faults_.next();
  for (Machine a = 1; a <= options_.machines; ++a) {
    for (Machine b = 1; b <= options_.machines; ++b) {
      if (a == b) continue;
      const bool ring = (a % options_.machines) + 1 == b || (b % options_.machines) + 1 == a;
      const bool apart = shape == 0   ? a == one || b == one
                         : shape == 1 ? a == one
                         : shape == 2 ? b == one
                         : shape == 3 ? ((halves >> a) & 1) != ((halves >> b) & 1)
                                      : !ring;
      if (apart) cut_for(a, b, duration);
    }
  }
}

void GroupWorld::cut_for(Machine from, Machine to, Micros duration) {
  network_.cut(from, to);
  scheduler_.after(duration, [this, from, to] { network_.heal(from, to); });
}

void GroupWorld::flap(Machine a, Machine b, int times) {
  if (times == 0 || calm_ || a == b) return;
  const Micros duration = random_faults_.between(10, 300) * kMillisecond;
  cut_for(a, b, duration);
  cut_for(b, a, duration);
  scheduler_.after(2 * duration, [this, a, b, times] { flap(a, b, times - 1); });
}

}  // namespace skald::sim
