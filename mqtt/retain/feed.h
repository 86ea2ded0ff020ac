// The retained messages that a new subscription is owed, given out as fast as the client takes
// them.
//
// Owned by the session's post office. Subscriptions wait in line with their filter only; the
// messages of the one at the head are looked up when its turn comes, so a session holds one list at
// a time. A message is passed over when the topic has got another one, or none, since the lookup:
// that one has been, or will be, delivered live.
#pragma once

#include <cstdint>
#include <deque>
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
  };

  /// A subscription is visible: its messages are due. The same filter again replaces what waits.
  void add(Wanted wanted);
  /// The client has unsubscribed.
  void cancel(std::string_view filter);

  /// The next message to deliver, for head(); null when the line is empty. `now` is the current
  /// snapshot, looked at for every message. The pointer is valid until the next call.
  const mqtt::PublicationRef* next(const RetainSnapshot& now, std::string_view tenant,
                                   mqtt::TimeMs now_ms);
  /// Puts the last message of next() back: it could not be delivered yet.
  void put_back() { --position_; }
  /// What the last message of next() is for.
  const Wanted& head() const { return line_.front(); }
  bool empty() const { return line_.empty(); }

 private:
  void finish_head();

  std::deque<Wanted> line_;
  std::vector<mqtt::PublicationRef> messages_;  // of the head, once looked up
  std::size_t position_ = 0;
  bool looked_up_ = false;
};

}  // namespace skald::retain
