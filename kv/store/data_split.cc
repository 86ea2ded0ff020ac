// Where a replica's data may be cut in two halves.
#include <algorithm>
#include <cstddef>

#include "config/base/coding.h"
#include "kv/store/data_store.h"

namespace skald::store {
namespace {

/// Below this a walk over all keys is cheap, and LevelDB's sizes are too rough.
constexpr std::uint64_t kScanBelow = 1 << 20;
/// Each takes a seek; a long prefix that all keys share takes 8 for each of its bytes.
constexpr int kMostBisections = 1024;

/// Eight bytes of `s` from `at` on as a number, with zeros behind its end.
std::uint64_t window(std::string_view s, std::size_t at) {
  std::uint64_t v = 0;
  for (std::size_t i = at; i < at + 8; ++i) {
    v = (v << 8) | (i < s.size() ? static_cast<unsigned char>(s[i]) : 0U);
  }
  return v;
}

/// A string between the two, roughly in the middle; none when they are too close.
std::optional<std::string> middle(std::string_view low, std::string_view high) {
  const auto [l, h] = std::mismatch(low.begin(), low.end(), high.begin(), high.end());
  const auto common = static_cast<std::size_t>(l - low.begin());
  static_cast<void>(h);
  const std::uint64_t a = window(low, common);
  const std::uint64_t b = window(high, common);
  std::string mid(low.substr(0, common));
  if (b - a > 1) {
    put_be64(mid, a + (b - a) / 2);
  } else {
    // Nothing between these bytes: between `low` and the end of all that begins with its own.
    put_be64(mid, a);
    const std::uint64_t further = window(low, common + 8);
    put_be64(mid, further + (~std::uint64_t{0} - further) / 2);
  }
  if (mid <= low || mid >= high) return std::nullopt;
  return mid;
}

std::uint64_t distance(std::uint64_t a, std::uint64_t b) { return a < b ? b - a : a - b; }

}  // namespace

std::uint64_t DataStore::approximate_bytes(const Extents& extents) {
  std::uint64_t bytes = 0;
  for (const Extent& extent : extents) {
    bytes += engine_->approximate_bytes(physical_key(extent.space, extent.interval.begin),
                                        physical_end(extent.space, extent.interval.end));
  }
  return bytes;
}

Result<std::optional<std::string>> DataStore::split_key(const Extents& extents) {
  const std::uint64_t total = approximate_bytes(extents);
  return total < kScanBelow ? split_by_scan(extents) : split_by_size(extents, total);
}

Result<std::optional<std::string>> DataStore::split_by_scan(const Extents& extents) {
  Result<DataCursor> at = iterate(extents);
  if (!at) return at.error();
  std::uint64_t total = 0;
  for (; at->valid(); at->next()) total += at->key().size() + at->value().size();
  std::uint64_t below = 0;
  std::optional<std::string> best;
  at->seek({});
  while (at->valid() && below * 2 < total) {
    below += at->key().size() + at->value().size();
    at->next();
    if (at->valid()) best = at->key();
  }
  if (!at->status().ok()) return at->status().error();
  return best;
}

Result<std::optional<std::string>> DataStore::split_by_size(const Extents& extents,
                                                            std::uint64_t total) {
  Result<DataCursor> at = iterate(extents);
  if (!at) return at.error();
  std::optional<std::string> best;
  if (!at->valid()) return best;
  std::string low(at->key());
  std::string high = extents.back().interval.end.value_or(std::string(16, '\xff'));
  std::uint64_t off_by = total;
  for (int i = 0; i < kMostBisections; ++i) {
    const std::optional<std::string> mid = middle(low, high);
    if (!mid.has_value()) break;
    at->seek(*mid);
    if (!at->valid() || at->key() >= high) {
      high = *mid;
      continue;
    }
    const std::string key(at->key());
    const std::uint64_t below = approximate_bytes(split_extents(extents, key).first);
    if (distance(below, total / 2) < off_by) {
      off_by = distance(below, total / 2);
      best = key;
    }
    if (below < total / 2) {
      low = key;
    } else {
      high = *mid;
    }
  }
  if (!at->status().ok()) return at->status().error();
  return best;
}

}  // namespace skald::store
