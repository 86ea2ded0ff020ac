// One MQTT connection's protocol state: a pure machine that is fed bytes and writes bytes.
//
// Owned by the session's actor, on the loop of its socket; single threaded. The shell pulls one
// packet at a time with `receive`, does what the returned event says (dispatch, subscribe, ...) and
// answers through the methods below it. Everything towards the client is appended to `output()`,
// acks in the order in which their publishes came [MQTT-4.6.0-2].
//
// A session either lives with its connection (session expiry 0), then all of it is here; or its
// state is in an inbox (*persistent*), then what is here lives with the connection and begins from
// what the inbox knows (`Resume`).
// Invariant: after close() nothing is written any more but what close() itself wrote.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mqtt/codec/decoder.h"
#include "mqtt/codec/packets.h"
#include "mqtt/codec/types.h"
#include "mqtt/publication.h"
#include "mqtt/session/delivery.h"
#include "mqtt/session/limits.h"
#include "mqtt/session/output.h"
#include "mqtt/session/packet_id_set.h"
#include "mqtt/session/send_window.h"
#include "mqtt/session/stored.h"

namespace skald::session {

struct Persistent;

/// Why a connection ended; each has its own log line and counter.
enum class End : std::uint8_t {
  none,
  by_client,          // DISCONNECT 0x00 or 0x04, or 3.x DISCONNECT
  connection_closed,  // the socket ended without DISCONNECT
  keep_alive,
  taken_over,
  malformed,
  protocol_error,
  receive_maximum,
  packet_too_large,
  topic_alias,
  quota,
  not_authorized,
  bad_credentials,
  client_id_invalid,
  server_busy,
  shutting_down,
  administrative,
  connect_timeout,
  internal,
};

/// Of one tenant on one loop, or of connections that have no tenant yet.
struct Counters {
  std::uint64_t bytes_received = 0;  // both by who owns the socket
  std::uint64_t bytes_sent = 0;
  std::uint64_t packets_received = 0;
  std::uint64_t packets_sent = 0;
  std::uint64_t payload_bytes_received = 0;
  std::uint64_t payload_bytes_sent = 0;
  std::uint64_t publishes_received = 0;
  std::uint64_t publishes_refused = 0;   // topic, rights, payload format
  std::uint64_t deliveries = 0;          // PUBLISH packets written
  std::uint64_t deliveries_queued = 0;   // had to wait for the send window
  std::uint64_t dropped_queue_full = 0;  // QoS 1 and 2: queue limit in messages or bytes
  std::uint64_t dropped_qos0_slow = 0;   // QoS 0 to a receiver that is behind
  std::uint64_t dropped_too_large = 0;   // over the receiver's Maximum Packet Size [MQTT-3.1.2-25]
  std::uint64_t dropped_expired = 0;     // message expiry passed in the queue
  std::uint64_t dropped_by_client = 0;   // negative PUBACK or PUBREC
  std::uint64_t dropped_not_authorized = 0;  // the receiver has no right to the topic
  std::uint64_t unknown_packet_ids = 0;      // acks for nothing open
};

class Session;

/// Asked about each message to a session that may not receive everything (Session::set_restricted).
/// One a loop; outlives the sessions.
class ReceiveRights {
 public:
  virtual ~ReceiveRights() = default;
  virtual bool may_receive(const Session& session, std::string_view topic) = 0;
};

/// What all sessions of a loop share: limits, spare buffers, counters, and the place where the last
/// event's contents lie. Outlives the sessions.
struct Workspace {
  Limits limits;                            // until the client's tenant is known
  ReceiveRights* receive_rights = nullptr;  // set before a session is restricted
  BufferPool pool;
  Counters counters;                  // of sessions without use_counters()
  mqtt::PublicationView publication;  // of the last Event::publish on this loop
  codec::PublishView publish;         // likewise
  codec::ControlPacket control;       // of the last subscribe, unsubscribe or auth event
  WireForms queue_forms;              // for what leaves a session's queue
  std::string properties_scratch;
  std::string encode_scratch;
};

class Session {
 public:
  enum class State : std::uint8_t { awaits_connect, connecting, connected, closed };

