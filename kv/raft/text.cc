#include "kv/raft/text.h"

#include <array>

namespace skald::raft {
namespace {

std::string text(std::uint64_t number) { return std::to_string(number); }

std::string text(const std::vector<ReplicaId>& ids) {
  std::string out = "(";
  for (ReplicaId id : ids) out += (out.size() > 1 ? " " : "") + text(id.value);
  return out + ")";
}

/// index/term, the name of a place in the log.
std::string place(Index index, Term term) { return text(index) + "/" + text(term); }

std::string text(const std::vector<Entry>& entries) {
  std::string out = "[";
  for (const Entry& entry : entries) out += (out.size() > 1 ? ", " : "") + describe(entry);
  return out + "]";
}

struct BodyText {
  std::string operator()(const VoteRequest& body) const {
    return std::string(body.pre ? "PreVote" : "Vote") +
           " last=" + place(body.last_index, body.last_term) + (body.forced ? " forced" : "");
  }
  std::string operator()(const VoteResponse& body) const {
    return std::string(body.pre ? "PreVoteResponse" : "VoteResponse") +
           (body.granted ? " granted" : " refused");
  }
  std::string operator()(const Append& body) const {
    return "Append prev=" + place(body.prev_index, body.prev_term) +
           " commit=" + text(body.commit) + " " + text(body.entries);
  }
  std::string operator()(const AppendResponse& body) const {
    if (!body.rejected) return "AppendResponse index=" + text(body.index);
    return "AppendResponse rejected=" + text(body.rejected_index) +
           " hint=" + place(body.hint_index, body.hint_term);
  }
  std::string operator()(const Heartbeat& body) const {
    return "Heartbeat round=" + text(body.round) + " commit=" + text(body.commit);
  }
  std::string operator()(const HeartbeatResponse& body) const {
    return "HeartbeatResponse round=" + text(body.round) + " index=" + text(body.index);
  }
  std::string operator()(const InstallSnapshot& body) const {
    return "InstallSnapshot " + place(body.meta.index, body.meta.term) + " " +
           describe(body.meta.config);
  }
  // Read ids begin at random, so that they mean nothing to a reader.
  std::string operator()(const ReadRequest&) const { return "ReadRequest"; }
  std::string operator()(const ReadResponse& body) const {
    return "ReadResponse index=" + text(body.index);
  }
  std::string operator()(const TimeoutNow&) const { return "TimeoutNow"; }
  std::string operator()(const Removed& body) const {
    return "Removed config=" + text(body.config_index);
  }
};

}  // namespace

std::string describe(const Config& config) {
  std::string out = "voters=" + text(config.voters);
  if (config.joint()) out += " outgoing=" + text(config.outgoing);
  if (!config.learners.empty()) out += " learners=" + text(config.learners);
  return out;
}

std::string describe(const Entry& entry) {
  const std::string at = place(entry.index, entry.term) + " ";
  if (entry.kind == EntryKind::kNoop) return at + "noop";
  if (entry.kind == EntryKind::kCommand) return at + (entry.data ? *entry.data : "");
  const Result<ConfigEntry> decoded = decode_config_entry(entry.data ? *entry.data : "");
  return at + (decoded.ok() ? describe(decoded->config) : "malformed configuration");
}

std::string describe(const Message& message) {
  return text(message.from.value) + "->" + text(message.to.value) + " t" + text(message.term) +
         " " + std::visit(BodyText{}, message.body);
}

std::string describe(const Write& write) {
  std::string out = "#" + text(write.number);
  if (write.snapshot) {
    out += " snapshot " + place(write.snapshot->index, write.snapshot->term) + " " +
           describe(write.snapshot->config);
  }
  if (!write.entries.empty()) out += " " + text(write.entries);
  return out + " term=" + text(write.hard_state.term) +
         " vote=" + text(write.hard_state.vote.value) + " commit=" + text(write.hard_state.commit);
}

std::string describe(const Event& event) {
  static constexpr std::array<const char*, 15> kNames = {
      "became leader",     "pre-campaigns",      "campaigns",         "became follower",
      "stepped down",      "lost its quorum",    "disk stalled",      "left the group",
      "transfer started",  "transfer aborted",   "config appended",   "config committed",
      "snapshot restored", "told it is removed", "protocol violation"};
  std::string out = kNames[static_cast<std::size_t>(event.kind)];
  out += ", t" + text(event.term);
  if (event.index > 0) out += ", index " + text(event.index);
  if (event.peer) out += ", peer " + text(event.peer.value);
  return out;
}

std::string describe(const Progress& progress) {
  static constexpr std::array<const char*, 3> kFlows = {"probe", "replicate", "snapshot"};
  std::string out = kFlows[static_cast<std::size_t>(progress.flow)];
  out += " match=" + text(progress.match) + " next=" + text(progress.next);
  if (progress.probe_sent) out += " waiting";
  if (!progress.inflights.empty()) out += " inflight=" + text(progress.inflights.messages());
  if (!progress.recently_active) out += " silent";
  return out;
}

const char* describe(Role role) {
  static constexpr std::array<const char*, 4> kNames = {"follower", "pre-candidate", "candidate",
                                                        "leader"};
  return kNames[static_cast<std::size_t>(role)];
}

const char* describe(Refusal refusal) {
  static constexpr std::array<const char*, 9> kNames = {
      "taken",      "not leader",       "leadership is moving",
      "overloaded", "change under way", "nothing of its own term is committed",
      "too large",  "invalid",          "already so"};
  return kNames[static_cast<std::size_t>(refusal)];
}

std::string describe(const Ready& ready) {
  std::string out;
  for (const Message& message : ready.messages) out += "send " + describe(message) + "\n";
  if (ready.write) out += "write " + describe(*ready.write) + "\n";
  for (const Entry& entry : ready.committed) out += "apply " + describe(entry) + "\n";
  for (const ReadResult& read : ready.reads) {
    out += "read " + text(read.context) +
           (read.ok ? " at " + text(read.index) : std::string(" failed")) + "\n";
  }
  for (const SnapshotRequest& snapshot : ready.snapshots) {
    out += "snapshot to " + text(snapshot.to.value) + "\n";
  }
  for (const Event& event : ready.events) out += "event " + describe(event) + "\n";
  return out;
}

}  // namespace skald::raft
