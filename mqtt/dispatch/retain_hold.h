// Publishes that wait for a retained message to be stored (design.md section 5).
//
// A publish with RETAIN is matched after its commit: whoever subscribes gets it by one way or the
// other. What the same publisher sends behind it waits too, so that its order holds.
//
// Owned by the loop's post office. Its bytes are lent to the publisher (BackPressure::lend), which
// bounds them.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <deque>
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
    std::uint64_t sequence = 0;           // of a retained one, from 1; 0: only waits behind one
    retain::StoreResult result = retain::StoreResult::done;
  };

  /// True when a publish of this session must wait.
  bool holds(std::uint64_t session) const { return lines_.contains(session); }
  /// A retained publish: to be stored. What must be stored comes back through take_to_store().
  void hold_retained(std::uint64_t session, mqtt::PublicationRef publication,
                     std::optional<std::uint32_t> ticket);
  /// A publish behind it. Requires: holds(session).
  void hold_behind(std::uint64_t session, mqtt::PublicationRef publication,
                   std::optional<std::uint32_t> ticket);

  bool has_to_store() const { return !to_store_.empty(); }
  /// The publications to store, in order; stored() is called with their results, in order.
  std::vector<mqtt::PublicationRef> take_to_store() { return std::exchange(to_store_, {}); }
  /// The next results: returns what may now be dispatched, in each publisher's order.
  std::vector<Held> stored(const std::vector<retain::StoreResult>& results);

 private:
  absl::flat_hash_map<std::uint64_t, std::deque<Held>> lines_;  // by session
  std::vector<mqtt::PublicationRef> to_store_;
  std::deque<std::uint64_t> awaited_;  // sessions of what is being stored, in order
  std::uint64_t last_sequence_ = 0;
};

}  // namespace skald::dispatch
