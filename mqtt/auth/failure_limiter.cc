#include "mqtt/auth/failure_limiter.h"

#include <arpa/inet.h>

#include <algorithm>
#include <bit>
#include <string>

#include "config/base/random.h"

namespace skald::auth {

namespace {

constexpr char kUser = 'u';
constexpr char kAddress = 'a';
constexpr std::uint64_t kFirstBlockMs = 1000;

/// One subscriber has a whole /64 of IPv6.
std::string network_of(std::string_view address) {
  in6_addr six{};
  if (inet_pton(AF_INET6, std::string(address).c_str(), &six) != 1) return std::string(address);
  const auto* bytes = reinterpret_cast<const char*>(six.s6_addr);
  if (!IN6_IS_ADDR_V4MAPPED(&six)) return std::string(bytes, 8);
  char text[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, bytes + 12, text, sizeof text);
  return text;
}

}  // namespace

FailureLimiter::FailureLimiter(const Options& options)
    : options_(options), places_(std::bit_ceil(std::max(options.places, kWays))) {}

void FailureLimiter::set_limits(std::uint32_t by_user, std::uint32_t by_address) {
  options_.by_user = by_user;
  options_.by_address = by_address;
}

std::uint64_t FailureLimiter::key_of(char kind, std::string_view name) const {
  std::uint64_t hash = Random(options_.seed ^ static_cast<unsigned char>(kind)).next();
  for (const char c : name) hash = Random(hash ^ static_cast<unsigned char>(c)).next();
  return hash | 1;  // 0 is an empty place
}

std::size_t FailureLimiter::neighbourhood(std::uint64_t key) const {
  return (key >> 1) & (places_.size() - kWays);  // a multiple of kWays
}

std::size_t FailureLimiter::find(std::uint64_t key) const {
  const std::size_t first = neighbourhood(key);
  for (std::size_t i = first; i < first + kWays; ++i) {
    if (places_[i].key == key) return i;
  }
  return kNowhere;
}

std::uint32_t FailureLimiter::faded(const Place& place, std::uint64_t now_ms) const {
  if (now_ms <= place.last_ms) return place.count;
  const std::uint64_t gone = (now_ms - place.last_ms) / options_.fade_ms;
  return gone >= place.count ? 0 : place.count - static_cast<std::uint32_t>(gone);
}

FailureLimiter::Place& FailureLimiter::take(std::uint64_t key, std::uint64_t now_ms) {
  if (const std::size_t at = find(key); at != kNowhere) return places_[at];
  const std::size_t first = neighbourhood(key);
  Place* lowest = &places_[first];
  for (std::size_t i = first; i < first + kWays; ++i) {
    if (faded(places_[i], now_ms) < faded(*lowest, now_ms)) lowest = &places_[i];
  }
  *lowest = Place{.key = key, .last_ms = now_ms};
  return *lowest;
}

bool FailureLimiter::blocked(std::string_view user, std::string_view address,
                             std::uint64_t now_ms) const {
  const auto holds = [this, now_ms](std::uint32_t limit, char kind, std::string_view name) {
    if (limit == 0) return false;
    const std::size_t at = find(key_of(kind, name));
    return at != kNowhere && now_ms < places_[at].blocked_until_ms;
  };
  return holds(options_.by_user, kUser, user) ||
         holds(options_.by_address, kAddress, network_of(address));
}

void FailureLimiter::count(std::uint64_t key, std::uint32_t limit, std::uint64_t now_ms) {
  if (limit == 0) return;
  Place& place = take(key, now_ms);
  place.count = faded(place, now_ms) + 1;
  place.last_ms = now_ms;
  if (place.count < limit) return;
  const std::uint32_t doublings = std::min<std::uint32_t>(place.count - limit, 20);
  place.blocked_until_ms = now_ms + std::min(options_.max_block_ms, kFirstBlockMs << doublings);
}

void FailureLimiter::failed(std::string_view user, std::string_view address, std::uint64_t now_ms) {
  count(key_of(kUser, user), options_.by_user, now_ms);
  count(key_of(kAddress, network_of(address)), options_.by_address, now_ms);
}

void FailureLimiter::succeeded(std::string_view user) {
  if (const std::size_t at = find(key_of(kUser, user)); at != kNowhere) places_[at] = Place{};
}

}  // namespace skald::auth