  /// What `receive` found. Details are in the accessor named.
  enum class Event : std::uint8_t {
    need_more,    // not a whole packet: nothing consumed
    handled,      // done within the session
    blocked,      // a PUBLISH that must wait (see set_publish_blocked): nothing consumed
    connect,      // connect_packet(): answer with accept() or refuse()
    publish,      // Workspace::publication: dispatch it, then acknowledge()
    subscribe,    // Workspace::control: answer with subscribed()
    unsubscribe,  // Workspace::control: answer with unsubscribed()
    auth,         // Workspace::control
    closed,       // the connection is over: flush output, close the socket
  };
  struct Step {
    Event event = Event::need_more;
    std::size_t consumed = 0;
  };

  explicit Session(Workspace& workspace);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // -- input --------------------------------------------------------------------------------------

  /// Takes the packet at the head of `in`. Views handed out are valid until the bytes of `in` go.
  Step receive(std::string_view in, mqtt::TimeMs now_ms);
  /// Takes acks and pings out of `buffered` while a PUBLISH at its head is blocked, so that a
  /// client that waits for itself goes on. `scan` remembers how far it looked; start it at 0.
  Event receive_past_block(std::string& buffered, std::size_t& scan, mqtt::TimeMs now_ms);
  /// How many bytes `receive` wants at least, after need_more.
  std::size_t needed() const { return needed_; }

  // -- what the last event carried ----------------------------------------------------------------

  const codec::Connect& connect_packet() const { return *connect_; }
  // Contents of publish, subscribe, unsubscribe and auth events are in the Workspace until the next
  // receive() of any session of the loop.

  // -- answers ------------------------------------------------------------------------------------

  /// The client identifier to use, which the client may have left to us [MQTT-3.1.3-6]. Requires:
  /// state connecting; to be called before accept().
  void set_client_id(std::string client_id) { client_id_ = std::move(client_id); }

  /// The limits of the client's tenant, from now on; outlives the session. What they say about its
  /// CONNECT. Requires: state connecting; to be called before accept().
  codec::ReasonCode use_limits(const Limits& limits);

  /// Who the client turned out to be.
  struct Identity {
    std::string_view tenant;  // interned: outlives the session
    mqtt::Publisher publisher;
    std::string_view response_information;  // sent to a client that asks for it; empty: none
    const Limits* limits = nullptr;         // as use_limits(), unjudged; null: as they are
  };
  /// CONNACK with success. Requires: state connecting. Without `resume` the session lives with its
  /// connection, whatever expiry the client wished.
  void accept(const Identity& identity, mqtt::TimeMs now_ms, const Resume* resume = nullptr);
  /// CONNACK with an error, then closed.
  void refuse(codec::ReasonCode reason, End end, std::string_view why = {});
  /// The result of the last Event::publish, at once. `reason` for QoS 1 and 2.
  void acknowledge(codec::ReasonCode reason);
  /// The result of the last Event::publish will come later, through acknowledge_later's ticket.
  std::uint32_t defer_acknowledge();
  void acknowledge_deferred(std::uint32_t ticket, codec::ReasonCode reason);
  void subscribed(std::uint16_t packet_id, std::vector<codec::ReasonCode> reasons);
  void unsubscribed(std::uint16_t packet_id, std::vector<codec::ReasonCode> reasons);
  /// Server-side end: DISCONNECT for v5 (when it knows the reason), then closed.
  void close(codec::ReasonCode reason, End end, std::string_view why = {});
  /// The socket is gone.
  void connection_lost(End end = End::connection_closed);

  // -- delivery -----------------------------------------------------------------------------------

  enum class Outcome : std::uint8_t { sent, queued, dropped };
  /// One publication to this client. See Delivery.
  Outcome deliver(WireForms& forms, const Delivery& delivery);
  /// A message of `qos` would be sent at once, without a place in the queue.
  bool has_room(codec::QoS qos) const;
  /// Behind: too much waits for the socket or for the client's acks. Its publishers should wait.
  bool behind() const;
  /// While set, Workspace::receive_rights is asked about each message, when it comes and again when
  /// it leaves the queue.
  void set_restricted(bool restricted) { restricted_ = restricted; }
  /// While set, QoS 0 messages are dropped as long as the session is behind.
  void set_slow(bool slow) { slow_ = slow; }
  bool slow() const { return slow_; }
  /// The socket took something: what was queued because too much waited for it goes out, which no
  /// ack would bring about. True when there is something new to flush.
  bool drained(mqtt::TimeMs now_ms) {
    if (!queue_ || queue_->messages.empty()) return false;
    const std::size_t before = output_.size();
    pump(now_ms);
    return output_.size() != before;
  }
  /// Messages for shared groups that this session will not finish: not yet sent, or QoS 1 sent and
  /// not acked [MQTT-4.8.2-4..6]. To be called once, after the end.
  std::vector<SharedMessage> take_unfinished_shared();
  /// Gives back tables that an idle session does not need.
  void shrink();

