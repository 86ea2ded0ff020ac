// Any bytes as a script on a filter trie, one line an operation: `+filter` adds, `-filter` erases,
// `!` keeps a snapshot, anything else is a topic to match.
//
// Oracles: what is valid, told again letter by letter; and a list of filters with the plain
// matcher, for the trie as it is and for the snapshots as they were.
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mqtt/topic/filter_trie.h"
#include "mqtt/topic/topic.h"
#include "tests/fuzz/fault.h"

namespace skald::topic {
namespace {

constexpr std::size_t kFiltersMax = 50;
constexpr std::size_t kSnapshotsMax = 4;

using Trie = FilterTrie<std::uint64_t>;
using Model = std::map<std::string, std::uint64_t, std::less<>>;

/// MQTT 5.0 section 4.7 letter by letter: a wildcard has a border on both sides, # the end behind.
bool is_filter(std::string_view text) {
  if (text.empty() || text.size() > 65535) return false;
  std::size_t slashes = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\0') return false;
    if (text[i] == '/') ++slashes;
    if (text[i] != '+' && text[i] != '#') continue;
    const bool starts = i == 0 || text[i - 1] == '/';
    const bool ends = i + 1 == text.size();
    if (!starts) return false;
    if (!ends && (text[i] == '#' || text[i + 1] != '/')) return false;
  }
  return slashes < kMaxLevels;
}

bool is_subscribable(std::string_view text) {
  if (text.starts_with("$oshare/") || text.size() > 65535) return false;
  if (!text.starts_with("$share/")) return is_filter(text);
  const std::size_t slash = text.find('/', 7);
  if (slash == std::string_view::npos || slash == 7) return false;
  const std::string_view group = text.substr(7, slash - 7);
  for (const char c : group) {
    if (c == '+' || c == '#' || c == '\0') return false;
  }
  return is_filter(text.substr(slash + 1));
}

void check_match(const Trie& trie, const Model& model, std::string_view topic) {
  std::set<std::uint64_t> found;
  trie.match(topic, [&found](std::uint64_t value) {
    if (!found.insert(value).second) fuzz::fault("a filter matched twice");
  });
  for (const auto& [filter, value] : model) {
    if (matches(filter, topic) != (found.erase(value) == 1)) fuzz::fault("wrong match: " + filter);
  }
  if (!found.empty()) fuzz::fault("a match of a filter that is not there");
}

class Script {
 public:
  void line(std::string_view text) {
    if (text == "!" && old_.size() < kSnapshotsMax) old_.emplace_back(trie_, model_);
    if (text.starts_with('+') || text.starts_with('-')) {
      change(text.substr(1), text[0] == '+');
    } else if (check_name(text) == Refusal::none) {
      check_match(trie_, model_, text);
      for (const auto& [snapshot, then] : old_) check_match(snapshot, then, text);
    }
  }

  void end() const {
    std::size_t count = 0;
    trie_.for_each([this, &count](const std::string& filter, std::uint64_t value) {
      const auto found = model_.find(filter);
      if (found == model_.end() || found->second != value) fuzz::fault("lists " + filter);
      ++count;
    });
    if (count != model_.size() || trie_.size() != count) fuzz::fault("wrong size");
  }

 private:
  void change(std::string_view text, bool add) {
    const Filter parsed = parse_filter(text);
    if (parsed.ok() != is_subscribable(text)) fuzz::fault("validity of " + std::string(text));
    if (!parsed.ok()) return;
    if (parsed.shared() != text.starts_with("$share/")) fuzz::fault("shared or not");
    const std::string filter(parsed.filter);
    if (!add) {
      if (trie_.erase(filter) != (model_.erase(filter) == 1)) fuzz::fault("erase of " + filter);
    } else if (model_.size() < kFiltersMax) {
      trie_.at_or_insert(filter) = model_[filter] = ++last_value_;
    }
  }

  Trie trie_{1};
  Model model_;
  std::uint64_t last_value_ = 0;
  std::vector<std::pair<Trie, Model>> old_;
};

}  // namespace
}  // namespace skald::topic

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  skald::topic::Script script;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    script.line(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  script.end();
  return 0;
}
