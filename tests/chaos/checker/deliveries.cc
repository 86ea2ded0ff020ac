// What each delivery must be by itself: sent by somebody (I11) of the same tenant (I10), asked for
// (I7, I11), and in time (I12).
#include <algorithm>

#include "tests/chaos/checker/model.h"

namespace skald::checker {
namespace {

constexpr std::uint64_t kSecond = 1'000'000;

class Deliveries {
 public:
  Deliveries(const Model& model, Report& report) : model_(model), report_(report) {}

  void deliver(std::uint32_t i) {
    const Event& e = model_.event(i);
    report_.judge(Invariant::kPhantom);
    if (e.message == kNone) {
      if (!e.has(kEmpty)) phantom("a payload that nobody sent", {i});
      return;
    }
    const Message& m = model_.messages[e.message];
    if (m.first == kNone) {
      phantom("a message that nobody sent", {i});
      return;
    }
    const std::uint32_t session = model_.session_of(e.connection);
    report_.judge(Invariant::kTenants);
    if (model_.tenant(session) != model_.tenant(model_.publisher(m))) {
      report_.violate(Invariant::kTenants, "delivered to another tenant", {m.first, i});
      return;
    }
    if (model_.time(m.first) > e.time_us) phantom("delivered before it was sent", {i, m.first});
    if (m.topic != e.text) phantom("delivered on another topic", {m.first, i});
    if (e.qos() > m.qos) phantom("delivered at a higher QoS than sent", {m.first, i});
    if (e.has(kRetain) && !m.retain) phantom("marked retained, but was not", {m.first, i});
    // Not authorized, topic name invalid, payload format invalid: not to be seen by anybody.
    const bool forbidden = m.reason == 0x87 || m.reason == 0x90 || m.reason == 0x99;
    if (m.outcome == Outcome::kFailed && forbidden && m.ack < i) {
      phantom("refused and yet delivered", {m.first, m.ack, i});
    }
    asked_for(i, e, m, session);
    if (m.expiry_s != kNone) in_time(i, e, m);
  }

 private:
  void phantom(const char* what, std::vector<std::uint32_t> events) {
    report_.violate(Invariant::kPhantom, what, std::move(events));
  }

  void asked_for(std::uint32_t i, const Event& e, const Message& m, std::uint32_t session) {
    bool asked = false;
    bool holds = false;
    std::uint8_t qos = 0;
    std::uint32_t last = kNone;
    for (const std::uint32_t f : model_.filters_for(e.text)) {
      const auto subs = model_.subscriptions_of(f, session);
      const auto after = std::partition_point(subs.begin(), subs.end(), [&](std::uint32_t s) {
        return model_.subscriptions[s].may_from <= e.time_us;
      });
      if (after == subs.begin()) continue;
      const Subscription& newest = model_.subscriptions[*(after - 1)];
      asked = true;
      last = newest.sub;
      holds = holds || newest.may_until >= model_.time(m.first);
      // An older grant may still have messages queued under it.
      for (auto it = after; it != subs.begin() && qos < 2; --it) {
        qos = std::max(qos, model_.event(model_.subscriptions[*(it - 1)].sub).qos());
      }
    }
    report_.judge(Invariant::kSubscription);
    if (!asked) {
      phantom("delivered without a subscription", {m.first, i});
    } else if (!holds && !e.has(kRetain)) {
      report_.violate(Invariant::kSubscription, "sent after the unsubscribe, yet delivered",
                      {last, m.first, i});
    } else if (e.qos() > qos) {
      phantom("delivered at a higher QoS than subscribed", {last, i});
    }
  }

  /// [MQTT-3.3.2-5] forbids to *start* a delivery late; [MQTT-3.3.2-6] what is left of the expiry.
  void in_time(std::uint32_t i, const Event& e, const Message& m) {
    report_.judge(Invariant::kExpiry);
    const std::uint64_t eps = model_.options.eps_us;
    std::uint64_t received = kForever;  // by the broker, at the latest
    if (m.will) {
      received = kForever;
    } else if (m.outcome == Outcome::kOk) {
      received = model_.time(m.ack);
    } else {
      const std::uint32_t close = model_.connections[model_.event(m.last_sent).connection].close;
      if (close != kNone) received = model_.time(close);
    }
    if (received == kForever) return;
    const std::uint64_t allowed = m.expiry_s * kSecond;
    if (!e.has(kDup) && e.time_us > received + allowed + eps) {
      report_.violate(Invariant::kExpiry, "delivered after its expiry", {m.first, i});
      return;
    }
    if (e.number == kNone) return;
    const std::uint64_t left = e.number * kSecond;
    const std::uint64_t waited = e.time_us > received ? e.time_us - received : 0;
    // What had begun in time and is sent again has nothing left.
    const bool late = e.has(kDup) && left == 0;
    if (left > allowed || (!late && left + waited > allowed + eps + kSecond)) {
      report_.violate(Invariant::kExpiry, "the expiry did not count down", {m.first, i});
    }
  }

  const Model& model_;
  Report& report_;
};

}  // namespace

void check_deliveries(const Model& model, Report& report) {
  Deliveries deliveries(model, report);
  for (std::uint32_t i = 0; i < model.history.events.size(); ++i) {
    if (model.event(i).kind == Kind::kDeliver) deliveries.deliver(i);
  }
}

}  // namespace skald::checker
