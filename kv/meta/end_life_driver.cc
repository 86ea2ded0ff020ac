#include "kv/meta/end_life_driver.h"

#include <algorithm>

namespace skald::meta {

void KeyCover::add(const range::Boundary& boundary) {
  std::string start = boundary.start;
  std::optional<std::string> end = boundary.end;
  auto at = parts_.upper_bound(start);
  if (at != parts_.begin()) --at;
  while (at != parts_.end() && (!end || at->first <= *end)) {
    if (at->second && *at->second < start) {
      ++at;
      continue;
    }
    start = std::min(start, at->first);
    end = end && at->second ? std::optional(std::max(*end, *at->second)) : std::nullopt;
    at = parts_.erase(at);
  }
  parts_[start] = std::move(end);
}

bool KeyCover::has(const range::Boundary& boundary) const {
  auto at = parts_.upper_bound(boundary.start);
  if (at == parts_.begin()) return false;
  --at;
  return !at->second || (boundary.end && *boundary.end <= *at->second);
}

std::vector<EndLifeDriver::Send> EndLifeDriver::tick(std::uint64_t now_us, const Tables& tables) {
  std::vector<Send> sends;
  for (auto& [life, open] : open_) {
    for (const auto& [store, table] : tables) {
      KeyCover& cover = open.covers[store];
      if (cover.whole()) continue;
      for (const auto& [range, descriptor] : table->ranges()) {
        if (cover.has(descriptor.boundary)) continue;
        const auto [sent, first] = open.sent_us.try_emplace({store, range}, now_us);
        if (!first && now_us - sent->second < retry_us_) continue;
        sent->second = now_us;
        sends.push_back({life, store, range});
      }
    }
  }
  return sends;
}

void EndLifeDriver::on_done(Life life, store::StoreNumber store, const range::Boundary& boundary) {
  const auto found = open_.find(life);
  if (found != open_.end()) found->second.covers[store].add(boundary);
}

std::vector<Life> EndLifeDriver::complete(const Tables& tables) const {
  std::vector<Life> done;
  for (const auto& [life, open] : open_) {
    const auto& covers = open.covers;  // clang 14 does not capture structured bindings
    const bool all = std::all_of(tables.begin(), tables.end(), [&covers](const auto& item) {
      const auto cover = covers.find(item.first);
      return cover != covers.end() && cover->second.whole();
    });
    if (all) done.push_back(life);
  }
  return done;
}

}  // namespace skald::meta
