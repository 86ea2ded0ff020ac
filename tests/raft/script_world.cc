#include "tests/raft/script_world.h"

#include <algorithm>

#include "kv/raft/text.h"

namespace skald::raft::script {
namespace {

std::string indented(const std::string& lines) {
  std::string out;
  std::size_t begin = 0;
  while (begin < lines.size()) {
    const std::size_t end = lines.find('\n', begin) + 1;
    out += "  " + lines.substr(begin, end - begin);
    begin = end;
  }
  return out;
}

}  // namespace

void World::add(ReplicaId id, const Options& options, const Config& config) {
  Replica& replica = replicas_[id];
  replica.options = options;
  replica.options.id = id;
  replica.config = config;
  start(replica);
}

void World::start(Replica& replica) {
  const Restart restart{replica.hard_state, replica.applied, replica.config};
  replica.raft = std::make_unique<Raft>(replica.options, replica.disk, restart,
                                        Random(replica.options.id.value));
}

std::vector<ReplicaId> World::ids() const {
  std::vector<ReplicaId> all;
  for (const auto& [id, replica] : replicas_) all.push_back(id);
  return all;
}

std::string World::ready(ReplicaId id) {
  Replica& replica = at(id);
  Ready ready = replica.raft->take_ready();
  const std::string words = describe(ready);
  for (Message& message : ready.messages) network_.push_back(std::move(message));
  if (ready.write) replica.queue.push_back(std::move(*ready.write));
  for (Entry& entry : ready.committed) replica.to_apply.push_back(std::move(entry));
  return words;
}

void World::sync(ReplicaId id, std::size_t count) {
  Replica& replica = at(id);
  count = std::min(count, replica.queue.size());
  if (count == 0) return;
  std::uint64_t number = 0;
  for (; count > 0; --count) {
    const Write write = std::move(replica.queue.front());
    replica.queue.pop_front();
    if (write.snapshot) install(replica, *write.snapshot);
    replica.disk.append(write.entries);
    replica.hard_state = write.hard_state;
    number = write.number;
  }
  replica.raft->written(number);
}

void World::install(Replica& replica, const SnapshotMeta& meta) {
  replica.disk.reset(meta.index, meta.term);
  replica.applied = meta.index;
  replica.applied_term = meta.term;
  replica.config = meta.config;
  replica.state = replica.staged;
  replica.to_apply.clear();
}

void World::apply(ReplicaId id) {
  Replica& replica = at(id);
  if (replica.to_apply.empty()) return;
  for (const Entry& entry : replica.to_apply) {
    if (entry.kind == EntryKind::kCommand) replica.state.push_back(*entry.data);
    if (entry.kind == EntryKind::kConfig) {
      replica.config = decode_config_entry(*entry.data)->config;
    }
    replica.applied = entry.index;
    replica.applied_term = entry.term;
  }
  replica.to_apply.clear();
  replica.raft->applied(replica.applied);
}

void World::crash(ReplicaId id) {
  Replica& replica = at(id);
  replica.queue.clear();
  replica.to_apply.clear();
  replica.raft.reset();
  std::erase_if(network_, [id](const Message& message) { return message.to == id; });
}

void World::restart(ReplicaId id) { start(at(id)); }

void World::snapshot(ReplicaId from, ReplicaId to, bool reported) {
  Replica& sender = at(from);
  Replica& receiver = at(to);
  receiver.staged = sender.state;
  const SnapshotMeta meta{sender.applied, sender.applied_term, sender.config};
  receiver.raft->step({from, to, sender.raft->term(), InstallSnapshot{meta}});
  if (reported) sender.raft->snapshot_finished(to, meta.index, true);
}

std::string World::deliver(ReplicaId to, ReplicaId from, std::size_t count, bool drop, bool keep) {
  std::string out;
  std::deque<Message> rest;
  std::deque<Message> now;
  for (Message& message : network_) {
    const bool chosen = message.to == to && (!from || message.from == from) && now.size() < count;
    if (!chosen || keep) rest.push_back(message);
    if (chosen) now.push_back(std::move(message));
  }
  network_ = std::move(rest);
  for (const Message& message : now) {
    const bool lost = drop || blocked_.contains({message.from, to}) || !at(to).raft;
    out += (lost ? "lost " : "") + describe(message) + "\n";
    if (!lost) at(to).raft->step(message);
  }
  return out;
}

bool World::stabilize_one(ReplicaId id, const std::vector<ReplicaId>& ids, std::string& out) {
  Replica& replica = at(id);
  std::string words;
  if (replica.raft) {
    words = ready(id);
    if (!words.empty()) out += "> " + std::to_string(id.value) + "\n" + indented(words);
    sync(id, replica.queue.size());
    apply(id);
    check();
  }
  std::string delivered;
  for (ReplicaId from : ids) delivered += deliver(id, from, network_.size(), false, false);
  if (!delivered.empty()) {
    out += "to " + std::to_string(id.value) + "\n" + indented(delivered);
  }
  check();
  return !words.empty() || !delivered.empty();
}

std::string World::stabilize(const std::vector<ReplicaId>& ids) {
  std::string out;
  bool moved = true;
  for (int round = 0; moved && round < 1000; ++round) {
    moved = false;
    for (ReplicaId id : ids) moved = stabilize_one(id, ids, out) || moved;
  }
  return moved ? out + "does not come to rest\n" : out;
}

void World::check() const {
  for (const auto& [id, replica] : replicas_) {
    if (replica.raft) replica.raft->check_invariants();
  }
}

}  // namespace skald::raft::script
