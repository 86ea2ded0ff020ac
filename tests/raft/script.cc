#include "tests/raft/script.h"

#include <functional>
#include <limits>
#include <sstream>

#include "config/base/assert.h"
#include "kv/raft/text.h"
#include "tests/raft/script_world.h"

namespace skald::raft::script {
namespace {

/// One command line: a verb, plain words, and name=value pairs.
struct Line {
  std::string verb;
  std::vector<std::string> words;
  std::map<std::string, std::string> named;

  explicit Line(const std::string& text) {
    std::istringstream in(text);
    in >> verb;
    for (std::string word; in >> word;) {
      const std::size_t equals = word.find('=');
      if (equals == std::string::npos) {
        words.push_back(word);
      } else {
        named[word.substr(0, equals)] = word.substr(equals + 1);
      }
    }
  }

  bool flag(const std::string& name) const {
    return std::find(words.begin(), words.end(), name) != words.end();
  }
  std::uint64_t number(std::size_t place, std::uint64_t otherwise) const {
    return place < words.size() ? std::stoull(words[place]) : otherwise;
  }
  std::uint64_t number(const std::string& name, std::uint64_t otherwise) const {
    const auto found = named.find(name);
    return found == named.end() ? otherwise : std::stoull(found->second);
  }
  ReplicaId id(std::size_t place) const { return ReplicaId{number(place, 0)}; }
  std::vector<ReplicaId> ids(const std::string& name) const {
    std::vector<ReplicaId> result;
    const auto found = named.find(name);
    if (found == named.end()) return result;
    std::istringstream in(found->second);
    for (std::string part; std::getline(in, part, ',');) {
      result.push_back(ReplicaId{std::stoull(part)});
    }
    return result;
  }
};

Options options_of(const Line& line) {
  Options options;
  const auto set = [&line](const char* name, auto& field) {
    field = static_cast<std::remove_reference_t<decltype(field)>>(line.number(name, field));
  };
  set("heartbeat", options.heartbeat_ticks);
  set("election", options.election_ticks);
  set("disconnect", options.disconnect_ticks_max);
  set("disk_stall", options.disk_stall_ticks);
  set("snapshot", options.snapshot_ticks);
  set("append_bytes", options.append_bytes_max);
  set("inflight_messages", options.inflight_messages_max);
  set("inflight_bytes", options.inflight_bytes_max);
  set("entry_bytes", options.entry_bytes_max);
  set("uncommitted_bytes", options.uncommitted_bytes_max);
  set("reads", options.reads_max);
  set("pre_vote", options.pre_vote);
  return options;
}

std::string status_of(Replica& replica) {
  std::string out = std::to_string(replica.options.id.value) + ": ";
  if (!replica.raft) return out + "crashed\n";
  const Raft& raft = *replica.raft;
  const auto text = [](std::uint64_t number) { return std::to_string(number); };
  out += describe(raft.role());
  out += " term=" + text(raft.term()) + " vote=" + text(raft.vote().value) +
         " leader=" + text(raft.leader().value) + " commit=" + text(raft.commit()) +
         " applied=" + text(raft.applied()) + " last=" + text(raft.last_index()) +
         " stable=" + text(raft.stable()) + " " + describe(raft.config()) + "\n";
  for (const auto& [peer, progress] : raft.progress()) {
    out += "  " + text(peer.value) + ": " + describe(progress) + "\n";
  }
  return out;
}

std::string log_of(Replica& replica) {
  const Log& log = replica.raft->log();
  std::string out;
  if (log.first_index() <= log.last_index()) {
    const Fetch fetch = log.entries(log.first_index(), log.last_index() + 1,
                                    std::numeric_limits<std::size_t>::max());
    for (const Entry& entry : fetch.entries) out += describe(entry) + "\n";
  }
  out += "state:";
  for (const std::string& command : replica.state) out += " " + command;
  return out + "\n";
}

class Interpreter {
 public:
  std::string run(const std::string& text);

 private:
  using Handler = std::string (Interpreter::*)(const Line&);

  Raft& raft(const Line& line) { return *world_.at(line.id(0)).raft; }

