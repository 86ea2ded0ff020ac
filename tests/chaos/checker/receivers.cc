// The honest receiver played again: which deliveries are new to its application, and whether packet
// ids and the receive maximum are kept (I13).
#include <unordered_map>

#include "tests/chaos/checker/model.h"

namespace skald::checker {
namespace {

struct InFlight {
  std::uint32_t message = kNone;
  std::uint32_t event = kNone;  // the last delivery
  std::uint8_t qos = 0;
};

/// QoS 1: from the delivery to the PUBACK. QoS 2: to the PUBCOMP; `unreleased` to the PUBREL.
struct Receiver {
  std::unordered_map<std::uint16_t, InFlight> in_flight;
  std::unordered_map<std::uint16_t, InFlight> unreleased;
  std::uint32_t connection = kNone;
  std::uint32_t count = 0;  // in flight on this connection
};

class Players {
 public:
  Players(Model& model, Report& report)
      : model_(model), report_(report), receivers_(model.sessions.size()) {
    model_.new_flow.assign(model.history.events.size(), false);
  }

  void play(std::uint32_t i) {
    const Event& e = model_.event(i);
    if (e.connection == kNone) return;
    Receiver& r = receivers_[model_.session_of(e.connection)];
    if (e.kind == Kind::kConnack) {
      connack(r, e);
      return;
    }
    // What comes late over a connection that was taken over still passes through the client's
    // store, but counts for nothing on the new one.
    if (r.connection != e.connection) {
      if (e.kind == Kind::kDeliver) model_.new_flow[i] = is_new(r, e, i);
      if (e.kind == Kind::kRel) r.unreleased.erase(e.packet_id);
      return;
    }
    switch (e.kind) {
      case Kind::kDeliver:
        deliver(r, e, i);
        break;
      case Kind::kAck:
        end(r, e.packet_id);
        break;
      case Kind::kRec:
        if (e.refused()) r.unreleased.erase(e.packet_id);
        if (e.refused()) end(r, e.packet_id);
        break;
      case Kind::kRel:
        r.unreleased.erase(e.packet_id);
        break;
      case Kind::kComp:
        end(r, e.packet_id);
        break;
      default:
        break;
    }
  }

 private:
  void connack(Receiver& r, const Event& e) {
    if (!model_.connections[e.connection].accepted) return;
    r.connection = e.connection;
    r.count = 0;
    if (e.has(kSessionPresent)) return;
    r.in_flight.clear();
    r.unreleased.clear();
  }

  void end(Receiver& r, std::uint16_t id) {
    const auto it = r.in_flight.find(id);
    if (it == r.in_flight.end()) return;
    if (model_.event(it->second.event).connection == r.connection && r.count > 0) --r.count;
    r.in_flight.erase(it);
  }

  void deliver(Receiver& r, const Event& e, std::uint32_t i) {
    if (e.qos() == 0) {
      model_.new_flow[i] = true;
      return;
    }
    report_.judge(Invariant::kFlow);
    bool same_connection = false;
    const auto it = r.in_flight.find(e.packet_id);
    if (it != r.in_flight.end()) {
      const InFlight& old = it->second;
      same_connection = model_.event(old.event).connection == e.connection;
      if (old.message != e.message) {
        report_.violate(Invariant::kFlow, "a packet id in flight is given to another message",
                        {old.event, i});
      }
    }
    model_.new_flow[i] = is_new(r, e, i);
    r.in_flight[e.packet_id] = {e.message, i, e.qos()};
    if (!same_connection) ++r.count;
    const std::uint32_t limit = model_.history.connections[e.connection].receive_maximum;
    if (r.count > limit) {
      report_.violate(Invariant::kFlow,
                      "more in flight than the receive maximum of " + std::to_string(limit), {i});
    }
  }

  bool is_new(Receiver& r, const Event& e, std::uint32_t i) const {
    if (e.qos() < 2) return !e.has(kDup);
    const auto known = r.unreleased.find(e.packet_id);
    const bool fresh = known == r.unreleased.end() || known->second.message != e.message;
    r.unreleased[e.packet_id] = {e.message, i, 2};
    return fresh;
  }

  Model& model_;
  Report& report_;
  std::vector<Receiver> receivers_;
};

}  // namespace

void play_receivers(Model& model, Report& report) {
  Players players(model, report);
  for (std::uint32_t i = 0; i < model.history.events.size(); ++i) players.play(i);
}

}  // namespace skald::checker
