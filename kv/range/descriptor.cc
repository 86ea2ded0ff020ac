#include "kv/range/descriptor.h"

#include <algorithm>

#include "config/base/assert.h"
#include "config/base/coding.h"

namespace skald::range {
namespace {

constexpr std::uint8_t kVersion = 1;

bool has(const std::vector<ReplicaId>& sorted, ReplicaId id) {
  return std::binary_search(sorted.begin(), sorted.end(), id);
}

}  // namespace

const Replica* Descriptor::find(ReplicaId replica) const {
  const auto found = std::find_if(replicas.begin(), replicas.end(),
                                  [replica](const Replica& r) { return r.id == replica; });
  return found == replicas.end() ? nullptr : &*found;
}

const Replica* Descriptor::on(StoreId store) const {
  const auto found = std::find_if(replicas.begin(), replicas.end(),
                                  [store](const Replica& r) { return r.store == store; });
  return found == replicas.end() ? nullptr : &*found;
}

raft::Config config_of(const Descriptor& descriptor) {
  using Role = Replica::Role;
  raft::Config config;
  bool joint = false;
  for (const Replica& replica : descriptor.replicas) {
    joint = joint || (replica.role != Role::kVoter && replica.role != Role::kLearner);
  }
  for (const Replica& replica : descriptor.replicas) {
    const Role role = replica.role;
    if (role == Role::kVoter || role == Role::kIncoming) config.voters.push_back(replica.id);
    const bool old = role == Role::kVoter || role == Role::kOutgoing || role == Role::kDemoting;
    if (joint && old) config.outgoing.push_back(replica.id);
    if (role == Role::kLearner || role == Role::kDemoting) config.learners.push_back(replica.id);
  }
  return config;
}

std::vector<Replica> replicas_of(const raft::Config& config,
                                 const std::map<ReplicaId, StoreId>& stores) {
  using Role = Replica::Role;
  std::vector<Replica> replicas;
  for (const ReplicaId id : config.members()) {
    const auto store = stores.find(id);
    SKALD_ASSERT(store != stores.end());
    const bool voter = has(config.voters, id);
    const bool old = has(config.outgoing, id);
    const bool learner = has(config.learners, id);
    const Role role = learner                  ? (old ? Role::kDemoting : Role::kLearner)
                      : !voter                 ? Role::kOutgoing
                      : config.joint() && !old ? Role::kIncoming
                                               : Role::kVoter;
    replicas.push_back({store->second, id, role});
  }
  return replicas;
}

bool overlap(const Boundary& a, const Boundary& b) {
  return (!a.end || b.start < *a.end) && (!b.end || a.start < *b.end);
}

bool valid(const Boundary& boundary) { return !boundary.end || boundary.start < *boundary.end; }

std::string encode(const Descriptor& descriptor) {
  std::string out;
  put_u8(out, kVersion);
  put_varint(out, descriptor.id.value);
  put_bytes(out, descriptor.boundary.start);
  put_u8(out, descriptor.boundary.end ? 1 : 0);
  if (descriptor.boundary.end) put_bytes(out, *descriptor.boundary.end);
  put_varint(out, descriptor.epoch.conf_ver);
  put_varint(out, descriptor.epoch.boundary_ver);
  put_varint(out, descriptor.genesis.id);
  put_varint(out, descriptor.genesis.stamp_us);
  put_u8(out, descriptor.genesis.used ? 1 : 0);
  put_varint(out, descriptor.level);
  put_u8(out, static_cast<std::uint8_t>(descriptor.state));
  put_varint(out, descriptor.replicas.size());
  for (const Replica& replica : descriptor.replicas) {
    put_varint(out, replica.store.value);
    put_varint(out, replica.id.value);
    put_u8(out, static_cast<std::uint8_t>(replica.role));
  }
  return out;
}

Result<Descriptor> decode_descriptor(std::string_view bytes) {
  Reader in(bytes);
  in.version(kVersion);
  Descriptor d;
  d.id.value = in.varint();
  d.boundary.start = in.bytes();
  const std::uint8_t ends = in.u8();
  if (ends > 1) in.fail();
  if (ends == 1) d.boundary.end = std::string(in.bytes());
  d.epoch = {in.varint(), 0};
  d.epoch.boundary_ver = in.varint();
  d.genesis.id = in.varint();
  d.genesis.stamp_us = in.varint();
  const std::uint8_t used = in.u8();
  if (used > 1) in.fail();
  d.genesis.used = used == 1;
  const std::uint64_t level = in.varint();
  if (level > UINT32_MAX) in.fail();
  d.level = static_cast<std::uint32_t>(level);
  d.state = static_cast<Descriptor::State>(in.u8());
  if (d.state != Descriptor::State::kNormal && d.state != Descriptor::State::kRetired) in.fail();
  std::uint64_t count = in.varint();
  if (count > 2 * raft::kMembersMax) in.fail();
  for (ReplicaId last; in.ok() && count > 0; --count) {
    Replica replica;
    replica.store.value = in.varint();
    replica.id.value = in.varint();
    const std::uint8_t role = in.u8();
    if (role > static_cast<std::uint8_t>(Replica::Role::kDemoting)) in.fail();
    replica.role = static_cast<Replica::Role>(role);
    if (replica.id <= last) in.fail();
    last = replica.id;
    d.replicas.push_back(replica);
  }
  if (!valid(d.boundary)) in.fail();
  if (in.done()) return d;
  if (in.newer_version()) return Error{"range descriptor: written by a newer release"};
  return Error{"range descriptor: cannot be read"};
}

std::string describe(const Descriptor& d) {
  static constexpr const char* kRoles = "VLIOD";
  std::string out = "r" + std::to_string(d.id.value) + " [" + d.boundary.start + "," +
                    d.boundary.end.value_or("~") + ") c" + std::to_string(d.epoch.conf_ver) + " b" +
                    std::to_string(d.epoch.boundary_ver);
  for (const Replica& replica : d.replicas) {
    out += " ";
    out += kRoles[static_cast<int>(replica.role)];
    out += std::to_string(replica.id.value) + "@" + std::to_string(replica.store.value);
  }
  return out;
}

}  // namespace skald::range
