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
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "actors/clock.h"
#include "actors/loop/pinned.h"
#include "actors/loop/timing_wheel.h"
#include "actors/loop_authority.h"
#include "actors/messages.h"
#include "actors/monitor/events.h"
#include "actors/node_state.h"
#include "mqtt/dispatch/dispatch.h"
#include "mqtt/dispatch/retain_hold.h"
#include "mqtt/inbox/client.h"
#include "mqtt/retain/feed.h"
#include "mqtt/session/session.h"
#include "mqtt/topic/topic.h"

namespace skald::actors {

class SessionActor;

class PostOffice final : public Pinned, private Loop::Client, private dispatch::FanOutLimits {
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
  codec::ReasonCode enter_tenant(SessionActor& actor);
  std::string_view intern_tenant(const std::string& tenant);
  std::uint64_t next_session_id() { return (++last_session_ << 8) | loop().index(); }
  bool may_publish_will(SessionActor& session, std::string_view topic);
  /// CONNACK for a session whose client id was granted.
  void accept_session(SessionActor& session, const inbox::SessionState* state);
  /// The session took bytes or acks: its publishers may go on.
  void progressed(SessionActor& session);
  /// The session is over: subscriptions, directory, log. The socket may linger.
  void session_over(SessionActor& session);
  /// It has used up its bandwidth for now.
  void rest(SessionActor& session);
  /// end() is called at the end of the round: nobody is in the middle of using the session then.
  void bury(SessionActor& session);

  struct Counters {
    std::uint64_t connections_total = 0;
    std::uint64_t refused_disk_full = 0;  // publishes that would have had to be kept
    std::uint64_t stale_routes = 0;       // an inbox that has ended was still routed to
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
    bool inbox = false;  // a persistent session's: its inbox follows a removal
  };

  // What is waited for, by the token under which it comes back from an inbox.
  struct AttachWait {
    std::uint64_t session = 0;
    inbox::Name name;
    bool reserved = false;  // a place among the tenant's persistent sessions
  };
  struct AcceptWait {  // a QoS 2 publish, held under `number`
    std::uint64_t session = 0;
    std::uint64_t number = 0;
  };
  struct InsertWait {  // a publish, of a session or a will
    std::uint64_t session = 0;
    std::optional<std::uint32_t> ticket{};
    std::uint16_t handed_out = 0;  // QoS 2 of a persistent session: its packet id
    std::uint64_t sequence = 0;    // and its sequence
    std::size_t lent = 0;
    mqtt::TimeMs give_up_ms = 0;
    RangeId intent_range{};
    std::uint64_t intent = 0;
  };
  struct ReceivedWait {
    std::uint64_t session = 0;
    inbox::Seq seq = 0;
  };
  struct ReleaseWait {
    std::uint64_t session = 0;
    std::uint16_t packet_id = 0;
    std::optional<std::uint32_t> ticket{};  // of a refused publish: acknowledged after it
    codec::ReasonCode reason = codec::ReasonCode::success;
  };
  struct SubscribeWait {
    std::uint64_t session = 0;
    AckEntry ack;
    std::string filter;
    session::Session::Subscription subscription;
    std::string tenant;
    bool reserved = false;  // a place among the tenant's subscriptions
  };
  struct UnsubscribeWait {
    AckEntry ack;
    std::string filter;
  };
  struct FeedWait {
    std::uint64_t session = 0;
  };
  struct DetachWait {
    std::uint64_t session = 0;
    std::optional<inbox::Owner> evicted_for;
  };
  using Wait = std::variant<AttachWait, AcceptWait, InsertWait, ReceivedWait, ReleaseWait,
                            SubscribeWait, UnsubscribeWait, FeedWait, DetachWait>;

  /// A connection that is over and something keeps from its inbox: publishes that are not with
  /// their receivers yet, or an older connection that has not gone.
  struct Leaving {
    inbox::Detach detach;
    std::optional<inbox::Owner> evicted_for;
    bool awaits_previous = false;  // counted in publishing_
  };
  /// A connection between CONNECT and CONNACK.
  struct Attaching {
    SessionActor* actor = nullptr;
    inbox::OperationResult result{};
    bool evicting = false;  // another has to go first
    mqtt::TimeMs since_ms = 0;
  };

