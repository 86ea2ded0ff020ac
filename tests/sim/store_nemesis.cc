// The faults of simulated stores, and what one seed decides about a run.
#include <algorithm>
#include <sstream>

#include "tests/sim/store_world.h"

namespace skald::sim {
namespace {

template <class T>
T pick(Random& random, std::initializer_list<T> choices) {
  return *(choices.begin() + random.below(choices.size()));
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
  if (random.one_in(2)) {
    options.network.loss_per_mille = pick(random, {5u, 50u, 200u});
    options.network.duplicate_per_mille = pick(random, {5u, 50u});
    options.network.slow_per_mille = pick(random, {1u, 20u});
  }
  if (random.one_in(2)) options.network.reset_per_mille = pick(random, {1u, 5u});
  if (random.one_in(2)) options.disk.slow_per_mille = pick(random, {5u, 50u});
  options.apply_delay_max = pick<Micros>(random, {0, 1, 20, 400}) * kMillisecond;
  options.flush_one_in = pick(random, {2u, 20u, 100u});
  options.damage_per_mille = pick(random, {0u, 50u});
  options.range.keep_entries = pick<std::uint64_t>(random, {0, 5, 50, 100'000});
  options.range.hold_entries = pick<std::uint64_t>(random, {5, 100, 10'000});
  options.range.catch_up_entries = pick<std::uint64_t>(random, {0, 10, 100});
  options.range.catch_up_ticks = 200;
  if (!random.one_in(3)) options.range.serve_lease_us = range::kServeLeaseUs;
  options.publish_delay_max = pick<Micros>(random, {0, 5, 100, 1500}) * kMillisecond;
  options.snapshot.chunk_bytes = pick<std::uint64_t>(random, {1, 100, 64 << 10});
  options.snapshot.window = random.between(1, 4);
  options.snapshot.bytes_per_second = pick<std::uint64_t>(random, {20'000, 1 << 20});
  options.snapshot.retry_us = 500'000;
  options.snapshot.give_up_us = 5'000'000;
  options.safety = random.between(8, 25) * kSecond;
  options.fault_interval = random.between(150, 2000) * kMillisecond;
  options.manage_interval = random.between(150, 1500) * kMillisecond;
  options.clients = static_cast<std::uint32_t>(random.between(1, 3));
  options.op_interval = pick<Micros>(random, {5, 20, 100}) * kMillisecond;
  for (bool* fault : {&options.crashes, &options.pauses, &options.partitions, &options.resets,
                      &options.disk_faults, &options.drift}) {
    *fault = random.one_in(2);
  }
  return options;
}

std::string describe(const StoreOptions& options) {
  std::ostringstream out;
  out << options.stores << " stores, " << options.voters << " voters, " << options.safety / kSecond
      << " s, " << (options.network.streams ? "streams" : "datagrams")
      << ", faults:" << (options.crashes ? " crash" : "") << (options.pauses ? " pause" : "")
      << (options.partitions ? " partition" : "") << (options.resets ? " reset" : "")
      << (options.disk_faults ? " disk" : "") << (options.drift ? " drift" : "");
  return out.str();
}

void StoreWorld::schedule_fault() {
  scheduler_.after(faults_.below(2 * options_.fault_interval + 1), [this] {
    if (calm_) return;
    inject();
    schedule_fault();
  });
}

void StoreWorld::inject() {
  const Micros duration = faults_.between(20, 4000) * kMillisecond;
  StoreNode& node = *nodes_.at(static_cast<Machine>(faults_.between(1, options_.stores)));
  const std::uint64_t what = faults_.below(5);
  trace_.fold(99, what);
  if (what == 0 && options_.crashes) crash_some();
  if (what == 1 && options_.pauses && node.up()) {
    ++stats_.pauses;
    node.pause(duration);
  }
  if (what == 2 && options_.partitions) partition();
  if (what == 3 && options_.resets) {
    network_.reset(node.machine(), static_cast<Machine>(faults_.between(1, options_.stores)));
  }
  if (what == 4 && options_.disk_faults && node.up()) {
    ++stats_.disk_faults;
    if (faults_.one_in(2)) {
      node.disk().stall(duration);
    } else {
      node.disk().fail_next([this, machine = node.machine()] {
        nodes_.at(machine)->crash();
        restart_later(machine);
      });
    }
  }
}

void StoreWorld::crash_some() {
  std::vector<Machine> victims;
  if (faults_.one_in(6)) {
    for (const auto& [machine, node] : nodes_) victims.push_back(machine);
  } else {
    victims.push_back(static_cast<Machine>(faults_.between(1, options_.stores)));
  }
  for (const Machine machine : victims) {
    StoreNode& node = *nodes_.at(machine);
    if (!node.up()) continue;
    ++stats_.crashes;
    node.crash();
    for (Machine peer = 1; peer <= options_.stores; ++peer) {
      if (peer != machine) network_.reset(machine, peer);
    }
    restart_later(machine);
  }
}

void StoreWorld::restart_later(Machine machine) {
  scheduler_.after(faults_.between(20, 3000) * kMillisecond, [this, machine] {
    StoreNode& node = *nodes_.at(machine);
    if (!node.up() && checks_.violation().none()) node.start();
  });
}

void StoreWorld::partition() {
  ++stats_.partitions;
  const Micros duration = faults_.between(100, 6000) * kMillisecond;
  const auto one = static_cast<Machine>(faults_.between(1, options_.stores));
  const std::uint64_t shape = faults_.below(4);
  const std::uint64_t halves = faults_.next();
  for (Machine a = 1; a <= options_.stores; ++a) {
    for (Machine b = 1; b <= options_.stores; ++b) {
      if (a == b) continue;
      const bool apart = shape == 0   ? a == one || b == one
                         : shape == 1 ? a == one
                         : shape == 2 ? b == one
                                      : ((halves >> a) & 1) != ((halves >> b) & 1);
      if (!apart) continue;
      network_.cut(a, b);
      scheduler_.after(duration, [this, a, b] { network_.heal(a, b); });
    }
  }
}

}  // namespace skald::sim
