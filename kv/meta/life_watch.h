// Beside the leader of the meta range: which lives have not been renewed for so long that they may
// be ended.
//
// A pure core on the leader's monotonic clock. It counts TTL x 1.01 from when it is told of a grant
// or renewal, which is never before the request was received; the holder counts TTL x 0.99 from
// when it sent that (life_holder.h). A new leader is told of all lives once its no-op is applied
// (StateMachine::leader_started) and begins to count then: a renewal that another leader answered
// was sent before its election.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "kv/meta/types.h"

namespace skald::meta {

class LifeWatch {
 public:
  explicit LifeWatch(std::uint64_t ttl_us = kLifeTtlUs) : ttl_us_(ttl_us) {}

  void on_seen(const LifeSeen& seen, std::uint64_t now_us);
  void on_ended(Life life) { lives_.erase(life); }
  void leader_stopped() { lives_.clear(); }
  /// To be proposed; each comes again until the life is seen or has ended.
  std::vector<EndLife> tick(std::uint64_t now_us);

 private:
  struct Watched {
    std::uint64_t seen = 0;
    std::uint64_t due_us = 0;
  };

  const std::uint64_t ttl_us_;
  std::map<Life, Watched> lives_;
};

}  // namespace skald::meta
