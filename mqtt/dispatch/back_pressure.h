// Who waits for whom: publishers that are not read while a receiver of theirs is behind.
//
// A publisher that hands a message to a receiver which is behind (Session::behind) waits for it:
// its further publishes stay unread. The wait ends when the receiver has caught up, is gone, or has
// used up its time; from then on it is slow, and what it cannot take is dropped by its own limits
// until it has caught up. Publishers of other loops wait through the byte credit of their batches,
// which is given back when nothing of the batch waits any more.
//
// Owned by the loop's dispatch core. Costs nothing while nobody is behind.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "mqtt/publication.h"
#include "mqtt/session/session.h"

namespace skald::dispatch {

/// Byte credit of a batch, to be given back to the publisher's loop.
struct Credit {
  std::uint16_t loop = 0;
  std::uint64_t publisher = 0;  // session; 0: nobody waits for it
  std::uint64_t bytes = 0;
};

class BackPressure {
 public:
  struct Options {
    mqtt::TimeMs slow_receiver_timeout_ms = 2000;
    std::uint64_t publisher_credit_bytes = 1024 * 1024;
  };

  explicit BackPressure(const Options& options) : options_(options) {}

  /// `publisher` (of this loop) waits until `receiver` is no longer behind. No effect when the
  /// receiver is known to be slow.
  void wait(session::Session& publisher, session::Session& receiver, mqtt::TimeMs now_ms);
  /// As above for a batch of another loop. Its credit comes back through take_credits().
  void wait(const Credit& batch, const std::vector<session::Session*>& receivers,
            mqtt::TimeMs now_ms);

  /// `bytes` of `publisher` are on their way to other loops.
  void lend(session::Session& publisher, std::uint64_t bytes);
  void give_back(session::Session& publisher, std::uint64_t bytes);

  /// The receiver's socket or client took something.
  void progressed(session::Session& receiver);
  /// Receivers whose time is up become slow.
  void tick(mqtt::TimeMs now_ms);
  /// The session is over, as a receiver and as a publisher.
  void forget(session::Session& session);

  /// Publishers of this loop that may go on.
  std::vector<session::Session*> take_released() { return std::exchange(released_, {}); }
  bool has_released() const { return !released_.empty(); }
  std::vector<Credit> take_credits() { return std::exchange(credits_, {}); }
  bool has_credits() const { return !credits_.empty(); }

  std::size_t receivers_behind() const { return receivers_.size(); }
  /// Publishers that wait for somebody or have lent bytes, and batches of other loops that wait.
  std::size_t publishers_held() const { return publishers_.size() + remote_.size(); }
  std::uint64_t slow_receivers_total() const { return slow_total_; }

 private:
  /// A batch of another loop that waits for some receivers.
  struct RemoteWait {
    Credit credit;
    std::uint32_t receivers = 0;
  };
  struct Receiver {
    mqtt::TimeMs since_ms = 0;
    std::vector<session::Session*> publishers;
    std::vector<std::uint64_t> remote;  // keys of remote_
  };
  struct PublisherState {
    std::vector<session::Session*> waits_for;
    std::uint64_t lent_bytes = 0;
  };
  struct Deadline {
    mqtt::TimeMs since_ms;
    session::Session* receiver;
  };

  Receiver& receiver(session::Session& session, mqtt::TimeMs now_ms);
  void release(session::Session& receiver);
  void update(session::Session& publisher, const PublisherState& state);

  Options options_;
  absl::flat_hash_map<session::Session*, Receiver> receivers_;
  std::deque<Deadline> deadlines_;  // of receivers_, oldest first; some may have caught up since
  absl::flat_hash_map<session::Session*, PublisherState> publishers_;
  absl::flat_hash_map<std::uint64_t, RemoteWait> remote_;
  std::uint64_t last_remote_ = 0;
  std::vector<session::Session*> released_;
  std::vector<Credit> credits_;
  std::uint64_t slow_total_ = 0;
};

}  // namespace skald::dispatch
