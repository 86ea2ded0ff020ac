// The QoS 2 publishes of a client that its inbox has accepted and not released [MQTT-4.3.3-10].
//
// They outlive the connection, each with the sequence that it was first given: handed out again
// after a crash, receivers know it by that.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>

#include <cstdint>

#include "mqtt/inbox/types.h"

namespace skald::session {

class AcceptedPublishes {
 public:
  struct Entry {
    std::uint64_t sequence = 0;
    bool handed_out = false;  // before this connection
    bool counted = false;     // came on this connection: counts against Receive Maximum
    bool releasing = false;   // PUBREL came
  };

  /// Null when the id is not open. Valid until the next insert or erase.
  Entry* find(std::uint16_t packet_id) {
    const auto found = by_id_.find(packet_id);
    return found == by_id_.end() ? nullptr : &found->second;
  }

  /// Requires: the id is not open.
  void insert(std::uint16_t packet_id, const Entry& entry) {
    if (by_id_.emplace(packet_id, entry).second) sequences_.insert(entry.sequence);
  }

  void erase(std::uint16_t packet_id) {
    const auto found = by_id_.find(packet_id);
    if (found == by_id_.end()) return;
    sequences_.erase(found->second.sequence);
    by_id_.erase(found);
  }

  bool empty() const { return by_id_.empty(); }
  /// Requires: not empty.
  std::uint64_t lowest_sequence() const { return *sequences_.begin(); }

 private:
  absl::btree_map<std::uint16_t, Entry> by_id_;
  absl::btree_set<std::uint64_t> sequences_;
};

}  // namespace skald::session