  void on_round() noexcept override;
  static void on_tick(evutil_socket_t fd, short what, void* self) noexcept;
  void tick();

  void accept(const AcceptedSockets& accepted);
  void on_parcel(const LoopParcel& parcel);
  void on_evicted(const Evicted& evicted);
  void on_state(const SessionStateFound& found);
  void on_fetched(const MessagesFetched& fetched);
  void on_replies(const RangeReplies& replies);
  void on_completion(const inbox::Completion& completion);
  void completed(const AttachWait& wait, const inbox::Completion& completion);
  void completed(const AcceptWait& wait, const inbox::Completion& completion);
  void completed(const InsertWait& wait, const inbox::Completion& completion);
  void completed(const ReceivedWait& wait, const inbox::Completion& completion);
  void completed(const ReleaseWait& wait, const inbox::Completion& completion);
  void completed(const SubscribeWait& wait, const inbox::Completion& completion);
  void completed(const UnsubscribeWait& wait, const inbox::Completion& completion);
  void completed(const FeedWait& wait, const inbox::Completion& completion);
  void completed(const DetachWait& wait, const inbox::Completion& completion);
  void leave(std::uint64_t session, Leaving leaving);
  void publishing(std::uint64_t session);
  void published(const InsertWait& wait);
  void previous_gone(std::uint64_t session);
  std::uint64_t wait_for(Wait wait);
  void send_requests();
  void submit_attach(SessionActor& actor);
  void submit_subscribe(SessionActor& actor, SubscribeWait wait);
  bool try_again(const SubscribeWait& wait);
  void proceed(std::uint64_t session);
  void accept_new(Attaching attaching);
  void detach_session(SessionActor& actor);
  void evict(const inbox::Evict& evict);
  void tell_evicted(const inbox::Owner& owner);
  void deliver(const inbox::Deliver& delivery);
  void deliver(const UnloggedDelivery& delivery);
  void deliver_unlogged();
  void be_lazy(SessionActor& actor);
  void stop_evicting();
  void refuse_attaching();
  dist::Receiver route_of(const SessionActor& actor, const topic::Filter& parsed,
                          const inbox::Subscription& subscription) const;
  codec::ReasonCode unsubscribe_inbox(SessionActor& from, const std::string& filter,
                                      const topic::Filter& parsed, AckEntry ack,
                                      PendingAck& pending);
  bool finish_in_inbox(const Token& done, dispatch::SubscribeOutcome outcome);
  dist::GroupReceiver member_route(const SessionActor& actor, std::string group,
                                   const inbox::Subscription& subscription, bool online) const;
  void collect(SessionActor& actor);
  void send_lazy(SessionActor& actor);
  void publish_will(RangeId range, const inbox::PublishWill& will);
  void announce_member(SessionActor& actor, const std::string& filter, bool online);
  void on_answers(const RouteAnswers& answers);
  void on_handover(const Handover& handover);
  void store_retained();
  void on_retain_replies(const RangeReplies& replies);
  void release_held(std::vector<dispatch::RetainHold::Held> ready);
  bool must_hold(const SessionActor& from) const;
  void hold(SessionActor& from);
  void insert_into_inboxes(const mqtt::PublicationView& publication, SessionActor* publisher,
                           InsertWait wait);
  bool redispatch(const std::vector<dispatch::InboxDelivery>& inserts,
                  const std::vector<inbox::Completion::Failure>& failures, const InsertWait& wait);
  void insert_all(const inbox::Client::Manner& manner, std::uint64_t token);
  void hand_out(mqtt::PublicationView& publication, SessionActor* publisher, InsertWait wait);
  void settle_publish(const InsertWait& wait, codec::ReasonCode reason);
  void give_up_waiting();
  bool is_refused_by_disk(const SessionActor& from) const;
  void refuse_by_disk(SessionActor& from);
  void settle_pressed(session::Session& publisher);
  void acknowledge_subscriptions(session::Session& session, PendingAck pending);
  void start_feed(session::Session& session, const retain::Feed::Wanted& wanted);
  void resume_feeds(SessionActor& actor);
  void tell_fed(session::Session& session, const std::string& filter);
  void feed_ready(std::uint64_t session);
  void send_feed_more();
  void feed_some();
  bool feed_session(session::Session& session, retain::Feed& feed);
  void feed_now(session::Session& session, const mqtt::PublicationRef& message,
                const retain::Feed::Wanted& wanted);
  void feed_inbox(SessionActor& actor, const mqtt::PublicationRef& message,
                  const retain::Feed::Wanted& wanted, std::uint64_t token);
  void drop_feed(std::uint64_t session);
  void on_credits(const CreditReturn& returned);
  void on_rules(const NewRules& rules);
  void set_tenants(const config::Options& options);
  const session::Limits* keep_limits(const session::Limits& limits);
  void leave_tenant(SessionActor& actor);
  bool take_subscription(const session::Session& session, bool shared);
  void give_back_subscription(const session::Session& session, bool shared);
  LoopReport report(const ReportWanted& wanted);
  LoopLoad load();
  void note_refusal(EventKind kind, std::string_view tenant, const SessionActor& actor,
                    std::string_view what);
  void note_done(EventKind kind, std::string_view tenant, std::string_view what);
  void count_in(session::Session& session, std::string_view tenant);
  void join_sys(session::Session& session, std::string_view filter,
                const inbox::Subscription& subscription, bool replace);
  void leave_sys(SessionActor& actor);
  void on_sys(const SysUpdate& update);
  void feed_sys(session::Session& session, const retain::Feed::Wanted& wanted);
  dispatch::FanOut fan_out_of(std::string_view tenant) const override;
  bool may_hand_out(const mqtt::PublicationView& publication, std::size_t receivers) override;
  void left_out(std::string_view tenant, std::size_t groups) override;
  bool within_rates(const mqtt::PublicationView& publication);
  std::vector<retain::Store::Limit> retain_limits(const retain::Store& store) const;
  std::size_t room_in_inboxes(const mqtt::Publication& publication, std::size_t targets,
                              std::uint64_t token);
  bool reserve_space(std::string_view tenant, std::uint64_t bytes, std::uint64_t token);
  void release_space(std::uint64_t token);
  void stop();
  void maybe_stopped();

