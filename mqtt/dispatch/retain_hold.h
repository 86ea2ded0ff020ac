// Publishes that wait for something to be committed before they are handed to anyone (design.md
// section 5): a retained message to be stored, a QoS 2 publish of a persistent session to be
// accepted by its inbox.
//
// A publish with RETAIN is matched after its commit: whoever subscribes gets it by one way or the
// other. What the same publisher sends behind a publish that waits waits too, so that its order
// holds; commits of several go on side by side.
//
// Owned by the loop's post office. Its bytes are lent to the publisher (BackPressure::lend), which
// bounds them.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "mqtt/publication.h"
#include "mqtt/retain/types.h"

namespace skald::dispatch {

class RetainHold {
 public:
  struct Held {
    mqtt::PublicationRef publication;
    std::uint64_t session = 0;
    std::optional<std::uint32_t> ticket;  // Session::defer_acknowledge; none for QoS 0 and wills
    std::uint16_t packet_id = 0;          // of a QoS 2 publish that its inbox accepts
    std::uint64_t number = 0;             // of all that was held, rising
    std::uint32_t awaits = 0;             // commits
    retain::StoreResult result = retain::StoreResult::done;
    bool refused = false;  // its inbox would not accept it
  };

  /// True when a publish of this session must wait.
  bool holds(std::uint64_t session) const { return !lines_.empty() && lines_.contains(session); }
  /// How a publish is held, beside being retained.
  struct Manner {
    std::optional<std::uint32_t> ticket{};
    std::uint16_t packet_id = 0;
    bool accept = false;  // accepted() is awaited, with the number that is returned
  };
  /// A publish that waits, for the store if it is retained, for accepted(), or only for those
  /// before it. What must be stored comes back through take_to_store().
  std::uint64_t hold(std::uint64_t session, mqtt::PublicationRef publication, const Manner& manner);

  /// When the oldest retained publish came that is held here; all ones: none is.
  mqtt::TimeMs oldest_ms() const {
    return retained_.empty() ? ~mqtt::TimeMs{0} : retained_.begin()->second;
  }

  /// How many retained publishes are held.
  std::size_t retained() const { return retained_.size(); }

  bool has_to_store() const { return !to_store_.empty(); }
  /// The publications to store, in order; stored() is called with their results, in order.
  std::vector<mqtt::PublicationRef> take_to_store() { return std::exchange(to_store_, {}); }
  /// The next results: returns what may now be dispatched, in each publisher's order.
  std::vector<Held> stored(const std::vector<retain::StoreResult>& results);
  /// The publish of that number is accepted, or will never be.
  std::vector<Held> accepted(std::uint64_t session, std::uint64_t number, bool ok);

 private:
  using Line = std::deque<Held>;

  Held& find(std::uint64_t session, std::uint64_t number);
  void release(std::uint64_t session, std::vector<Held>& ready);

  absl::flat_hash_map<std::uint64_t, Line> lines_;  // by session, each by number
  std::vector<mqtt::PublicationRef> to_store_;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> awaited_;  // being stored: session, number
  std::map<std::uint64_t, mqtt::TimeMs> retained_;  // held ones by number: when they came
  std::uint64_t last_number_ = 0;
};

}  // namespace skald::dispatch
