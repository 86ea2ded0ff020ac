// The history as things instead of lines: messages with outcomes, subscriptions with intervals,
// sessions with their possible ends, deliveries by message. Built once, read by every check.
//
// An uncertain moment is kept as the bound that cannot accuse wrongly: a subscription may be judged
// only between the return of its subscribe and the invoke of its unsubscribe, and may explain a
// delivery from the invoke of the one to the return of the other.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/chaos/checker/check.h"
#include "tests/chaos/checker/history.h"
#include "tests/chaos/checker/report.h"

namespace skald::checker {

enum class Outcome : std::uint8_t { kUnknown, kOk, kFailed };

struct Message {
  std::uint32_t first = kNone;  // event: pub, or the connect that declared it as a will
  std::uint32_t ack = kNone;    // event that decided the outcome
  std::uint32_t topic = kNone;
  std::uint32_t expiry_s = kNone;
  std::uint32_t last_sent = kNone;  // event: the last pub or repub
  std::uint8_t qos = 0;
  bool retain = false;
  bool empty = false;
  bool will = false;
  Outcome outcome = Outcome::kUnknown;
  std::uint8_t reason = 0;
};

struct Subscription {
  std::uint32_t session = kNone;
  std::uint32_t filter = kNone;  // index into Model::filters
  std::uint32_t sub = kNone;     // events
  std::uint32_t suback = kNone;
  std::uint32_t read_end = kNone;
  std::uint8_t qos = 0;  // granted
  bool accepted = false;
  bool retain_as_published = false;
  bool no_local = false;
  std::uint8_t retain_handling = 0;
  bool resubscribe = false;  // the session had this filter already, or may have had
  std::uint64_t sure_from = kForever;
  std::uint64_t sure_until = kForever;
  std::uint64_t may_from = 0;
  std::uint64_t may_until = kForever;
};

struct Filter {
  std::uint32_t text = kNone;  // as subscribed, with the group
  std::string match;
  std::string group;  // empty: not shared
  std::vector<std::uint32_t> subscriptions;
};

struct Drained {
  std::uint64_t from = 0;  // all that was promised before this should have arrived
  std::uint64_t time = 0;
  std::uint32_t event = kNone;
};

struct SessionInfo {
  std::vector<std::uint32_t> connections;
  std::vector<std::uint32_t> open;           // subscriptions that may hold at the end
  std::vector<std::uint64_t> possible_ends;  // sorted
  std::vector<Drained> drained;              // sorted by `from`
  std::uint64_t reported_drops = 0;
};

struct ConnectionInfo {
  std::uint32_t connack = kNone;
  std::uint32_t disconnect = kNone;
  std::uint32_t close = kNone;
  std::uint32_t incarnation = kNone;  // connections that resumed one session share it
  std::uint64_t ended_by_kill = kForever;
  bool accepted = false;
};

/// One delivery, sorted by (message, session, event).
struct Delivery {
  std::uint32_t message = kNone;
  std::uint32_t session = kNone;
  std::uint32_t event = kNone;
};

struct BrokerEvent {
  std::uint64_t time = 0;
  std::uint32_t event = kNone;
  Kind kind = Kind::kKill;
};

class Model {
 public:
  Model(const History& history, const Options& options, Report& report);

  const History& history;
  const Options& options;
  std::vector<Message> messages;  // by History::nonces
  std::vector<Subscription> subscriptions;
  std::vector<Filter> filters;
  std::vector<SessionInfo> sessions;        // by History::sessions
  std::vector<ConnectionInfo> connections;  // by History::connections
  std::vector<Delivery> deliveries;
  std::vector<BrokerEvent> broker;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> named_drops;  // (message, session), sorted
  std::uint64_t global_drops = 0;
  /// By event: a delivery that an honest client hands to its application as a new message.
  std::vector<bool> new_flow;
  std::uint64_t end_us = 0;

  const Event& event(std::uint32_t i) const { return history.events[i]; }
  std::uint64_t time(std::uint32_t i) const { return history.events[i].time_us; }
  std::uint32_t session_of(std::uint32_t connection) const {
    return history.connections[connection].session;
  }
  std::uint32_t publisher(const Message& m) const { return session_of(event(m.first).connection); }
  const std::string& tenant(std::uint32_t session) const {
    return history.sessions[session].tenant;
  }

  std::span<const Delivery> deliveries_of(std::uint32_t message) const;
  std::span<const Delivery> deliveries_of(std::uint32_t message, std::uint32_t session) const;
  /// Filters that match, by index of the topic in History::texts.
  const std::vector<std::uint32_t>& filters_for(std::uint32_t topic) const;
  /// The session may have ended, rightly, in [from, until].
  bool may_have_ended(std::uint32_t session, std::uint64_t from, std::uint64_t until) const;
  /// The first moment at which everything promised before `promised` should have arrived.
  const Drained* drained_after(std::uint32_t session, std::uint64_t promised) const;
  /// The subscriptions of one session to one filter, in order of time.
  std::span<const std::uint32_t> subscriptions_of(std::uint32_t filter,
                                                  std::uint32_t session) const;
  bool drop_reported(std::uint32_t message, std::uint32_t session) const;
  /// The first kill or stop at or after `time`, or null.
  const BrokerEvent* next_down(std::uint64_t time) const;
  /// The first `up` at or after `time`; kForever when there is none.
  std::uint64_t next_up(std::uint64_t time) const;
  bool killed_between(std::uint64_t from, std::uint64_t until) const;

 private:
  void collect_messages();
  void collect_return(std::uint32_t event);
  void collect_connections();
  void collect_subscriptions();
  void subscribe(std::uint32_t event);
  void suback(std::uint32_t event);
  void unsubscribe(std::uint32_t event);
  void unsuback(std::uint32_t event);
  void session_gone(std::uint32_t event);
  void collect_deliveries();
  void collect_drops();

  using OpKey = std::uint64_t;  // connection << 32 | s
  std::unordered_map<OpKey, std::uint32_t> sub_ops_;
  std::unordered_map<OpKey, std::vector<std::uint32_t>> unsub_ops_;
  std::unordered_map<std::uint32_t, std::uint32_t> filter_index_;
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> by_filter_and_session_;
  mutable std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> topic_filters_;
  std::vector<std::uint32_t> wildcard_filters_;
  std::unordered_map<std::string, std::vector<std::uint32_t>> exact_filters_;
  std::vector<std::uint32_t> first_delivery_;  // by message
};

/// Walks each session through connects, takeovers, expiries and kills; fills possible_ends and
/// incarnations and reports what session present says wrongly (I6, I7, I12).
void walk_sessions(Model& model, Report& report);

/// Plays the honest receiver: fills new_flow, and checks what it sees of packet ids (I13).
void play_receivers(Model& model, Report& report);

void check_obligations(const Model& model, Report& report);  // I1, I1b, I1c
void check_deliveries(const Model& model, Report& report);   // I7, I10, I11, I12
void check_order(const Model& model, Report& report);        // I2, I3
void check_retained(const Model& model, Report& report);     // I4, I5
void check_connections(const Model& model, Report& report);  // I6
void check_wills(const Model& model, Report& report);        // I8
void check_shared(const Model& model, Report& report);       // I9

}  // namespace skald::checker
