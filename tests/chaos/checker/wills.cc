// I8: a will is published once when its connection ends without a clean DISCONNECT and the client
// is not back within the will's delay; never otherwise [MQTT-3.1.2-8, MQTT-3.1.2-10, MQTT-3.1.3-9].
#include <algorithm>

#include "tests/chaos/checker/model.h"

namespace skald::checker {
namespace {

constexpr std::uint64_t kSecond = 1'000'000;

enum class Expect : std::uint8_t { kMust, kMay, kMustNot };

struct Verdict {
  Expect expect = Expect::kMay;
  std::uint64_t earliest = 0;         // no copy may come before
  std::uint64_t due = kForever;       // every subscriber should have it after
  std::vector<std::uint32_t> events;  // why
};

std::uint64_t plus(std::uint64_t time, std::uint64_t more) {
  return time > kForever - more ? kForever : time + more;
}

class Wills {
 public:
  Wills(const Model& model, Report& report) : model_(model), report_(report) {}

  void run() {
    collect_answers();
    for (std::uint32_t c = 0; c < model_.connections.size(); ++c) {
      if (model_.history.connections[c].will == kNone) continue;
      const Verdict v = verdict(c);
      copies(c, v);
      if (v.expect == Expect::kMust) owed(c, v);
    }
  }

 private:
  Verdict verdict(std::uint32_t index) const {
    const Connection& c = model_.history.connections[index];
    const ConnectionInfo& info = model_.connections[index];
    Verdict v;
    v.events = {c.connect};
    if (info.connack != kNone && !info.accepted) {
      v.expect = Expect::kMustNot;
      v.events.push_back(info.connack);
      return v;
    }
    if (info.connack == kNone) return v;
    if (info.disconnect != kNone) {
      const Event& d = model_.event(info.disconnect);
      v.events.push_back(info.disconnect);
      // Sent to a broker that had just been killed, it was not read either.
      const std::uint64_t eps = model_.options.eps_us;
      const bool sure =
          !model_.killed_between(d.time_us - std::min(d.time_us, eps), d.time_us + eps) ||
          (info.close != kNone && info.ended_by_kill == kForever &&
           model_.event(info.close).has(kByServer));
      if (d.reason != 4) {
        // The end of another connection of the id may have come first.
        // Nothing orders a DISCONNECT and the CONNECT of another connection on their ways.
        v.expect =
            sure && next_connect(index) > plus(d.time_us, eps) ? Expect::kMustNot : Expect::kMay;
        return v;
      }
    }
    if (info.close == kNone && info.ended_by_kill == kForever) {
      // Still open when the history ends.
      v.expect = next_connect(index) == kForever ? Expect::kMustNot : Expect::kMay;
      return v;
    }
    if (info.close != kNone) v.events.push_back(info.close);
    ended(index, v);
    return v;
  }

  /// The connection ended in a way that publishes its will, at its delay.
  void ended(std::uint32_t index, Verdict& v) const {
    const Connection& c = model_.history.connections[index];
    const ConnectionInfo& info = model_.connections[index];
    const std::uint64_t close = info.close != kNone ? model_.time(info.close) : kForever;
    std::uint64_t low = std::min(close, info.ended_by_kill);
    if (info.disconnect != kNone) low = std::min(low, model_.time(info.disconnect));
    const std::uint64_t next = next_connect(index);
    low = std::min(low, next);
    std::uint64_t high = std::min(close, info.ended_by_kill);
    const bool killed = info.ended_by_kill != kForever;
    if (killed) {
      high = plus(std::max(model_.next_up(info.ended_by_kill), high), model_.options.kill_grace_us);
    }
    const std::uint32_t granted = model_.event(info.connack).number;
    const std::uint32_t expiry = granted != kNone ? granted : c.expiry_s;
    const std::uint64_t delay = std::uint64_t{std::min(c.will_delay_s, expiry)} * kSecond;
    v.earliest = plus(low, delay);
    v.due = plus(plus(high, delay), model_.options.eps_us);
    v.expect = Expect::kMust;
    if (killed && model_.options.weak_wills && expiry == 0) v.expect = Expect::kMay;
    if (killed && stopped(info.ended_by_kill)) v.expect = Expect::kMay;
    if (delay > 0) returned(index, v, delay, low);
  }

