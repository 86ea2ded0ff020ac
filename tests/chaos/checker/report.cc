#include "tests/chaos/checker/report.h"

#include <utility>

namespace skald::checker {
namespace {

void pad(std::string& out, std::size_t width) {
  if (out.size() < width) out.append(width - out.size(), ' ');
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
  }
  return out + '"';
}

}  // namespace

void Report::violate(Invariant i, std::string what, std::vector<std::uint32_t> events) {
  Tally& t = tally(i);
  if (t.violations++ < max_details_) violations_.push_back({i, std::move(what), std::move(events)});
}

std::uint64_t Report::total() const {
  std::uint64_t sum = 0;
  for (const Tally& t : tallies_) sum += t.violations;
  return sum;
}

std::string Report::text(const History& history) const {
  std::string out = "      judged      excused   violations\n";
  for (std::size_t i = 0; i < kInvariants; ++i) {
    std::string line = kInvariantRows[i].name;
    pad(line, 6);
    line += std::to_string(tallies_[i].judged);
    pad(line, 18);
    line += std::to_string(tallies_[i].excused);
    pad(line, 31);
    line += std::to_string(tallies_[i].violations);
    pad(line, 44);
    out += line + kInvariantRows[i].what + '\n';
  }
  for (const Violation& v : violations_) {
    out += '\n';
    out += kInvariantRows[static_cast<std::size_t>(v.invariant)].name;
    out += ": " + v.what + '\n';
    for (const std::uint32_t e : v.events) out += "    " + history.line(e) + '\n';
  }
  return out;
}

std::string Report::json(const History& history) const {
  std::string out = "{\"events\":" + std::to_string(history.events.size()) +
                    ",\"violations\":" + std::to_string(total()) + ",\"invariants\":{";
  for (std::size_t i = 0; i < kInvariants; ++i) {
    if (i > 0) out += ',';
    out += quoted(kInvariantRows[i].name);
    out += ":{\"judged\":" + std::to_string(tallies_[i].judged) +
           ",\"excused\":" + std::to_string(tallies_[i].excused) +
           ",\"violations\":" + std::to_string(tallies_[i].violations) + '}';
  }
  out += "},\"details\":[";
  bool first = true;
  for (const Violation& v : violations_) {
    if (!first) out += ',';
    first = false;
    out += "{\"invariant\":" + quoted(kInvariantRows[static_cast<std::size_t>(v.invariant)].name) +
           ",\"what\":" + quoted(v.what) + ",\"events\":[";
    for (std::size_t i = 0; i < v.events.size(); ++i) {
      if (i > 0) out += ',';
      out += quoted(history.line(v.events[i]));
    }
    out += "]}";
  }
  return out + "]}";
}

}  // namespace skald::checker