  codec::ReasonCode judge_filter(SessionActor& from, const topic::Filter& parsed,
                                 std::uint32_t subscription_id);
  codec::ReasonCode subscribe_one(SessionActor& from, const codec::Subscribe::Entry& entry,
                                  std::uint32_t subscription_id, AckEntry ack, PendingAck& pending);
  std::uint64_t new_token(AckEntry ack, const std::string& filter, std::string adding);
  void answer_entry(const Token& done, dispatch::SubscribeOutcome outcome);
  void leave_group(const session::Session& session, const topic::Filter& parsed,
                   std::uint64_t token);
  void drop_subscription(session::Session& session, const std::string& filter);
  void wish(RouteWish wish) { wishes_.push_back(std::move(wish)); }
  dist::SessionMember member_of(const session::Session& session, codec::QoS qos);
  void flush_dirty();
  void send_batches(session::Session* publisher);
  void release_publishers();
  void send_credits();

  NodeState& node_;
  std::unique_ptr<char[]> read_buffer_;
  session::Workspace workspace_;
  dispatch::Dispatch dispatch_;
  LoopAuthority authority_;
  std::deque<session::Limits> limits_;  // each kind once, for good: one a tenant and reload at most
  const session::Limits* node_limits_ = nullptr;
  config::ForeignSession foreign_session_ = config::ForeignSession::refuse;
  absl::flat_hash_map<std::string, const session::Limits*> tenant_limits_;
  /// What is stored for tenants that limit it. 0: no limit.
  struct StoredLimits {
    std::uint64_t retained_topics = 0;
    std::uint64_t retained_bytes = 0;
    std::uint64_t queued_bytes = 0;
    // Of one message into persistent sessions' queues, and of all in a second.
    std::uint64_t fan_out = 0;
    std::uint64_t fan_out_bytes = 0;
    std::uint64_t fan_out_rate = 0;

