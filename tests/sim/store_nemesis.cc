// The faults of simulated stores, and what one seed decides about a run.
#include <algorithm>
#include <sstream>

#include "tests/sim/group_options.h"
#include "tests/sim/partitions.h"
#include "tests/sim/store_world.h"

namespace skald::sim {
namespace {

template <class T>
T pick(Random& random, std::initializer_list<T> choices) {
  return *(choices.begin() + random.below(choices.size()));
}

constexpr std::array<Fault, 8> kStrikes = {
    Fault::kCrash,     Fault::kPause,       Fault::kPartition, Fault::kReset,
    Fault::kDiskStall, Fault::kDiskFailure, Fault::kDiskFull,  Fault::kDataFailure};

void drop(StoreOptions& options, Fault fault) {
  options.faults[static_cast<std::size_t>(fault)] = false;
  if (fault == Fault::kReset) options.network.reset_per_mille = 0;
  if (fault == Fault::kDiskSlow) options.disk.slow_per_mille = 0;
  if (fault == Fault::kSnapshot) options.range.keep_entries = 100'000;
  if (fault == Fault::kDamage) options.damage_per_mille = 0;
  if (fault != Fault::kNetwork) return;
  options.network.loss_per_mille = 0;
  options.network.duplicate_per_mille = 0;
  options.network.slow_per_mille = 0;
}

}  // namespace

StoreOptions draw_store_options(std::uint64_t seed) {
  Random random(mix_seed(seed) ^ 0xca11);
  StoreOptions options;
  options.seed = seed;
  options.stores = static_cast<std::uint32_t>(random.between(1, 7));
  options.voters =
      static_cast<std::uint32_t>(random.between(1, std::min<std::uint64_t>(5, options.stores)));
  options.network.streams = !random.one_in(3);
  options.network.delay_min = pick<Micros>(random, {100, 500, 3000});
  options.network.delay_spread = options.network.delay_min * random.between(1, 6);
  options.disk.sync_min = pick<Micros>(random, {50, 500, 3000});
  options.disk.sync_spread = options.disk.sync_min * random.between(1, 6);
  options.network.loss_per_mille = pick(random, {5u, 50u, 200u});
  options.network.duplicate_per_mille = pick(random, {5u, 50u});
  options.network.slow_per_mille = pick(random, {1u, 20u});
  options.network.reset_per_mille = pick(random, {1u, 5u});
  options.disk.slow_per_mille = pick(random, {5u, 50u});
  options.apply_delay_max = pick<Micros>(random, {0, 1, 20, 100}) * kMillisecond;
  options.flush_one_in = pick(random, {2u, 20u, 100u});
  options.damage_per_mille = pick(random, {10u, 100u});
  if (random.one_in(2)) options.range.raft = draw_raft(random);
  // Requests overtake each other here. What is refused leaves gaps in a lane: with room for a few
  // commands only, hardly one would ever find its turn.
  std::size_t& uncommitted = options.range.raft.uncommitted_bytes_max;
  uncommitted = std::max<std::size_t>(uncommitted, 20'000);
  options.range.keep_entries = pick<std::uint64_t>(random, {0, 5, 50});
  options.range.hold_entries = pick<std::uint64_t>(random, {5, 100, 10'000});
  options.range.catch_up_entries = pick<std::uint64_t>(random, {0, 10, 100});
  options.range.catch_up_ticks = 200;
  options.range.unapplied_entries = pick<std::uint64_t>(random, {50, 1000});
  if (!random.one_in(3)) options.range.serve_lease_us = range::kServeLeaseUs;
  options.publish_delay_max = pick<Micros>(random, {0, 5, 100, 4000}) * kMillisecond;
  options.snapshot.chunk_bytes = pick<std::uint64_t>(random, {1, 100, 64 << 10});
  options.snapshot.window = random.between(1, 4);
  options.snapshot.bytes_per_second = pick<std::uint64_t>(random, {20'000, 1 << 20});
  options.snapshot.retry_us = 500'000;
  options.snapshot.give_up_us = 5'000'000;
  options.router.timeout_us = pick<Micros>(random, {200, 500, 2000}) * kMillisecond;
  options.router.retry_us = pick<Micros>(random, {20, 200}) * kMillisecond;
  options.safety = random.between(8, 25) * kSecond;
  options.fault_interval = random.between(150, 2000) * kMillisecond;
  options.manage_interval = random.between(150, 1500) * kMillisecond;
  options.clients = static_cast<std::uint32_t>(random.between(1, 4));
  options.op_interval = pick<Micros>(random, {3, 10, 50}) * kMillisecond;
  options.loss_one_in = pick<std::uint64_t>(random, {10, 50, 300});
  for (bool& on : options.faults) on = random.one_in(2);
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    if (!options.faults[kind]) drop(options, static_cast<Fault>(kind));
  }
  return options;
}

void reduce(StoreOptions& options, const Reduction& less) {
  options.less = less;
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    if (less.without[kind]) drop(options, static_cast<Fault>(kind));
  }
  if (less.safety != 0) options.safety = std::min(options.safety, less.safety);
}

std::string describe(const StoreOptions& options) {
  std::ostringstream out;
  out << "stores, " << options.stores << " stores, " << options.voters << " voters, "
      << options.safety / kSecond << " s, " << (options.network.streams ? "streams" : "datagrams")
      << ", faults:";
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    if (options.faults[kind]) out << " " << name_of(static_cast<Fault>(kind));
  }
  return out.str();
}

void StoreWorld::schedule_fault() {
  scheduler_.after(faults_.below(2 * options_.fault_interval + 1), [this] {
    if (calm_) return;
    Random strike = faults_.fork();
    const Fault fault = kStrikes[strike.below(kStrikes.size())];
    const bool allowed = options_.less.allows(next_strike_++);
    if (allowed && options_.has(fault)) inject(fault, strike);
    schedule_fault();
  });
}

void StoreWorld::inject(Fault fault, Random strike) {
  ++stats_[fault];
  trace_.fold(99, static_cast<std::uint64_t>(fault));
  if (trace_.loud()) {
    trace_.say(0, "fault " + std::to_string(next_strike_ - 1) + ": " + name_of(fault));
  }
  const Micros duration = strike.between(20, 4000) * kMillisecond;
  const Micros delay = strike.between(20, 3000) * kMillisecond;
  StoreNode& node = any_node(strike);
  const auto fail = [this, machine = node.machine(), delay] { crash_and_restart(machine, delay); };
  switch (fault) {
    case Fault::kCrash:
      crash_some(strike);
      break;
    case Fault::kPause:
      if (node.up()) node.pause(duration);
      break;
    case Fault::kPartition:
      partition(scheduler_, network_, strike, options_.stores);
      break;
    case Fault::kReset:
      network_.reset(node.machine(), any_node(strike).machine());
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
    case Fault::kDataFailure:
      if (node.up()) node.fail_data();
      break;
    default:
      break;
  }
}

void StoreWorld::crash_some(Random& strike) {
  std::vector<Machine> victims;
  if (strike.one_in(6)) {
    for (const auto& [machine, node] : nodes_) victims.push_back(machine);
  } else {
    victims.push_back(any_node(strike).machine());
  }
  for (const Machine machine : victims) {
    if (!nodes_.at(machine)->up()) continue;
    crash_and_restart(machine, strike.between(20, 3000) * kMillisecond);
    for (Machine peer = 1; peer <= options_.stores; ++peer) {
      if (peer != machine) network_.reset(machine, peer);
    }
  }
}

void StoreWorld::crash_and_restart(Machine machine, Micros delay) {
  nodes_.at(machine)->crash();
  scheduler_.after(delay, [this, machine] {
    StoreNode& node = *nodes_.at(machine);
    if (!node.up() && checks_.violation().none()) node.start();
  });
}

}  // namespace skald::sim
