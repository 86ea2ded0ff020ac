// What tenants use of their totals on this node, for all loops and stores.
//
// The pure count (mqtt/tenant/usage.h) behind a lock. It is asked at CONNECT, at SUBSCRIBE and at
// the end of either, and at a publish only for tenants that limit what publishes take: nobody else
// meets the lock on the hot path. Inbox ranges tell what they hold only while somebody limits it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include "config/options.h"
#include "mqtt/tenant/usage.h"

namespace skald::actors {

class TenantUsage {
 public:
  using Total = config::TenantKey;

  void set_limits(const config::Options& options) {
    const std::lock_guard lock(mutex_);
    usage_.clear_limits();
    for (const config::TenantOptions& tenant : options.tenants) {
      usage_.set_limits(tenant.name, tenant.settings);
    }
    wants_stored_ = std::any_of(options.tenants.begin(), options.tenants.end(), limits_stored);
  }
  /// Whether what ranges hold is of interest.
  bool wants_stored() const { return wants_stored_; }
  bool take(std::string_view tenant, Total total, std::uint64_t amount = 1) {
    const std::lock_guard lock(mutex_);
    return usage_.take(tenant, total, amount);
  }
  void give_back(std::string_view tenant, Total total, std::uint64_t amount = 1) {
    const std::lock_guard lock(mutex_);
    usage_.give_back(tenant, total, amount);
  }
  bool spend(std::string_view tenant, Total rate, std::uint64_t amount, std::uint64_t now_ms) {
    const std::lock_guard lock(mutex_);
    return usage_.spend(tenant, rate, amount, now_ms);
  }

  bool reserve(std::string_view tenant, Total total, std::uint64_t amount = 1) {
    const std::lock_guard lock(mutex_);
    return usage_.reserve(tenant, total, amount);
  }
  void release(std::string_view tenant, Total total, std::uint64_t amount = 1) {
    const std::lock_guard lock(mutex_);
    usage_.release(tenant, total, amount);
  }
  bool exhausted(std::string_view tenant, Total total, std::uint64_t amount = 1) {
    const std::lock_guard lock(mutex_);
    return usage_.exhausted(tenant, total, amount);
  }
  void stored(std::string_view tenant, Total total, std::int64_t difference) {
    const std::lock_guard lock(mutex_);
    usage_.stored(tenant, total, difference);
  }
  std::vector<tenant::Usage::Limited> limited(std::size_t tenants_max) {
    const std::lock_guard lock(mutex_);
    return usage_.limited(tenants_max);
  }

 private:
  static bool limits_stored(const config::TenantOptions& tenant) {
    constexpr Total kStored[] = {
        Total::total_persistent_sessions, Total::total_persistent_session_space_bytes,
        Total::total_persistent_subscriptions, Total::total_shared_subscriptions};
    return std::any_of(std::begin(kStored), std::end(kStored),
                       [&tenant](Total total) { return tenant.settings.is_set(total); });
  }

  std::atomic<bool> wants_stored_{false};
  std::mutex mutex_;
  tenant::Usage usage_;
};

}  // namespace skald::actors