  /// What the client's return does to a will that waits.
  void returned(std::uint32_t index, Verdict& v, std::uint64_t delay, std::uint64_t low) const {
    // A CONNECT that nobody waits for any more may still be in the broker's socket, and come next.
    if (unanswered_before(index)) {
      v.expect = Expect::kMay;
      v.earliest = low;
    }
    const auto& all = model_.sessions[model_.session_of(index)].connections;
    auto it = std::upper_bound(all.begin(), all.end(), index, [this](auto a, auto b) {
      return model_.history.connections[a].connect < model_.history.connections[b].connect;
    });
    for (; it != all.end(); ++it) {
      const Connection& next = model_.history.connections[*it];
      const ConnectionInfo& info = model_.connections[*it];
      if (model_.time(next.connect) > v.due) return;
      if (info.connack != kNone && !info.accepted) continue;
      if (next.clean) {
        // The session ends, and with it the wait.
        v.earliest = std::min(v.earliest, model_.time(next.connect));
        if (info.connack == kNone) v.expect = Expect::kMay;
        return;
      }
      v.expect = Expect::kMay;
      if (info.connack == kNone) continue;
      const bool in_order = next.connect > model_.connections[index].connack;
      const bool in_time =
          plus(model_.time(info.connack), model_.options.eps_us) < plus(low, delay);
      if (in_order && in_time && model_.event(info.connack).has(kSessionPresent)) {
        v.expect = Expect::kMustNot;
        v.events.push_back(info.connack);
      }
      return;
    }
  }

  /// An earlier connection of the client never had its CONNACK, and it is not long ago.
  bool unanswered_before(std::uint32_t index) const {
    const Connection& c = model_.history.connections[index];
    for (const std::uint32_t other : model_.sessions[c.session].connections) {
      const ConnectionInfo& info = model_.connections[other];
      if (info.connack != kNone || model_.history.connections[other].connect >= c.connect) continue;
      if (info.close == kNone ||
          plus(model_.time(info.close), model_.options.kill_grace_us) > model_.time(c.connect)) {
        return true;
      }
    }
    return false;
  }

  bool stopped(std::uint64_t time) const {
    const BrokerEvent* down = model_.next_down(time);
    return down != nullptr && down->kind == Kind::kStop;
  }

  /// When the client next began to connect: that may take this connection over.
  std::uint64_t next_connect(std::uint32_t index) const {
    const auto& all = model_.sessions[model_.session_of(index)].connections;
    const std::uint32_t connect = model_.history.connections[index].connect;
    // One that began earlier and was not answered yet may also take over.
    if (answered_before_[index] > connect) return model_.time(connect);
    const auto it = std::upper_bound(all.begin(), all.end(), connect, [this](auto a, auto b) {
      return a < model_.history.connections[b].connect;
    });
    return it == all.end() ? kForever : model_.time(model_.history.connections[*it].connect);
  }

  /// For each connection the event by which all earlier connects of its client had an answer.
  void collect_answers() {
    answered_before_.assign(model_.connections.size(), 0);
    for (const SessionInfo& s : model_.sessions) {
      std::uint32_t latest = 0;
      for (const std::uint32_t c : s.connections) {
        answered_before_[c] = latest;
        const ConnectionInfo& info = model_.connections[c];
        latest = std::max(latest, info.connack != kNone ? info.connack : info.close);
      }
    }
  }

