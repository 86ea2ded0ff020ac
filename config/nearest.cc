#include "config/nearest.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "config/keys.h"

namespace skald::config {
namespace {

/// Longer names are no misspelling of anything, and the table is quadratic.
constexpr std::size_t kMaxLength = 64;

/// The least number of letters to insert, remove or replace (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

/// A third of the letters may be wrong.
bool is_near(std::string_view a, std::string_view b) {
  if (a.size() > kMaxLength || b.size() > kMaxLength) return false;
  return distance(a, b) <= std::max<std::size_t>(1, std::max(a.size(), b.size()) / 3);
}

}  // namespace

std::string nearest_key(std::string_view section, std::string_view name) {
  if (name.size() > kMaxLength) return {};
  const Key* best = nullptr;
  for (const Key& key : keys()) {
    if (key.name == name) {
      return "; it is a key of [" + std::string(key.section) + "]";
    }
    if (key.section != section || !is_near(name, key.name)) continue;
    if (best == nullptr || distance(name, key.name) < distance(name, best->name)) best = &key;
  }
  return best == nullptr ? "" : "; did you mean " + std::string(best->name) + "?";
}

std::string nearest_section(std::string_view section) {
  std::vector<std::string_view> sections;
  for (const Key& key : keys()) {
    if (sections.empty() || sections.back() != key.section) sections.push_back(key.section);
  }
  std::string all;
  for (const std::string_view known : sections) {
    if (is_near(section, known)) return "; did you mean [" + std::string(known) + "]?";
    all.append(all.empty() ? "" : ", ").append(known);
  }
  for (const std::string_view known : {kUserSection, kTenantSection}) {
    if (is_near(section, known)) return "; did you mean " + std::string(known) + "?";
    all.append(", ").append(known);
  }
  return "; sections are " + all;
}

}  // namespace skald::config
