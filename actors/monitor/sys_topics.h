// The values of $SYS/broker/..., with Mosquitto's names, of one tenant and from its figures alone.
//
// Pure. Load averages are Mosquitto's: exponentially damped, by the minute, over 1, 5, 15 minutes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/monitor/figures.h"

namespace skald::actors {

constexpr std::string_view kSysRoot = "$SYS";
/// A filter, or a topic, of the broker's own tree.
inline bool is_sys(std::string_view topic) {
  return topic.starts_with(kSysRoot) && (topic.size() == 4 || topic[4] == '/');
}

/// Topic and value, in a fixed order.
using SysValues = std::vector<std::pair<std::string, std::string>>;

class SysTopics {
 public:
  /// The values as of now. `passed_ms`: since the last call; 0: it is the first.
  SysValues values(const TenantSummary& tenant, std::uint64_t uptime_s, std::uint64_t passed_ms);

 private:
  struct Load {
    std::uint64_t count = 0;  // at the last call
    double minutes[3] = {};   // 1, 5, 15
  };
  enum Loads {
    kReceived,
    kSent,
    kPublishReceived,
    kPublishSent,
    kPublishDropped,
    kBytesReceived,
    kBytesSent,
    kConnections,
    kLoads
  };

  Load loads_[kLoads];
  std::uint64_t most_clients_ = 0;
};

}  // namespace skald::actors