  // -- sessions in an inbox: outbound
  // --------------------------------------------------------------

  /// The session's state is in an inbox: its messages of QoS 1 and 2 come by deliver_stored and
  /// never by deliver, and its QoS 2 publishes are committed before they are handed out.
  bool persistent() const { return persistent_ != nullptr; }
  /// A message that was committed to the session's queue. `delivery`.granted is the QoS to send.
  /// While the session is connecting the message is only noted.
  Stored deliver_stored(WireForms& forms, const Delivery& delivery, inbox::Seq seq);
  /// The queue reaches up to `last`: said when a message may have been lost on its way here, as by
  /// a change of the inbox's leader.
  void heard_of(inbox::Seq last);
  /// What the session wants to read of its queue now; once asked for, not again until fetch_done.
  /// To be asked after accept, and after input, output and deliveries.
  std::optional<Fetch> take_fetch(mqtt::TimeMs now_ms);
  /// There are messages in its queue that have not been handed over.
  bool is_behind_in_queue() const;
  /// The next message that was read. After no_room the others need not be tried.
  Stored deliver_fetched(WireForms& forms, const Delivery& delivery, inbox::Seq seq);
  /// The end of what was read: all messages of the queue below `end` have been handed over, or, if
  /// one had no room, those before it. 0: the read failed.
  void fetch_done(inbox::Seq end);
  /// Seqs that the client has finished: to be committed sometime. These three are also asked after
  /// the end.
  std::vector<inbox::Seq> take_finished();
  /// Seqs whose PUBREC came: to be committed at once, each answered by received_committed.
  std::vector<inbox::Seq> take_received();
  /// Sends PUBREL.
  void received_committed(inbox::Seq seq);
  bool has_finished() const;
  /// take_received or take_releases has something.
  bool has_uncommitted() const;
  /// Of all connections so far: no message above it has been sent.
  inbox::Seq sent_up_to() const;

  // -- sessions in an inbox: inbound QoS 2
  // ---------------------------------------------------------

  /// The last Event::publish, of QoS 2, repeats one that the inbox has accepted on an earlier
  /// connection: it has the sequence of then, and is to be handed out without another commit.
  /// Otherwise it is to be committed first (inbox::Accept).
  bool accepted_before() const;
  /// Packet ids whose PUBREL came: to be committed at once, each answered by released. A publish
  /// that is refused after it was accepted is to be released before it is acknowledged.
  std::vector<std::uint16_t> take_releases();
  /// Sends PUBCOMP.
  void released(std::uint16_t packet_id);
  /// No publish with a lower sequence will be handed out again.
  std::uint64_t lowest_open_sequence() const;

  // -- back-pressure on this client as a publisher ------------------------------------------------

  void set_publish_blocked(bool blocked) { publish_blocked_ = blocked; }
  bool publish_blocked() const { return publish_blocked_; }

  // -- state
  // ----------------------------------------------------------------------------------------

