// Who connects, who publishes what, and who must get it: worked out from the options before the
// first socket is opened.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/bench/options.h"

namespace skald::bench {

inline constexpr std::uint32_t kNone = 0xFFFFFFFF;

struct ClientPlan {
  std::string id;
  std::string filter;               // empty: subscribes to nothing
  std::uint32_t publisher = kNone;  // index into Plan::topics
  std::uint32_t receiver = kNone;   // index into Plan::receivers
  std::uint32_t worker = 0;
};

/// What one receiver must get; the members of a shared group are one receiver together.
struct ReceiverPlan {
  std::uint32_t first_publisher = 0;
  std::uint32_t publishers = 0;
  bool learns = false;  // mode sub: publishers are taken as they come
};

struct Plan {
  std::vector<ClientPlan> clients;
  std::vector<std::string> topics;  // one a publisher
  std::vector<ReceiverPlan> receivers;
  std::uint32_t copies = 0;  // deliveries of one message

  bool checks_order = true;  // not over a shared group
};

Plan make_plan(const Options& options);

}  // namespace skald::bench
