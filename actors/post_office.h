// The post office of one loop: owner of the loop's dispatch core, timing wheel, counters and list
// of connections, and the address that other actors write to.
//
// Sessions of the loop call it directly, on the same thread. What they produce in a round for
// others (directory, routes, other loops) is gathered and leaves as one message a receiver in
// on_round().
#pragma once

#include <absl/container/flat_hash_map.h>
#include <event2/event.h>

#include <array>
#include <caf/actor.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "actors/clock.h"
#include "actors/loop/pinned.h"
#include "actors/loop/timing_wheel.h"
#include "actors/loop_authority.h"
#include "actors/messages.h"
#include "actors/node_state.h"
#include "mqtt/dispatch/dispatch.h"
#include "mqtt/dispatch/retain_hold.h"
#include "mqtt/retain/feed.h"
#include "mqtt/session/session.h"
#include "mqtt/topic/topic.h"

namespace skald::actors {

class SessionActor;

class PostOffice final : public Pinned, private Loop::Client {
 public:
  /// `node` outlives the actor.
  PostOffice(caf::actor_config& config, NodeState& node);

  const char* name() const override { return "post_office"; }
  caf::behavior make_behavior() override;
  void on_exit() override;

  // -- for the sessions of this loop
  // ----------------------------------------------------------------

  mqtt::TimeMs now_ms() const { return now_ms_; }
  session::Workspace& workspace() { return workspace_; }
  dispatch::Dispatch& dispatch() { return dispatch_; }
  TimingWheel& wheel() { return wheel_; }
  LoopAuthority& authority() { return authority_; }
  const NodeState& node() const { return node_; }
  /// The buffer that sockets are read into; `carry` bytes of an unfinished packet fit in front.
  char* read_buffer() { return read_buffer_.get(); }
  static constexpr std::size_t kCarryMax = 16 * 1024;
  static constexpr std::size_t kReadSize = 64 * 1024;

  /// Bytes came in: newer snapshots and a new reading of the clock, before they are matched.
  void new_burst();
  /// Dispatches and acknowledges the publication that the session has just received.
  void publish(SessionActor& from);
  /// The end of a session's read burst.
  void burst_done(SessionActor& from);
  void subscribe(SessionActor& from);
  void unsubscribe(SessionActor& from);
  void attach_session(SessionActor& session);
  std::string_view intern_tenant(const std::string& tenant);
  std::uint64_t next_session_id() { return (++last_session_ << 8) | loop().index(); }
  bool may_publish_will(SessionActor& session, std::string_view topic);
  /// CONNACK for a session whose client id was granted.
  void accept_session(SessionActor& session);
  /// The session took bytes or acks: its publishers may go on.
  void progressed(SessionActor& session);
  void count_sent(std::size_t bytes) { counters_.bytes_sent += bytes; }
  /// The session is over: subscriptions, will, directory, log. The socket may linger.
  void session_over(SessionActor& session);
  /// end() is called at the end of the round: nobody is in the middle of using the session then.
  void bury(SessionActor& session);

  struct Counters {
    std::uint64_t bytes_sent = 0;
    std::uint64_t connections_total = 0;
    std::uint64_t connections_refused = 0;  // at the limit of connections
  };

 private:
  /// A granted subscription that is owed retained messages once its SUBACK is written.
  struct WantsRetained {
    retain::Feed::Wanted wanted;
    std::uint32_t entry = 0;  // of its SUBSCRIBE
  };
  /// A SUBACK or UNSUBACK that waits for routes.
  struct PendingAck {
    std::uint64_t session = 0;
    std::uint16_t packet_id = 0;
    bool unsubscribe = false;
    std::vector<codec::ReasonCode> reasons{};
    std::vector<WantsRetained> wants{};
    std::size_t waiting = 0;  // entries whose routes are not visible yet
  };
  /// One entry of a PendingAck.
  struct AckEntry {
    std::uint64_t pending = 0;
    std::uint32_t entry = 0;
  };
  /// What the routes actor answers with: which entry, and how to take it back when it is refused.
  struct Token {
    AckEntry ack;
    std::string filter;  // as subscribed
    std::string adding;  // key in adding_; empty: not counted there
  };