  Workspace& workspace() { return *workspace_; }
  /// From now on it is counted there, which outlives the session.
  void use_counters(Counters& counters) { counters_ = &counters; }
  Counters& counters() { return *counters_; }
  const Limits& limits() const { return *limits_; }
  std::uint32_t maximum_packet_size() const { return maximum_packet_size_; }
  Output& output() { return output_; }
  const Output& output() const { return output_; }
  State state() const { return state_; }
  End end() const { return end_; }
  const char* end_message() const { return end_message_; }
  codec::Version version() const { return version_; }
  bool is_v5() const { return version_ == codec::Version::v5; }
  bool bridge() const { return bridge_; }
  const std::string& client_id() const { return client_id_; }
  std::string_view tenant() const { return tenant_; }
  const mqtt::Publisher& publisher() const { return publisher_; }
  std::uint16_t keep_alive_s() const { return keep_alive_s_; }
  mqtt::TimeMs last_received_ms() const { return last_received_ms_; }
  /// It had sent more than was read then, so that it is alive until now at least.
  void was_not_read(mqtt::TimeMs now_ms) { last_received_ms_ = now_ms; }
  /// How long the client wishes its session to outlive the connection, as far as `limits`, those of
  /// its tenant, allow: what to attach with. Requires: state connecting.
  std::uint32_t wished_expiry_s(const Limits& limits) const;
  /// What it was granted by accept, or what DISCONNECT changed that to.
  std::uint32_t session_expiry_s() const { return expiry_s_; }
  /// What DISCONNECT changed the expiry to.
  std::optional<std::uint32_t> changed_expiry_s() const;
  /// The client said goodbye with DISCONNECT 0x00: no will [MQTT-3.14.4-3].
  bool ended_clean() const { return ended_clean_; }
  /// The will of the CONNECT, for the inbox to keep. Its stamp is 0 and its deadline counts from
  /// there: both move by the time at which it is published [MQTT-3.1.3.2.4]. Requires: state
  /// connecting.
  std::optional<inbox::Will> will(std::string_view tenant) const;
  /// The will, when the end was not clean; at most once.
  std::optional<codec::Will> take_will();
  bool clean_start() const { return clean_start_; }

  struct Subscription {
    codec::SubscriptionOptions options;
    std::uint32_t id = 0;
  };
  // With one filter half the bytes of a hash map.
  using Subscriptions = absl::btree_map<std::string, Subscription>;
  /// By full filter as sent ($share/... included). Null when there are none.
  const Subscriptions* subscriptions() const { return subscriptions_.get(); }
  /// False when the limit is reached. `replaced` tells whether it was there.
  bool add_subscription(const std::string& filter, const Subscription& subscription,
                        bool& replaced);
  bool remove_subscription(const std::string& filter);
  /// The subscription of a member of `group` when it has an identifier or retain as published;
  /// null when there is nothing of the kind to heed.
  const Subscription* special_share(const GroupKey& group) const;

  // The shell's and dispatch's own marks.
  void* shell = nullptr;     // the connection this session belongs to
  std::uint64_t number = 0;  // its name in the dispatch core of its loop
  bool dirty = false;        // on the list of sessions whose output is to be flushed
  bool pressed = false;      // on the list of sessions that got much in this burst

 private:
  struct PendingAck {
    std::uint16_t packet_id;
    codec::QoS qos;
    bool done;
    codec::ReasonCode reason;
  };
  struct Queued {
    mqtt::PublicationRef publication;
    GroupKeyRef group;
    std::vector<std::uint32_t> subscription_ids;
    std::uint32_t redispatches;
    codec::QoS qos;
    bool retain;
  };
  struct Queue {
    std::deque<Queued> messages;
    std::size_t bytes = 0;
  };
  struct Aliases {
    std::vector<std::string> in;                          // [alias - 1], empty: unset
    absl::flat_hash_map<std::string, std::uint16_t> out;  // topic -> alias
  };

  Step on_packet(const codec::Frame& frame, mqtt::TimeMs now_ms);
  Step on_publish(const codec::Frame& frame, mqtt::TimeMs now_ms);
  Step on_repeated_publish(const codec::PublishView& publish, mqtt::TimeMs now_ms);
  void hand_out(const codec::PublishView& publish, std::uint64_t sequence, mqtt::TimeMs now_ms);
  bool count_publish();
  bool resolve_topic(codec::PublishView& publish);
  bool awaits_ack(std::uint16_t packet_id) const;
  codec::ReasonCode judge(const codec::PublishView& publish) const;
  codec::ReasonCode judge_topic(std::string_view topic) const;
  void on_ack(codec::PacketType type, std::uint16_t packet_id, codec::ReasonCode reason,
              mqtt::TimeMs now_ms);
  void on_puback(std::uint16_t packet_id, codec::ReasonCode reason, mqtt::TimeMs now_ms);
  void on_pubrec(std::uint16_t packet_id, codec::ReasonCode reason, mqtt::TimeMs now_ms);
  void on_pubrel(std::uint16_t packet_id);
  void on_pubcomp(std::uint16_t packet_id, mqtt::TimeMs now_ms);
  Step on_control(const codec::Frame& frame, mqtt::TimeMs now_ms);
  Step on_connect(codec::Connect connect);
  codec::ReasonCode judge_connect();
  codec::ReasonCode judge_will(const codec::Will& will) const;
  void tell_limits(codec::Connack& connack);
  bool too_fast(mqtt::TimeMs now_ms);
  Step on_disconnect(const codec::Disconnect& disconnect);
  Step fail(codec::ReasonCode reason, const char* message);

