// Who has failed to log in too often lately: by user name and by address.
//
// Pure; time comes in. A failure counts for the name and for the address (IPv6: its /64). Counts
// fade, one every `fade_ms`. At the limit the next attempts are refused unheard for a second, then
// two, four, ... up to `max_block_ms`; they do not count. A login that succeeds clears its name,
// not its address: an attacker may have an account. The table has a fixed size; when its place is
// taken, a newcomer replaces the lowest count of its neighbourhood, so that a flood of made-up
// names does not wash out one under attack.
//
// A name can be blocked by others on purpose; that is the price of protecting it, and its limit is
// the higher for it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace skald::auth {

class FailureLimiter {
 public:
  struct Options {
    std::uint32_t by_user = 20;     // failures; 0: no limit
    std::uint32_t by_address = 10;  // likewise
    std::uint64_t fade_ms = 10'000;
    std::uint64_t max_block_ms = 300'000;
    std::size_t places = 16 * 1024;  // rounded up to a power of two
    std::uint64_t seed = 0;          // keys the table, so that collisions cannot be chosen
  };

  explicit FailureLimiter(const Options& options);

  bool blocked(std::string_view user, std::string_view address, std::uint64_t now_ms) const;
  void failed(std::string_view user, std::string_view address, std::uint64_t now_ms);
  void succeeded(std::string_view user);
  /// Counts stay.
  void set_limits(std::uint32_t by_user, std::uint32_t by_address);

 private:
  static constexpr std::size_t kWays = 4;
  static constexpr std::size_t kNowhere = ~std::size_t{0};

  struct Place {
    std::uint64_t key = 0;  // 0: empty
    std::uint64_t last_ms = 0;
    std::uint64_t blocked_until_ms = 0;
    std::uint32_t count = 0;
  };

  std::size_t neighbourhood(std::uint64_t key) const;
  std::uint64_t key_of(char kind, std::string_view name) const;
  /// The place of `key`, or kNowhere.
  std::size_t find(std::uint64_t key) const;
  Place& take(std::uint64_t key, std::uint64_t now_ms);
  std::uint32_t faded(const Place& place, std::uint64_t now_ms) const;
  void count(std::uint64_t key, std::uint32_t limit, std::uint64_t now_ms);

  Options options_;
  std::vector<Place> places_;
};

}  // namespace skald::auth
