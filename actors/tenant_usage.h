// What tenants use of their totals on this node, for all loops.
//
// The pure count (mqtt/tenant/usage.h) behind a lock. It is asked at CONNECT, at SUBSCRIBE and at
// the end of either, and at a publish only for tenants that limit the rates of publishes: nobody
// else meets the lock on the hot path.
#pragma once

#include <cstdint>
#include <mutex>
#include <string_view>

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
  }
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

 private:
  std::mutex mutex_;
  tenant::Usage usage_;
};

}  // namespace skald::actors
