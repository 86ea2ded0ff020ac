// The retained messages that a new subscription is owed, given out as fast as the client takes
// them.
//
// Owned by the session's post office. Subscriptions wait in line with their filter and the snapshot
// of the moment when they became visible; the messages of the one at the head are looked up in it
// when its turn comes, so a session holds one list at a time. A message is passed over when the
// topic has got another one, or none, since that moment: that one has been, or will be, delivered
// live.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mqtt/codec/types.h"
#include "mqtt/publication.h"
#include "mqtt/retain/state_machine.h"

namespace skald::retain {

class Feed {
 public:
  struct Wanted {
    std::string filter;  // without $share: shared subscriptions get none [MQTT-3.3.1-9]
    codec::QoS qos = codec::QoS::at_most_once;
    std::uint32_t subscription_id = 0;
    bool no_local = false;  // not what the session has published itself [MQTT-3.8.3-3]
  };

  using SnapshotRef = std::shared_ptr<const RetainSnapshot>;

  /// A subscription is visible: its messages are due. The same filter again replaces what waits.
  /// `from`: read after the subscription became visible, not null.
  void add(Wanted wanted, SnapshotRef from);
  /// The client has unsubscribed.
  void cancel(std::string_view filter);

  /// The next message to deliver, for head(); null when the line is empty. `now` is the current
  /// snapshot, looked at for every message. The pointer is valid until the next call.
  const mqtt::PublicationRef* next(const RetainSnapshot& now, std::string_view tenant,
                                   mqtt::TimeMs now_ms);
  /// Puts the last message of next() back: it could not be delivered yet.
  void put_back() { --position_; }
  /// What the last message of next() is for.
  const Wanted& head() const { return line_.front().wanted; }
  bool empty() const { return line_.empty(); }

 private:
  struct Waiting {
    Wanted wanted;
    SnapshotRef from;  // null once looked up
  };

  void finish_head();

  std::deque<Waiting> line_;
  std::vector<mqtt::PublicationRef> messages_;  // of the head, once looked up
  std::size_t position_ = 0;
};

}  // namespace skald::retain