  template <class Packet>
  void write_control(Packet packet);
  void write(std::string_view packets);
  void write_ack(codec::PacketType type, std::uint16_t packet_id, codec::ReasonCode reason);
  void finish_publish(std::uint16_t packet_id, codec::QoS qos, codec::ReasonCode reason);

  void change_expiry(std::uint32_t wish_s);
  void resume(const Resume& resume);
  void note_accepted(std::uint16_t packet_id, std::uint64_t sequence);
  bool has_stored_room() const;
  Stored send_stored(WireForms& forms, const Delivery& delivery, inbox::Seq seq);
  void on_stored_ack(codec::PacketType type, std::uint16_t packet_id, codec::ReasonCode reason);
  void on_stored_pubrec(std::uint16_t packet_id, codec::ReasonCode reason);
  void on_stored_pubrel(std::uint16_t packet_id);
  void finish_stored(inbox::Seq seq);
  void finish_unsent(inbox::Seq seq);

  bool send(WireForms& forms, const Delivery& delivery, codec::QoS qos, std::uint16_t packet_id);
  bool send_special(WireForms& forms, const Delivery& delivery, codec::QoS qos,
                    std::uint16_t packet_id);
  void use_alias(codec::PublishHead& head, std::size_t payload);
  void count_delivery(std::size_t payload);
  Outcome enqueue(WireForms& forms, const Delivery& delivery, codec::QoS qos);
  void pump(mqtt::TimeMs now_ms);
  bool may_receive(std::string_view topic) const {
    return !restricted_ || workspace_->receive_rights->may_receive(*this, topic);
  }

  // Ordered by use on the hot path.
  State state_ = State::awaits_connect;
  codec::Version version_ = codec::Version::v311;
  bool publish_blocked_ = false;
  bool slow_ = false;
  bool restricted_ = false;
  bool bridge_ = false;
  bool has_special_share_ = false;  // see special_share; stays set
  bool clean_start_ : 1 = true;
  bool expiry_was_zero_ : 1 = true;  // of CONNECT, whatever CONNACK said
  bool request_problem_information_ : 1 = true;
  bool ended_clean_ : 1 = false;
  End end_ = End::none;
  std::uint16_t keep_alive_s_ = 0;
  std::uint16_t open_in_ = 0;  // QoS 1 and 2 publishes of the client not yet finished
  std::uint16_t alias_maximum_out_ = 0;
  std::uint32_t maximum_packet_size_ = codec::kMaxVarint + 5;
  Workspace* workspace_;
  Counters* counters_;
  const Limits* limits_;  // of the loop until use_limits(), then of the tenant
  Output output_;
  SendWindow window_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Persistent> persistent_;
  mqtt::TimeMs last_received_ms_ = 0;
  std::size_t needed_ = 2;
  mqtt::Publisher publisher_;
  std::uint64_t sequence_ = 0;
  std::uint32_t rate_second_ = 0;  // of the publishes counted in rate_count_
  std::uint32_t rate_count_ = 0;
  std::string_view tenant_;
  std::unique_ptr<std::deque<PendingAck>> pending_acks_;
  std::uint32_t pending_acks_base_ = 0;  // ticket of the first pending ack
  std::uint32_t expiry_s_ = 0;           // 0: ends with the connection
  PacketIdSet received_;  // QoS 2 ids of the client that it has not released [MQTT-4.3.3-10]
  std::unique_ptr<Aliases> aliases_;
  std::unique_ptr<codec::Connect> connect_;
  std::unique_ptr<codec::Will> will_;
  std::unique_ptr<Subscriptions> subscriptions_;
  std::string client_id_;
  const char* end_message_ = "";
};

}  // namespace skald::session
