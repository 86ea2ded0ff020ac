// Which retained messages the sessions of a loop have been fed lately, so that no older one of the
// same publisher comes live behind them (P4).
//
// A retained publish is in the snapshot before its publisher's loop dispatches it, and what the
// publisher sent before it may still be on its way here. A session whose subscription becomes
// visible in between is fed the newest, and is then handed the older ones live: those are held back
// here. Only messages that are younger than kWindowMs are remembered, for as long again: a publish
// is not held longer than it takes to commit one. Feeding old messages costs nothing, and a loop
// without recent feeds asks empty().
//
// A session that has another subscription to the topic, from before, is owed the older message by
// that one, and gets it: late is better than never.
//
// Owned by the loop's dispatch core. At most kMax entries: then what is fed is not remembered.
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

class FedMemory {
 public:
  static constexpr mqtt::TimeMs kWindowMs = 10'000;
  static constexpr std::size_t kMax = 16'384;

  bool empty() const { return fed_.empty(); }
  std::size_t size() const { return fed_.size(); }

  /// The session `number` was handed a retained message because of its subscription to `filter`.
  void remember(std::uint64_t number, std::string_view filter, const mqtt::Publication& message,
                mqtt::TimeMs now_ms);

  /// The session was handed `live` by all of its subscriptions that match it: the other way round,
  /// for feeds that come behind.
  void remember_live(const session::Session& session, const mqtt::Publication& live,
                     mqtt::TimeMs now_ms);
  /// The session has had the message, or a later one of its publisher, because of `filter`.
  bool knows(std::uint64_t number, std::string_view filter,
             const mqtt::Publication& message) const;

  /// True when all that makes the session get `live` is subscriptions that have been fed the same
  /// message, or a later one of its publisher.
  bool supersedes(const session::Session& session, std::uint64_t number,
                  const mqtt::PublicationView& live) const;

  /// Forgets what is old enough.
  void tick(mqtt::TimeMs now_ms);

 private:
  using Key = std::pair<std::uint64_t, std::string>;  // session, topic
  struct Fed {
    mqtt::Publisher publisher;
    std::uint64_t sequence = 0;
    mqtt::TimeMs until_ms = 0;
    std::vector<std::string> filters;
  };

  absl::flat_hash_map<Key, Fed> fed_;
  std::deque<std::pair<mqtt::TimeMs, Key>> line_;  // of fed_, by when to look at it
};

}  // namespace skald::dispatch
