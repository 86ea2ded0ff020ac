// Which retained messages sessions of a loop were handed live while their subscriptions waited for
// what is retained: those are not fed again.
//
// A retained publish is in the snapshot before its publisher's loop dispatches it. A subscription
// that becomes visible in between gets it live, and its feed begins with a snapshot that holds it
// too. The other way round cannot be: a feed waits for what its publisher's loop has stored and not
// dispatched yet (PostOffice::feed_session).
//
// Only messages that are younger than kWindowMs are remembered, for as long again.
//
// Owned by the loop's dispatch core. At most kMax entries: what more comes may be fed again.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mqtt/publication.h"
#include "mqtt/session/session.h"

namespace skald::dispatch {

class LiveMemory {
 public:
  static constexpr mqtt::TimeMs kWindowMs = 10'000;
  static constexpr std::size_t kMax = 16'384;

  std::size_t size() const { return had_.size(); }

  /// The session was handed `live` by all of its subscriptions that match it.
  void remember(const session::Session& session, const mqtt::Publication& live,
                mqtt::TimeMs now_ms);
  /// The session `number` has had the message, or a later one of its publisher, because of
  /// `filter`.
  bool knows(std::uint64_t number, std::string_view filter, const mqtt::Publication& message) const;
  /// Forgets what is old enough.
  void tick(mqtt::TimeMs now_ms);

 private:
  using Key = std::pair<std::uint64_t, std::string>;  // session, topic
  struct Had {
    mqtt::Publisher publisher;
    std::uint64_t sequence = 0;
    mqtt::TimeMs until_ms = 0;
    std::vector<std::string> filters;
  };

  absl::flat_hash_map<Key, Had> had_;
  std::deque<std::pair<mqtt::TimeMs, Key>> line_;  // of had_, by when to look at it
};

}  // namespace skald::dispatch