    bool operator==(const StoredLimits&) const = default;
  };
  std::map<std::string, StoredLimits, std::less<>> stored_limits_;
  absl::flat_hash_map<std::string, dispatch::FanOut> fan_out_;  // of tenants that limit it
  struct ReservedSpace {
    std::string tenant;
    std::uint64_t bytes = 0;
  };
  absl::flat_hash_map<std::uint64_t, ReservedSpace> reserved_space_;  // by the token of an insert
  TimingWheel wheel_;
  event* tick_event_ = nullptr;
  std::vector<SessionActor*> connections_;
  std::vector<SessionActor*> buried_;
  mqtt::TimeMs now_ms_ = 0;
  mqtt::TimeMs last_tick_ms_ = 0;
  bool stood_still_ = false;      // at the last tick
  std::string_view last_tenant_;  // interned
  Counters counters_;
  std::uint16_t index_;
  std::map<std::string_view, TenantFigures>
      figures_;  // by tenant, interned; sessions point to them
  EventLog events_;
  /// Of $SYS, by tenant and topic.
  std::map<std::string, std::map<std::string, mqtt::PublicationRef>, std::less<>> sys_values_;
  std::uint64_t last_session_ = 0;
  std::uint64_t last_incarnation_ = 0;
  std::uint64_t routes_version_ = 0;
  std::uint64_t interest_version_ = 0;
  absl::flat_hash_map<std::uint64_t, Attaching> attaching_;  // by session id
  inbox::Client inbox_;
  absl::flat_hash_map<std::uint64_t, Wait> waits_;  // by token
  std::uint64_t last_wait_ = 0;
  std::deque<std::pair<mqtt::TimeMs, std::uint64_t>> insert_deadlines_;  // with their tokens
  absl::flat_hash_map<std::uint64_t, std::uint32_t> publishing_;  // publishes that wait, by session
  absl::flat_hash_map<std::uint64_t, Leaving> leaving_;           // by session; also in publishing_
  absl::flat_hash_map<std::uint64_t, std::uint64_t> detaching_;   // session -> its Detach's token
  absl::flat_hash_map<std::uint64_t, inbox::Owner> evicted_for_;  // by the session that must go
  /// Inserts for members of shared groups, which others get when their inboxes refuse; by token.
  absl::flat_hash_map<std::uint64_t, std::vector<dispatch::InboxDelivery>> shared_inserts_;
  std::vector<SessionActor*> lazy_;     // with something to tell their inbox that nobody waits for
  std::vector<SessionActor*> behind_;   // with a queue to read when they have room
  std::vector<SessionActor*> resting_;  // see SessionActor::rested
  session::WireForms stored_forms_;
  route::Router retain_router_;
  std::uint64_t last_store_ = 0;
  std::uint64_t last_will_ = 0;
  absl::flat_hash_map<std::uint64_t, InsertWait> wills_;  // retained ones that are being stored
  /// Sessions that wait for another to go, and until when; oldest first.
  std::deque<std::pair<mqtt::TimeMs, std::uint64_t>> evicting_;
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
  /// Retained messages from here on may not be dispatched, or not have come here from their loop.
  mqtt::TimeMs feed_before_ms_ = 0;
  mqtt::TimeMs feed_next_before_ms_ = 0;      // when the FeedMore that is on the way comes
  std::vector<std::uint64_t> feeds_waiting_;  // sessions whose next message is such a one
  session::WireForms feed_forms_;
  std::vector<RouteWish> wishes_;
  caf::strong_actor_ptr stop_asked_by_;
  bool stopping_ = false;
};

}  // namespace skald::actors
