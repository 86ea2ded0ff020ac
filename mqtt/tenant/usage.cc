#include "mqtt/tenant/usage.h"

#include <algorithm>

#include "config/base/assert.h"

namespace skald::tenant {

namespace {

/// Above this a rate is no limit, and its arithmetic stays within 64 bits.
constexpr std::uint64_t kMaxRate = std::uint64_t{1} << 52;

}  // namespace

std::size_t Usage::index(Total total) {
  const auto at = static_cast<std::size_t>(total);
  SKALD_ASSERT(at >= config::kTenantSettings && at < config::kTenantKeys);
  return at - config::kTenantSettings;
}

Usage::Meter& Usage::meter(std::string_view tenant, Total total) {
  auto found = tenants_.find(tenant);
  if (found == tenants_.end()) found = tenants_.emplace(std::string(tenant), Meters{}).first;
  return found->second[index(total)];
}

const Usage::Meter* Usage::find(std::string_view tenant, Total total) const {
  const auto found = tenants_.find(tenant);
  return found == tenants_.end() ? nullptr : &found->second[index(total)];
}

void Usage::set_limits(std::string_view tenant, const config::TenantSettings& settings) {
  for (std::size_t i = config::kTenantSettings; i < config::kTenantKeys; ++i) {
    const auto total = static_cast<Total>(i);
    meter(tenant, total).limit = static_cast<std::uint64_t>(settings.get(total));
  }
}

void Usage::clear_limits() {
  for (auto& [name, meters] : tenants_) {
    for (Meter& one : meters) one.limit = 0;
  }
}

bool Usage::take(std::string_view tenant, Total total, std::uint64_t amount) {
  Meter& one = meter(tenant, total);
  if (!one.fits(one.reserved + amount)) {
    ++one.refused;
    return false;
  }
  one.used += amount;
  return true;
}

void Usage::give_back(std::string_view tenant, Total total, std::uint64_t amount) {
  Meter& one = meter(tenant, total);
  SKALD_ASSERT(one.used >= amount);
  one.used -= amount;
}

bool Usage::reserve(std::string_view tenant, Total total, std::uint64_t amount) {
  Meter& one = meter(tenant, total);
  if (!one.fits(one.reserved + amount)) return false;
  one.reserved += amount;
  return true;
}

void Usage::release(std::string_view tenant, Total total, std::uint64_t amount) {
  Meter& one = meter(tenant, total);
  SKALD_ASSERT(one.reserved >= amount);
  one.reserved -= amount;
}

bool Usage::exhausted(std::string_view tenant, Total total, std::uint64_t amount) {
  Meter& one = meter(tenant, total);
  if (one.fits(amount)) return false;
  ++one.refused;
  return true;
}

void Usage::stored(std::string_view tenant, Total total, std::int64_t difference) {
  Meter& one = meter(tenant, total);
  one.stored += static_cast<std::uint64_t>(difference);
  SKALD_ASSERT(static_cast<std::int64_t>(one.stored) >= 0);
}

bool Usage::spend(std::string_view tenant, Total rate, std::uint64_t amount, std::uint64_t now_ms) {
  Meter& one = meter(tenant, rate);
  if (one.limit == 0 || one.limit >= kMaxRate) return true;
  const auto full = static_cast<std::int64_t>(one.limit) * 1000;
  const std::uint64_t passed = one.filled_ms == 0 ? 1000 : now_ms - std::min(now_ms, one.filled_ms);
  const auto refill = static_cast<std::int64_t>(std::min<std::uint64_t>(passed, 1'000'000));
  // A debt of hours after one huge amount would be a refusal for good.
  one.left = std::max(one.left, -60 * full);
  one.left = std::min(full, one.left + refill * static_cast<std::int64_t>(one.limit));
  one.filled_ms = now_ms;
  if (one.left <= 0) {
    ++one.refused;
    return false;
  }
  one.left -= static_cast<std::int64_t>(std::min(amount, kMaxRate)) * 1000;
  return true;
}

std::vector<Usage::Limited> Usage::limited(std::size_t tenants_max) const {
  std::vector<Limited> all;
  for (const auto& [name, meters] : tenants_) {
    const std::size_t before = all.size();
    for (std::size_t i = 0; i < meters.size() && tenants_max > 0; ++i) {
      const Meter& one = meters[i];
      if (one.limit == 0) continue;
      const auto total = static_cast<Total>(i + config::kTenantSettings);
      all.push_back({name, total, one.limit, one.used + one.stored, one.refused});
    }
    if (all.size() > before) --tenants_max;
  }
  return all;
}

std::uint64_t Usage::in_use(std::string_view tenant, Total total) const {
  const Meter* one = find(tenant, total);
  return one == nullptr ? 0 : one->used + one->stored;
}

std::uint64_t Usage::refused(std::string_view tenant, Total total) const {
  const Meter* one = find(tenant, total);
  return one == nullptr ? 0 : one->refused;
}

}  // namespace skald::tenant
