// The retained messages that a new subscription is owed, given out as fast as the client takes
// them.
//
// Owned by the session's post office. Subscriptions wait in line with their filter and the snapshot
// of the moment when they became visible; the one at the head is walked through in it, a few steps
// at a time (RetainWalk), so that no filter holds up a loop. A message is passed over when the
// topic has got another one, or none, since that moment: that one has been, or will be, delivered
// live. What becomes of a message is not this file's: it is written to the session, or inserted
// into its queue when that is persistent.
//
// A line keeps the snapshots of its subscriptions: what they hold and was replaced since stays in
// memory until the feed is over.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
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
    bool no_local = false;      // not what the session has published itself [MQTT-3.8.3-3]
    std::uint32_t limit = 0;    // most messages; 0: all
    mqtt::TimeMs until_ms = 0;  // a feed that begins again: later ones came live; 0: has no end
  };

  using SnapshotRef = std::shared_ptr<const RetainSnapshot>;

  /// A subscription is visible: its messages are due. The same filter again replaces what waits.
  /// `from`: read after the subscription became visible, not null.
  void add(Wanted wanted, SnapshotRef from);
  /// The client has unsubscribed.
  void cancel(std::string_view filter);

  /// The next message to deliver, for head(). Null: the line is empty, or `steps` have run out,
  /// which go down by one for each node looked at; call again in the next round. `now` is the
  /// current snapshot, looked at for every message. The pointer is valid until the next call.
  const mqtt::PublicationRef* next(const RetainSnapshot& now, std::string_view tenant,
                                   mqtt::TimeMs now_ms, std::size_t& steps);
  /// Puts the last message of next() back: it could not be delivered yet.
  void put_back() { back_ = last_; }
  /// What the last message of next() is for.
  const Wanted& head() const { return line_.front().wanted; }
  bool empty() const { return line_.empty(); }
  /// The filters that have had all since the last call.
  std::vector<std::string> take_finished() { return std::exchange(finished_, {}); }

 private:
  struct Waiting {
    Wanted wanted;
    SnapshotRef from;
    std::uint32_t given = 0;
  };

  void finish_head();

  std::deque<Waiting> line_;
  std::vector<std::string> finished_;
  std::optional<RetainWalk> walk_;              // of the head, once begun
  const mqtt::PublicationRef* last_ = nullptr;  // of next()
  const mqtt::PublicationRef* back_ = nullptr;  // put back
};

}  // namespace skald::retain
