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
  std::string text;  ///< not yet a whole line
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

std::string violation_line(const Violation& violation) {
  return "V" + violation.checker + "\t" + violation.what + "\n";
}

Violation parse_violation(const std::string& line) {
  const std::size_t tab = line.find('\t');
  return {line.substr(1, tab - 1), line.substr(tab + 1)};
}

Case case_of(const Batch& batch, std::uint64_t seed) {
  return {batch.world.value_or(world_of(seed)), seed, {}};
}

/// Lines to the parent: B seed, then V violation or S statistics.
void run_seeds(int to, const Batch& batch, std::uint64_t from) {
  for (std::uint64_t seed = from; seed < batch.first + batch.count; seed += batch.jobs) {
    write_all(to, "B" + std::to_string(seed) + "\n");
    const Case one = case_of(batch, seed);
    Outcome outcome = run_case(one, false);
    if (outcome.violation.none() && batch.twice != 0 && seed / kWorlds % batch.twice == 0 &&
        run_case(one, false).trace_hash != outcome.trace_hash) {
      outcome.violation = {"same seed, same run", "two runs differ"};
    }
    write_all(to, outcome.violation.none() ? "S" + to_line(outcome.stats) + "\n"
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

void take_lines(const Batch& batch, Child& child, BatchResult& result) {
  for (std::string line; next_line(child, line);) {
    const Case one = case_of(batch, child.running);
    switch (line.empty() ? ' ' : line.front()) {
      case 'B':
        child.running = std::strtoull(line.c_str() + 1, nullptr, 10);
        break;
      case 'V':
        result.findings.push_back({one, parse_violation(line)});
        ++result.seeds;
        break;
      case 'S':
        result.totals[static_cast<std::size_t>(one.world)].add(parse_stats(line.substr(1)));
        ++result.seeds;
        break;
      default:
        child.last_words = line;
    }
  }
}

}  // namespace

Violation run_apart(const Case& one) {
  return run_apart([&one] { return run_case(one, false).violation; });
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

BatchResult run_batch(const Batch& batch) {
  BatchResult result;
  const auto start = [&batch](std::uint64_t seed) {
    Child child = spawn([&batch, seed](int to) { run_seeds(to, batch, seed); });
    child.running = seed;
    return child;
  };
  std::vector<Child> children;
  for (unsigned job = 0; job < batch.jobs; ++job) children.push_back(start(batch.first + job));
  while (!children.empty()) {
    std::vector<pollfd> waits;
    for (const Child& child : children) waits.push_back({child.from, POLLIN, 0});
    ::poll(waits.data(), waits.size(), -1);
    for (std::size_t i = children.size(); i-- > 0;) {
      if (waits[i].revents == 0) continue;
      const bool more = read_some(children[i]);
      take_lines(batch, children[i], result);
      const bool enough = result.findings.size() >= batch.findings_max;
      if (more && !enough) continue;
      if (more) ::kill(children[i].pid, SIGKILL);
      Child child = std::move(children[i]);
      children.erase(children.begin() + static_cast<std::ptrdiff_t>(i));
      const bool died = reap(child);
      if (enough || !died) continue;
      result.findings.push_back({case_of(batch, child.running), {"assertion", child.last_words}});
      ++result.seeds;
      const std::uint64_t next = child.running + batch.jobs;
      if (next < batch.first + batch.count) children.push_back(start(next));
    }
  }
  return result;
}

}  // namespace skald::sim