  void copies(std::uint32_t index, const Verdict& v) const {
    const std::uint32_t will = model_.history.connections[index].will;
    const auto all = model_.deliveries_of(will);
    report_.judge(Invariant::kWill);
    for (std::size_t i = 0; i < all.size();) {
      std::size_t end = i;
      std::vector<std::uint32_t> flows;
      for (; end < all.size() && all[end].session == all[i].session; ++end) {
        const Event& e = model_.event(all[end].event);
        if (!e.has(kRetain) && model_.new_flow[all[end].event]) flows.push_back(all[end].event);
      }
      const std::uint32_t first = all[i].event;
      std::vector<std::uint32_t> events = v.events;
      events.push_back(first);
      if (v.expect == Expect::kMustNot) {
        report_.violate(Invariant::kWill, "a will that must not be published", events);
        return;
      }
      if (plus(model_.time(first), model_.options.eps_us) < v.earliest) {
        report_.violate(Invariant::kWill, "a will before it is due", events);
        return;
      }
      twice(will, all[i].session, flows);
      i = end;
    }
  }

  void twice(std::uint32_t will, std::uint32_t session, std::vector<std::uint32_t> flows) const {
    std::size_t allowed = 0;
    for (const std::uint32_t f : model_.filters_for(model_.messages[will].topic)) {
      if (!model_.subscriptions_of(f, session).empty()) ++allowed;
    }
    if (flows.size() <= std::max<std::size_t>(allowed, 1)) return;
    // Below QoS 2 a kill may hide from the broker that it had sent it.
    const bool exactly = model_.event(flows.back()).qos() == 2;
    const std::uint64_t from = model_.time(flows.front());
    if (!exactly && model_.killed_between(from, model_.time(flows.back()))) return;
    flows.resize(std::min<std::size_t>(flows.size(), 5));
    report_.violate(Invariant::kWill, "a will twice", flows);
  }

  void owed(std::uint32_t index, const Verdict& v) const {
    const Connection& c = model_.history.connections[index];
    if (c.will_qos == 0 || v.due == kForever) return;
    const std::uint64_t connect = model_.time(c.connect);
    std::vector<std::uint32_t> seen;
    for (const std::uint32_t f : model_.filters_for(c.will_topic)) {
      if (!model_.filters[f].group.empty()) continue;
      for (const std::uint32_t s : model_.filters[f].subscriptions) {
        const Subscription& sub = model_.subscriptions[s];
        if (sub.qos == 0 || sub.sure_from >= connect || sub.sure_until < connect) continue;
        if (model_.tenant(sub.session) != model_.tenant(c.session)) continue;
        if (sub.no_local && sub.session == c.session) continue;
        if (std::find(seen.begin(), seen.end(), sub.session) != seen.end()) continue;
        if (judge(c, sub, v)) seen.push_back(sub.session);
      }
    }
  }

  /// True when the pair could be judged.
  bool judge(const Connection& c, const Subscription& sub, const Verdict& v) const {
    if (model_.drop_reported(c.will, sub.session)) return true;
    if (model_.deliveries_of(c.will, sub.session).empty()) {
      const Drained* drained = model_.drained_after(sub.session, v.due);
      const bool expired =
          drained != nullptr && c.will_expiry_s != kNone &&
          plus(v.earliest, c.will_expiry_s * kSecond) < plus(drained->time, model_.options.eps_us);
      if (drained == nullptr || expired || sub.sure_until <= drained->time ||
          model_.sessions[sub.session].reported_drops + model_.global_drops > 0 ||
          model_.may_have_ended(sub.session, sub.sure_from, drained->time)) {
        report_.excuse(Invariant::kWill);
        return false;
      }
      std::vector<std::uint32_t> events = v.events;
      events.insert(events.begin(), sub.suback);
      events.push_back(drained->event);
      report_.violate(Invariant::kWill,
                      "a will never came to " + model_.history.sessions[sub.session].client,
                      events);
    }
    report_.judge(Invariant::kWill);
    return true;
  }

  const Model& model_;
  Report& report_;
  std::vector<std::uint32_t> answered_before_;  // by connection
};

}  // namespace

void check_wills(const Model& model, Report& report) { Wills(model, report).run(); }

}  // namespace skald::checker
