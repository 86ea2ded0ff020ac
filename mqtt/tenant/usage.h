// What tenants use of their totals: BifroMQ's throttled resources, counted.
//
// Pure; stamps come in. Counts are of this node: each node holds a tenant to its totals by itself,
// so a cluster of n nodes may let through up to n times as much. An amount (connections,
// subscriptions) is taken and given back. What outlives connections (persistent sessions, their
// subscriptions and bytes) is *stored*: its truth is in the ranges, which tell their part of it,
// also after a restart; who asks a range for more *reserves* it until the range has answered, so
// that nobody gets past the limit meanwhile. A rate is a bucket that fills in one second and holds
// one second's worth, and what finds something in it may overdraw it, so that a publish larger than
// the rate is slowed and not refused for good. Without a limit amounts are counted all the same,
// rates are not. Tenants are as many as have users or tables, and are kept.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/tenant_settings.h"

namespace skald::tenant {

class Usage {
 public:
  using Total = config::TenantKey;  // from total_connections on

  /// The limits of a tenant from now on; what is above them already stays.
  void set_limits(std::string_view tenant, const config::TenantSettings& settings);
  /// No tenant has limits; counts stay.
  void clear_limits();

  /// False: the limit is reached, and counted as refused.
  bool take(std::string_view tenant, Total total, std::uint64_t amount = 1);
  /// Requires: was taken.
  void give_back(std::string_view tenant, Total total, std::uint64_t amount = 1);
  bool spend(std::string_view tenant, Total rate, std::uint64_t amount, std::uint64_t now_ms);

  /// Room for `amount` until release(); false: not now.
  bool reserve(std::string_view tenant, Total total, std::uint64_t amount = 1);
  void release(std::string_view tenant, Total total, std::uint64_t amount = 1);
  /// True when what is there leaves no room for `amount`, whatever is only reserved: counted as
  /// refused.
  bool exhausted(std::string_view tenant, Total total, std::uint64_t amount = 1);
  /// A range holds so much more, or less, of it than it told before.
  void stored(std::string_view tenant, Total total, std::int64_t difference);

  /// A total that somebody limits: what is used of it (0 for a rate), and how often it refused.
  struct Limited {
    std::string tenant;
    Total total{};
    std::uint64_t limit = 0;
    std::uint64_t used = 0;
    std::uint64_t refused = 0;
  };
  /// By tenant, at most `tenants_max` of them.
  std::vector<Limited> limited(std::size_t tenants_max) const;

  std::uint64_t in_use(std::string_view tenant, Total total) const;
  std::uint64_t refused(std::string_view tenant, Total total) const;

 private:
  struct Meter {
    std::uint64_t limit = 0;  // 0: none
    std::uint64_t used = 0;   // of an amount
    std::uint64_t stored = 0;
    std::uint64_t reserved = 0;
    std::uint64_t refused = 0;
    std::int64_t left = 0;  // of a rate, in units / 1000
    std::uint64_t filled_ms = 0;

    bool fits(std::uint64_t more) const { return limit == 0 || used + stored + more <= limit; }
  };
  using Meters = std::array<Meter, config::kTenantTotals>;

  static std::size_t index(Total total);
  Meter& meter(std::string_view tenant, Total total);
  const Meter* find(std::string_view tenant, Total total) const;

  std::map<std::string, Meters, std::less<>> tenants_;
};

}  // namespace skald::tenant