  void on_round() noexcept override;
  static void on_tick(evutil_socket_t fd, short what, void* self) noexcept;
  void tick();

  void accept(const AcceptedSockets& accepted);
  void on_verdicts(const DirectoryVerdicts& verdicts);
  void on_answers(const RouteAnswers& answers);
  void on_handover(const Handover& handover);
  void on_stored(const RetainedStored& stored);
  void hold(SessionActor& from);
  void settle_pressed(session::Session& publisher);
  void acknowledge_subscriptions(session::Session& session, PendingAck pending);
  void start_feed(session::Session& session, const retain::Feed::Wanted& wanted);
  void feed_ready(std::uint64_t session);
  void send_feed_more();
  void feed_some();
  bool feed_session(session::Session& session, retain::Feed& feed);
  void drop_feed(std::uint64_t session);
  void on_credits(const CreditReturn& returned);
  void on_rules(const NewRules& rules);
  void stop();
  void maybe_stopped();

  codec::ReasonCode subscribe_one(SessionActor& from, const codec::Subscribe::Entry& entry,
                                  std::uint32_t subscription_id, AckEntry ack, PendingAck& pending);
  std::uint64_t new_token(AckEntry ack, const std::string& filter, std::string adding);
  void answer_entry(const Token& done, dispatch::SubscribeOutcome outcome);
  void leave_group(const session::Session& session, const topic::Filter& parsed,
                   std::uint64_t token);
  void drop_subscription(session::Session& session, const std::string& filter);
  void wish(RouteWish wish) { wishes_.push_back(std::move(wish)); }
  dist::SessionMember member_of(const session::Session& session, codec::QoS qos);
  void publish_will(SessionActor& session);
  void flush_dirty();
  void send_batches(session::Session* publisher);
  void release_publishers();
  void send_credits();

  NodeState& node_;
  std::unique_ptr<char[]> read_buffer_;
  session::Workspace workspace_;
  dispatch::Dispatch dispatch_;
  LoopAuthority authority_;
  TimingWheel wheel_;
  event* tick_event_ = nullptr;
  std::vector<SessionActor*> connections_;
  std::vector<SessionActor*> buried_;
  mqtt::TimeMs now_ms_ = 0;
  mqtt::TimeMs last_tick_ms_ = 0;
  bool stood_still_ = false;      // at the last tick
  std::string_view last_tenant_;  // interned
  Counters counters_;
  std::uint64_t last_session_ = 0;
  std::uint64_t last_incarnation_ = 0;
  std::uint64_t routes_version_ = 0;
  std::uint64_t interest_version_ = 0;
  absl::flat_hash_map<std::uint64_t, SessionActor*> attaching_;  // by session id
  absl::flat_hash_map<std::uint64_t, PendingAck> pending_;
  absl::flat_hash_map<std::uint64_t, Token> tokens_;
  std::uint64_t last_token_ = 0;
  std::uint64_t last_pending_ = 0;
  absl::flat_hash_map<std::string, std::uint32_t> adding_;  // tenant, NUL, filter: routes awaited
  dispatch::RetainHold retain_hold_;
  std::shared_ptr<const retain::RetainSnapshot> retained_;  // kept while there are feeds
  std::uint64_t retained_version_ = 0;
  /// What a session is owed.
  struct OwedRetained {
    retain::Feed feed;
    bool ready = false;  // in feeds_ready_
  };
  absl::flat_hash_map<std::uint64_t, OwedRetained> feeds_;  // by session
  std::deque<std::uint64_t> feeds_ready_;  // sessions that may take more, each once
  bool feed_more_sent_ = false;            // a FeedMore is on the way
  session::WireForms feed_forms_;
  std::vector<DirectoryChange> directory_changes_;
  std::vector<RouteWish> wishes_;
  caf::strong_actor_ptr stop_asked_by_;
  bool stopping_ = false;
};

}  // namespace skald::actors
