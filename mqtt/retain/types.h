// What the retain range replicates: the last retained message of each (tenant, topic)
// [MQTT-3.3.1-5..8], and the commands on them.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "mqtt/publication.h"

namespace skald::retain {

/// Of one tenant.
struct Limits {
  std::uint64_t max_messages = 1'000'000;
  std::uint64_t max_bytes = 1U << 30;  // Publication::size_bytes

  bool operator==(const Limits&) const = default;
};

/// Publishes with RETAIN set, in order. An empty payload clears its topic [MQTT-3.3.1-6]. The last
/// one of a topic wins; the ones before it in the same command are never stored.
struct Store {
  std::vector<mqtt::PublicationRef> publications;
  /// Of tenants that have limits of their own, below those of all; 0: none.
  struct Limit {
    std::string tenant;
    std::uint64_t max_messages = 0;
    std::uint64_t max_bytes = 0;

    bool operator==(const Limit&) const = default;
  };
  std::vector<Limit> limits{};
  /// Of every tenant. They come with the command, so that who applies it again after a restart, or
  /// elsewhere, decides as the first time.
  Limits most{};
};

/// Takes away what has expired by the command's stamp, at most `limit` messages. The proposer
/// repeats it while the reply says that there is more.
struct Expire {
  std::uint32_t limit = 10'000;
};

using Command = std::variant<Store, Expire>;

enum class StoreResult : std::uint8_t {
  done,         // stored, or cleared
  quota,        // refused: the tenant's limit of messages or bytes; what was there stays
  wrong_range,  // refused: outside this range's boundary
  invalid,      // refused: no valid topic name
};

constexpr bool is_refused(StoreResult result) { return result != StoreResult::done; }

struct Reply {
  std::vector<StoreResult> results;  // one for each publication
  bool more = false;                 // of Expire: repeat it

  bool operator==(const Reply&) const = default;
};

/// The one effect, for every replica: publish a new snapshot before the index counts as visible.
struct PublishSnapshot {
  bool operator==(const PublishSnapshot&) const = default;
};

}  // namespace skald::retain
