// What one publication may reach, for tenants that limit it.
//
// The dispatch core asks once for each tenant that it turns to, and then only for those that have
// such a limit. Implemented by the loop's post office, which also counts what is lost; it outlives
// the dispatch core's use of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mqtt/publication.h"

namespace skald::dispatch {

struct FanOut {
  std::uint32_t max_groups = 0;  // shared groups that get one publication; 0: all
  bool rated = false;            // what transient sessions are handed: ask may_hand_out

  bool operator==(const FanOut&) const = default;
};

class FanOutLimits {
 public:
  virtual ~FanOutLimits() = default;
  virtual FanOut fan_out_of(std::string_view tenant) const = 0;
  /// Before `receivers` transient sessions get it; false: it is lost to all of them.
  virtual bool may_hand_out(const mqtt::PublicationView& publication, std::size_t receivers) = 0;
  virtual void left_out(std::string_view tenant, std::size_t groups) = 0;
};

}  // namespace skald::dispatch
