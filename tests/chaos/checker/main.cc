// checker [options] history...: the command line. See history.h for the format.
//
// Exit code: 0 nothing broken, 1 violations, 2 the history or the command line is wrong, 3 nothing
// broken but too little judged (--require).
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/chaos/checker/check.h"

namespace skald::checker {
namespace {

constexpr const char* kUsage =
    "usage: checker [options] history... (- is the standard input)\n"
    "  --json FILE            write the summary as one JSON object\n"
    "  --require I1=1000      fail when fewer were judged; may be repeated\n"
    "  --eps-ms N             (1000) how far apart two views of a moment may be\n"
    "  --kill-grace-ms N      (10000) from up to the end of what a kill left\n"
    "  --close-grace-ms N     (5000) from a takeover to the old connection's end\n"
    "  --promise-at-pubcomp   QoS 2 is promised by PUBCOMP, not by PUBREC\n"
    "  --weak-wills           a kill may lose wills of sessions with expiry 0\n"
    "  --weak-groups          QoS 2 repeated after a kill may reach a second member of a group\n"
    "  --search-steps N       (20000000) of the linearizability search, per topic\n"
    "  --details N            (10) violations shown per invariant\n";

struct Requirement {
  std::size_t invariant;
  std::uint64_t judged;
};

struct CommandLine {
  Options options;
  std::string json;
  std::vector<Requirement> requirements;
  std::vector<std::string> files;
};

Result<Requirement> parse_requirement(std::string_view text) {
  const std::size_t eq = text.find('=');
  for (std::size_t i = 0; i < kInvariants; ++i) {
    if (eq != std::string_view::npos && text.substr(0, eq) == kInvariantRows[i].name) {
      return Requirement{i, std::strtoull(std::string(text.substr(eq + 1)).c_str(), nullptr, 10)};
    }
  }
  return Error{"no such invariant: " + std::string(text)};
}

Result<CommandLine> parse(const std::vector<std::string>& args) {
  CommandLine out;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "--promise-at-pubcomp") {
      out.options.promise_at_pubcomp = true;
    } else if (arg == "--weak-wills") {
      out.options.weak_wills = true;
    } else if (arg == "--weak-groups") {
      out.options.weak_groups = true;
    } else if (arg.starts_with("--")) {
      if (++i == args.size()) return Error{arg + " needs a value"};
      const std::uint64_t number = std::strtoull(args[i].c_str(), nullptr, 10);
      if (arg == "--json") {
        out.json = args[i];
      } else if (arg == "--require") {
        Result<Requirement> requirement = parse_requirement(args[i]);
        if (!requirement) return requirement.error();
        out.requirements.push_back(*requirement);
      } else if (arg == "--eps-ms") {
        out.options.eps_us = number * 1000;
      } else if (arg == "--kill-grace-ms") {
        out.options.kill_grace_us = number * 1000;
      } else if (arg == "--close-grace-ms") {
        out.options.close_grace_us = number * 1000;
      } else if (arg == "--search-steps") {
        out.options.search_steps = number;
      } else if (arg == "--details") {
        out.options.max_details = static_cast<std::uint32_t>(number);
      } else {
        return Error{"unknown option " + arg};
      }
    } else {
      out.files.push_back(arg);
    }
  }
  if (out.files.empty()) return Error{"no history given"};
  return out;
}

Result<History> read_files(const std::vector<std::string>& files) {
  HistoryReader reader;
  for (const std::string& name : files) {
    std::ifstream file;
    if (name != "-") {
      file.open(name);
      if (!file) return Error{"cannot open " + name};
    }
    if (Status status = reader.read(name == "-" ? std::cin : file, name); !status) {
      return status.error();
    }
  }
  return reader.finish();
}

int run(const std::vector<std::string>& args) {
  Result<CommandLine> line = parse(args);
  if (!line) {
    std::cerr << line.error().message << "\n" << kUsage;
    return 2;
  }
  Result<History> history = read_files(line->files);
  if (!history) {
    std::cerr << history.error().message << "\n";
    return 2;
  }
  const Report report = check(*history, line->options);
  std::cout << report.text(*history);
  if (!line->json.empty()) {
    std::ofstream json(line->json);
    json << report.json(*history) << "\n";
    if (!json.flush()) {
      std::cerr << "cannot write " << line->json << "\n";
      return 2;
    }
  }
  bool enough = true;
  for (const Requirement& r : line->requirements) {
    const std::uint64_t judged = report.tally(static_cast<Invariant>(r.invariant)).judged;
    if (judged >= r.judged) continue;
    enough = false;
    std::cout << "too little: " << kInvariantRows[r.invariant].name << " judged " << judged
              << " times, required " << r.judged << "\n";
  }
  const std::uint64_t total = report.total();
  std::cout << history->events.size() << " events, " << total << " violations\n";
  if (total > 0) return 1;
  return enough ? 0 : 3;
}

}  // namespace
}  // namespace skald::checker

int main(int argc, char** argv) {
  return skald::checker::run(std::vector<std::string>(argv + 1, argv + argc));
}
