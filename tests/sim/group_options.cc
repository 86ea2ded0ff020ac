#include "tests/sim/group_options.h"

#include <algorithm>
#include <sstream>

#include "config/base/random.h"
#include "tests/sim/trace.h"

namespace skald::sim {
namespace {

template <class T>
T pick(Random& random, std::initializer_list<T> choices) {
  return *(choices.begin() + random.below(choices.size()));
}

NetworkOptions draw_network(Random& random) {
  NetworkOptions network;
  network.streams = !random.one_in(3);
  network.delay_min = pick<Micros>(random, {100, 500, 5000, 20000});
  network.delay_spread = network.delay_min * random.between(1, 10);
  network.slow_per_mille = pick(random, {1u, 20u, 100u});
  network.loss_per_mille = pick(random, {5u, 50u, 300u});
  network.duplicate_per_mille = pick(random, {5u, 50u, 300u});
  network.reset_per_mille = pick(random, {0u, 1u, 10u});
  return network;
}

void drop(GroupOptions& options, Fault fault) {
  options.faults[static_cast<std::size_t>(fault)] = false;
  switch (fault) {
    case Fault::kReset:
      options.network.reset_per_mille = 0;
      break;
    case Fault::kNetwork:
      options.network.slow_per_mille = 0;
      options.network.loss_per_mille = 0;
      options.network.duplicate_per_mille = 0;
      break;
    case Fault::kDiskSlow:
      options.disk.slow_per_mille = 0;
      break;
    case Fault::kSnapshot:
      options.compact_behind = 100000;
      break;
    default:
      break;
  }
}

}  // namespace

raft::Options draw_raft(Random& random) {
  raft::Options raft;
  raft.heartbeat_ticks = static_cast<std::uint32_t>(random.between(1, 3));
  raft.election_ticks = raft.heartbeat_ticks * static_cast<std::uint32_t>(random.between(4, 6));
  raft.disconnect_ticks_max = static_cast<std::uint32_t>(random.between(0, 4));
  raft.disk_stall_ticks = pick(random, {10u, 20u, 40u});
  raft.snapshot_ticks = pick(random, {20u, 60u, 200u});
  raft.append_bytes_max = pick<std::size_t>(random, {1, 200, 4000, 1u << 20});
  raft.inflight_messages_max = pick<std::size_t>(random, {1, 2, 16, 256});
  raft.inflight_bytes_max = pick<std::size_t>(random, {1, 1000, 8u << 20});
  raft.uncommitted_bytes_max = pick<std::size_t>(random, {500, 10000, 32u << 20});
  raft.apply_bytes_max = pick<std::size_t>(random, {1, 1000, 4u << 20});
  raft.reads_max = pick<std::size_t>(random, {4, 4096});
  raft.pre_vote = !random.one_in(10);
  return raft;
}

GroupOptions draw_options(std::uint64_t seed) {
  Random random(mix_seed(seed));
  GroupOptions options;
  options.seed = seed;
  options.machines = static_cast<std::uint32_t>(random.between(1, 7));
  options.voters = static_cast<std::uint32_t>(random.between(1, options.machines));
  options.tick = pick<Micros>(random, {10, 50, 50, 100}) * kMillisecond;
  options.raft = draw_raft(random);
  options.network = draw_network(random);
  options.disk.sync_min = pick<Micros>(random, {50, 500, 5000});
  options.disk.sync_spread = options.disk.sync_min * random.between(1, 10);
  options.disk.slow_per_mille = pick(random, {5u, 50u});
  // Raft asks that messages and syncs be much faster than elections; what is slower is a fault.
  const Micros election = 8 * (options.network.delay_min + options.network.delay_spread) +
                          4 * (options.disk.sync_min + options.disk.sync_spread);
  options.tick = std::max(options.tick, election / options.raft.election_ticks);
  options.safety = random.between(5, 30) * kSecond;
  options.fault_interval = random.between(100, 2000) * kMillisecond;
  options.propose_interval = pick<Micros>(random, {3, 10, 50, 200}) * kMillisecond;
  options.payload_max = pick<std::size_t>(random, {8, 100, 1000});
  options.apply_delay_max = pick<Micros>(random, {0, 1, 50, 500}) * kMillisecond;
  options.compact_behind = pick<std::uint64_t>(random, {0, 3, 50, 100000});
  options.log_cache = pick<std::uint64_t>(random, {0, 5, 100000});
  for (bool& on : options.faults) on = random.one_in(2);
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    if (!options.faults[kind]) drop(options, static_cast<Fault>(kind));
  }
  return options;
}

GroupOptions default_options(std::uint64_t seed, bool streams) {
  GroupOptions options;
  options.seed = seed;
  options.network.streams = streams;
  options.network.delay_min = kMillisecond;
  options.network.delay_spread = 100;
  options.network.half_open_one_in = 0;
  options.propose_interval = 2 * kMillisecond;
  return options;
}

void reduce(GroupOptions& options, const Reduction& less) {
  options.less = less;
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    if (less.without[kind]) drop(options, static_cast<Fault>(kind));
  }
  if (less.safety != 0) options.safety = std::min(options.safety, less.safety);
}

std::string describe(const GroupOptions& options) {
  std::ostringstream out;
  out << "group, " << options.machines << " machines, " << options.voters << " voters, "
      << options.safety / kSecond << " s, " << (options.network.streams ? "streams" : "datagrams")
      << ", tick " << options.tick / kMillisecond << " ms, election " << options.raft.election_ticks
      << " ticks, faults:";
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    if (options.faults[kind]) out << " " << name_of(static_cast<Fault>(kind));
  }
  return out.str();
}

}  // namespace skald::sim
