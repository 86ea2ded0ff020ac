#include "tests/sim/runner.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace skald::sim {
namespace {

struct Child {
  pid_t pid = 0;
  int from = -1;
  std::string text;        ///< not yet a whole line
  std::uint64_t next = 0;  ///< the seed to begin with
  std::uint64_t running = 0;
  std::string last_words;
};

void write_all(int to, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t wrote = ::write(to, text.data() + done, text.size() - done);
    if (wrote <= 0) _exit(3);
    done += static_cast<std::size_t>(wrote);
  }
}

/// Forks; the child's standard error and `body`'s lines arrive at the returned descriptor.
Child spawn(const std::function<void(int to)>& body) {
  int ends[2];
  SKALD_ASSERT(::pipe(ends) == 0);
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  SKALD_ASSERT(pid >= 0);
  if (pid == 0) {
    ::close(ends[0]);
    ::dup2(ends[1], STDERR_FILENO);
    body(ends[1]);
    _exit(0);
  }
  ::close(ends[1]);
  Child child;
  child.pid = pid;
  child.from = ends[0];
  return child;
}

std::string stats_line(const GroupStats& stats) {
  std::string line = "S";
  const auto add = [&line](std::uint64_t number) { line += " " + std::to_string(number); };
  for (std::uint64_t number :
       {stats.events, stats.virtual_time, stats.proposed, stats.acked, stats.committed, stats.reads,
        stats.elections, stats.config_changes, stats.transfers, stats.restarts, stats.snapshots,
        stats.messages, stats.messages_lost, stats.syncs}) {
    add(number);
  }
  for (std::uint64_t number : stats.faults) add(number);
  return line + "\n";
}

void add_stats(GroupStats& total, const std::string& line) {
  const char* at = line.c_str() + 1;
  const auto take = [&at](std::uint64_t& field) {
    char* end = nullptr;
    field += std::strtoull(at, &end, 10);
    at = end;
  };
  for (std::uint64_t* field :
       {&total.events, &total.virtual_time, &total.proposed, &total.acked, &total.committed,
        &total.reads, &total.elections, &total.config_changes, &total.transfers, &total.restarts,
        &total.snapshots, &total.messages, &total.messages_lost, &total.syncs}) {
    take(*field);
  }
  for (std::uint64_t& field : total.faults) take(field);
}

std::string violation_line(const Violation& violation) {
  return "V" + violation.checker + "\t" + violation.what + "\n";
}

Violation parse_violation(const std::string& line) {
  const std::size_t tab = line.find('\t');
  return {line.substr(1, tab - 1), line.substr(tab + 1)};
}

/// Lines to the parent: B seed, then V violation or S statistics.
void run_seeds(int to, std::uint64_t first, std::uint64_t end, std::uint64_t step,
               std::uint64_t twice) {
  for (std::uint64_t seed = first; seed < end; seed += step) {
    write_all(to, "B" + std::to_string(seed) + "\n");
    const GroupOptions options = draw_options(seed);
    GroupOutcome outcome = GroupWorld(options, false).run();
    if (outcome.violation.none() && seed % twice == 0 &&
        GroupWorld(options, false).run().trace_hash != outcome.trace_hash) {
      outcome.violation = {"same seed, same run", "two runs differ"};
    }
    write_all(to, outcome.violation.none() ? stats_line(outcome.stats)
                                           : violation_line(outcome.violation));
  }
}

/// Reads what there is; false at the end of the child.
bool read_some(Child& child) {
  char buffer[4096];
  const ssize_t got = ::read(child.from, buffer, sizeof buffer);
  if (got <= 0) return false;
  child.text.append(buffer, static_cast<std::size_t>(got));
  return true;
}

/// The next whole line, without its end.
bool next_line(Child& child, std::string& line) {
  const std::size_t end = child.text.find('\n');
  if (end == std::string::npos) return false;
  line = child.text.substr(0, end);
  child.text.erase(0, end + 1);
  return true;
}

/// True if it died of itself.
bool reap(Child& child) {
  int status = 0;
  ::waitpid(child.pid, &status, 0);
  ::close(child.from);
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

void take_lines(Child& child, BatchResult& result) {
  for (std::string line; next_line(child, line);) {
    switch (line.empty() ? ' ' : line.front()) {
      case 'B':
        child.running = std::strtoull(line.c_str() + 1, nullptr, 10);
        break;
      case 'V':
        result.findings.push_back({child.running, parse_violation(line)});
        ++result.seeds;
        break;
      case 'S':
        add_stats(result.total, line);
        ++result.seeds;
        break;
      default:
        child.last_words = line;
    }
  }
}

}  // namespace

Violation run_apart(const GroupOptions& options) {
  return run_apart([&options] { return GroupWorld(options, false).run().violation; });
}

Violation run_apart(const std::function<Violation()>& what) {
  Child child = spawn([&what](int to) { write_all(to, violation_line(what())); });
  Violation found;
  std::string last;
  while (read_some(child)) {
  }
  for (std::string line; next_line(child, line);) {
    if (!line.empty() && line.front() == 'V') {
      found = parse_violation(line);
    } else {
      last = line;
    }
  }
  if (reap(child)) return {"assertion", last};
  return found;
}

BatchResult run_batch(std::uint64_t first, std::uint64_t count, unsigned jobs, std::uint64_t twice,
                      std::size_t findings_max) {
  BatchResult result;
  const std::uint64_t end = first + count;
  const auto start = [end, jobs, twice](std::uint64_t seed) {
    Child child =
        spawn([seed, end, jobs, twice](int to) { run_seeds(to, seed, end, jobs, twice); });
    child.next = seed;
    return child;
  };
  std::vector<Child> children;
  for (unsigned job = 0; job < jobs; ++job) children.push_back(start(first + job));
  while (!children.empty()) {
    std::vector<pollfd> waits;
    for (const Child& child : children) waits.push_back({child.from, POLLIN, 0});
    ::poll(waits.data(), waits.size(), -1);
    for (std::size_t i = children.size(); i-- > 0;) {
      if (waits[i].revents == 0) continue;
      const bool more = read_some(children[i]);
      take_lines(children[i], result);
      if (more && result.findings.size() < findings_max) continue;
      if (more) ::kill(children[i].pid, SIGKILL);
      Child child = std::move(children[i]);
      children.erase(children.begin() + static_cast<std::ptrdiff_t>(i));
      const bool died = reap(child);
      if (result.findings.size() >= findings_max || !died) continue;
      result.findings.push_back({child.running, {"assertion", child.last_words}});
      ++result.seeds;
      if (child.running + jobs < end) children.push_back(start(child.running + jobs));
    }
  }
  return result;
}

GroupOptions shrink(GroupOptions options, const Violation& violation) {
  const auto fails = [&violation](const GroupOptions& candidate) {
    return run_apart(candidate).checker == violation.checker;
  };
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
    if (!options.faults[kind]) continue;
    GroupOptions smaller = options;
    drop(smaller, static_cast<Fault>(kind));
    if (fails(smaller)) options = smaller;
  }
  for (int halving = 0; halving < 4; ++halving) {
    GroupOptions smaller = options;
    smaller.safety /= 2;
    if (!fails(smaller)) break;
    options = smaller;
  }
  return options;
}

}  // namespace skald::sim
