// A store at its start: what is on its disks, or its first ranges.
#include <memory>
#include <random>

#include "actors/store/store_actor.h"
#include "kv/store/replayable.h"
#include "mqtt/dist/codec.h"
#include "mqtt/inbox/keys.h"
#include "mqtt/inbox/machine.h"
#include "mqtt/retain/codec.h"

namespace skald::actors {

namespace {

constexpr unsigned kInboxRanges = 8;  // one tenant is not one hot range (design.md section 6)

std::uint64_t random_u64() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

/// Behind the flushed state: nobody but this replica needs its log, and it is in memory.
constexpr std::uint64_t kKeepEntries = 0;

range::HostOptions host_options(const NodeState& node, StoreKind kind) {
  range::HostOptions options;
  options.range.store = range::StoreId{node.life.node.value};
  options.range.keep_entries = kKeepEntries;
  options.number = static_cast<store::StoreNumber>(kind);
  const std::uint64_t seed = node.seed;
  switch (kind) {
    case StoreKind::dist:
      // Versions of an earlier machine of this process must not come again: see StateMachine.
      options.make_machine = [seed, clock = &node.clock] {
        return std::make_unique<dist::Machine>(seed, clock->now_us());
      };
      break;
    case StoreKind::retain:
      options.make_machine = [seed] { return std::make_unique<retain::Machine>(seed); };
      break;
    default:
      options.make_machine = [] { return std::make_unique<inbox::Machine>(); };
  }
  return options;
}

std::vector<range::Boundary> first_boundaries(StoreKind kind) {
  if (kind == StoreKind::inbox) return inbox::initial_boundaries(kInboxRanges);
  return {range::Boundary{}};
}

void bootstrap(const NodeState& node, StoreKind kind, range::StoreHost& host,
               store::DataStore& data) {
  const range::Genesis genesis{.id = random_u64(), .stamp_us = node.clock.now_us(), .used = false};
  for (range::Boundary& boundary : first_boundaries(kind)) {
    range::Descriptor descriptor;
    descriptor.id = RangeId{random_u64()};
    descriptor.boundary = std::move(boundary);
    descriptor.epoch = {1, 1};
    descriptor.replicas = {{host.store(), ReplicaId{1}, range::Replica::Role::kVoter}};
    descriptor.genesis = genesis;
    const store::Space space = data.allocate_space();
    host.bootstrap(descriptor, space, data.allocate_space());
  }
}

}  // namespace

Result<std::unique_ptr<range::StoreHost>> make_host(const NodeState& node, StoreKind kind,
                                                    range::HostStart found,
                                                    store::DataStore& data) {
  for (const range::HostStart::Log& log : found.logs) {
    std::optional<store::Applied> applied;
    const auto replica = data.replica(log.key.range);
    if (replica && replica->replica == log.key.replica) applied = data.applied(log.key.range);
    if (Status s = store::check_replayable(log.key, store_name(kind), log.log, applied); !s) {
      return s.error();
    }
  }
  for (const store::ReplicaRecord& record : data.replicas()) {
    found.data.emplace_back(record, *data.applied(record.range));
  }
  auto host = std::make_unique<range::StoreHost>(host_options(node, kind), Random(random_u64()));
  const bool fresh = found.logs.empty() && found.data.empty();
  if (Status s = host->start(std::move(found)); !s) {
    return Error{std::string("store ") + store_name(kind) + ": " + s.error().message};
  }
  if (fresh) bootstrap(node, kind, *host, data);
  return host;
}

}  // namespace skald::actors