  std::string group(const Line& line) {
    const std::vector<ReplicaId> learners = line.ids("learners");
    Config config{{}, {}, learners};
    for (std::uint64_t id = 1; id <= line.number(0, 1); ++id) {
      if (!config.is_member(ReplicaId{id})) config.voters.push_back(ReplicaId{id});
    }
    for (ReplicaId id : config.members()) world_.add(id, options_of(line), config);
    return "";
  }
  std::string node(const Line& line) {
    world_.add(line.id(0), options_of(line), Config{});
    return "";
  }
  std::string tick(const Line& line) {
    for (std::uint64_t i = 0; i < line.number(1, 1); ++i) raft(line).tick(++now_);
    return "";
  }
  std::string campaign(const Line& line) {
    raft(line).campaign();
    return "";
  }
  std::string propose(const Line& line) {
    std::string command = line.words[1];
    command.resize(std::max<std::size_t>(command.size(), line.number("size", 0)), '.');
    return proposal(raft(line).propose(make_payload(command)));
  }
  std::string change(const Line& line) {
    return proposal(raft(line).propose_config({line.ids("voters"), line.ids("learners"), ""}));
  }
  static std::string proposal(const Proposal& proposal) {
    if (!proposal.ok()) return std::string("refused: ") + describe(proposal.refusal) + "\n";
    return "at " + std::to_string(proposal.index) + "/" + std::to_string(proposal.term) + "\n";
  }
  static std::string refusal(Refusal refusal) {
    return refusal == Refusal::kNone ? "" : std::string("refused: ") + describe(refusal) + "\n";
  }
  std::string read(const Line& line) { return refusal(raft(line).read(line.number(1, 0))); }
  std::string transfer(const Line& line) { return refusal(raft(line).transfer(line.id(1))); }
  std::string disconnected(const Line& line) {
    raft(line).peer_disconnected(line.id(1));
    return "";
  }
  std::string ready(const Line& line) { return world_.ready(line.id(0)); }
  std::string sync(const Line& line) {
    world_.sync(line.id(0), line.number(1, std::numeric_limits<std::size_t>::max()));
    return "";
  }
  std::string apply(const Line& line) {
    world_.apply(line.id(0));
    return "";
  }
  std::string deliver(const Line& line) {
    if (line.words.empty()) {
      world_.drop_all();
      return "";
    }
    const std::uint64_t count = line.number("n", std::numeric_limits<std::size_t>::max());
    const ReplicaId from{line.number("from", 0)};
    return world_.deliver(line.id(0), from, count, line.verb == "drop", line.verb == "duplicate");
  }
  std::string forge(const Line& line) {
    const Append append{
        line.number("prev", 0), line.number("prev_term", 0), line.number("commit", 0), {}};
    world_.at(line.id(1)).raft->step({line.id(0), line.id(1), line.number("term", 0), append});
    return "";
  }
  std::string block(const Line& line) {
    world_.block(line.id(0), line.id(1));
    return "";
  }
  std::string unblock(const Line&) {
    world_.unblock();
    return "";
  }
  std::string crash(const Line& line) {
    world_.crash(line.id(0));
    return "";
  }
  std::string restart(const Line& line) {
    world_.restart(line.id(0));
    return "";
  }
  std::string compact(const Line& line) {
    world_.at(line.id(0)).disk.compact(line.number(1, 0));
    return "";
  }
  std::string snapshot(const Line& line) {
    world_.snapshot(line.id(0), line.id(1), !line.flag("lost"));
    return "";
  }
  std::string stabilize(const Line& line) {
    std::vector<ReplicaId> ids;
    for (const std::string& word : line.words) {
      if (word != "quiet") ids.push_back(ReplicaId{std::stoull(word)});
    }
    const std::string out = world_.stabilize(ids.empty() ? world_.ids() : ids);
    return line.flag("quiet") ? "" : out;
  }
  std::string status(const Line& line) {
    if (!line.words.empty()) return status_of(world_.at(line.id(0)));
    std::string out;
    for (ReplicaId id : world_.ids()) out += status_of(world_.at(id));
    return out;
  }
  std::string log(const Line& line) { return log_of(world_.at(line.id(0))); }
  std::string network(const Line&) {
    std::string out;
    for (const Message& message : world_.network()) out += describe(message) + "\n";
    return out;
  }

  std::string execute(const std::string& text);

  World world_;
  std::uint64_t now_ = 0;
};

std::string Interpreter::execute(const std::string& text) {
  static const std::map<std::string, Handler> kHandlers = {
      {"group", &Interpreter::group},       {"node", &Interpreter::node},
      {"tick", &Interpreter::tick},         {"campaign", &Interpreter::campaign},
      {"propose", &Interpreter::propose},   {"change", &Interpreter::change},
      {"read", &Interpreter::read},         {"transfer", &Interpreter::transfer},
      {"ready", &Interpreter::ready},       {"disconnected", &Interpreter::disconnected},
      {"sync", &Interpreter::sync},         {"apply", &Interpreter::apply},
      {"deliver", &Interpreter::deliver},   {"drop", &Interpreter::deliver},
      {"duplicate", &Interpreter::deliver}, {"block", &Interpreter::block},
      {"unblock", &Interpreter::unblock},   {"crash", &Interpreter::crash},
      {"restart", &Interpreter::restart},   {"compact", &Interpreter::compact},
      {"snapshot", &Interpreter::snapshot}, {"stabilize", &Interpreter::stabilize},
      {"status", &Interpreter::status},     {"log", &Interpreter::log},
      {"network", &Interpreter::network},   {"forge", &Interpreter::forge},
  };
  const Line line(text);
  const auto handler = kHandlers.find(line.verb);
  if (handler == kHandlers.end()) return "unknown command: " + line.verb + "\n";
  const std::string out = (this->*handler->second)(line);
  world_.check();
  return out;
}

std::string Interpreter::run(const std::string& text) {
  std::istringstream in(text);
  std::string out;
  std::string results;
  bool in_output = false;
  for (std::string line; std::getline(in, line);) {
    if (in_output) {
      if (line.empty()) in_output = false;
      if (line.empty()) out += "\n";
      continue;
    }
    out += line + "\n";
    if (line == "----") {
      out += results.empty() ? "ok\n" : results;
      results.clear();
      in_output = true;
    } else if (!line.empty() && line.front() != '#') {
      results += execute(line);
    }
  }
  return out;
}

}  // namespace

std::string run(const std::string& script) { return Interpreter().run(script); }

}  // namespace skald::raft::script
