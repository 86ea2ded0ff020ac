// Which member of a shared group gets a message: `$share/<group>/<filter>`, MQTT 5.0 section 4.8.2.
//
// One per loop. Members that are online come first, in turn; a persistent member that is offline
// only gets a message when none is online (design.md section 5). Members whose queue is full are
// passed over unless all that are online are full. The order of a publisher's messages is not
// promised: they go to different clients.
//
// The turn of a group is kept by a hash of its name, so a message costs no allocation; two groups
// whose hashes are equal share a turn, which does no harm. At most 2 x `groups_max` turns are kept;
// those not used between two calls of age() are forgotten, and so are older ones when there are too
// many. A forgotten group begins again at a random member.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "config/base/random.h"
#include "mqtt/dist/route_snapshot.h"

namespace skald::share {

/// How the loop sees a member, for one message.
enum class Standing : std::uint8_t {
  ready,     // connected, or thought to be, with room
  stalled,   // connected, but slow or full
  offline,   // a persistent session without a connection
  excluded,  // gone, or it has already refused this very message
};

class Chooser {
 public:
  explicit Chooser(std::uint64_t seed, std::size_t groups_max = 10'000)
      : random_(seed), hash_seed_(random_.next()), groups_max_(groups_max) {}

  /// The index of the member to send to; absent when all are excluded. `standing` is called with
  /// const dist::GroupMember&, at most once for each member, and not for all when one is ready.
  template <class F>
  std::optional<std::size_t> choose(std::string_view tenant, std::string_view group_name,
                                    const dist::Group& group, F&& standing) {
    const std::size_t size = group.size();
    if (size == 0) return std::nullopt;
    std::uint64_t& turn = turn_of(tenant, group_name, group.filter);
    const std::size_t start = turn % size;
    std::optional<std::size_t> stalled;
    std::optional<std::size_t> offline;
    for (std::size_t step = 0; step < size; ++step) {
      const std::size_t i = start + step < size ? start + step : start + step - size;
      switch (standing(group[i])) {
        case Standing::ready:
          turn = i + 1;
          return i;
        case Standing::stalled:
          if (!stalled) stalled = i;
          break;
        case Standing::offline:
          if (!offline) offline = i;
          break;
        case Standing::excluded:
          break;
      }
    }
    const std::optional<std::size_t> chosen = stalled ? stalled : offline;
    if (chosen) turn = *chosen + 1;
    return chosen;
  }

  /// Forgets the turns that were not used since the call before. Now and then: once a minute.
  void age();

  std::size_t groups() const { return recent_.size() + older_.size(); }

 private:
  using Turns = std::unordered_map<std::uint64_t, std::uint64_t>;

  std::uint64_t& turn_of(std::string_view tenant, std::string_view group, std::string_view filter);

  Random random_;
  std::uint64_t hash_seed_;
  std::size_t groups_max_;
  Turns recent_;  // used since the last age()
  Turns older_;   // used before that, not since
};

}  // namespace skald::share
