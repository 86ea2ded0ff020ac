// I9: each message goes to one member of a shared group. As far as one history shows: somebody got
// it once all members are drained, and a second member only after the first one's connection ended,
// at QoS 2 never [MQTT-4.8.2-4..6].
#include <algorithm>

#include "tests/chaos/checker/model.h"

namespace skald::checker {
namespace {

class Shared {
 public:
  Shared(const Model& model, Report& report) : model_(model), report_(report) {}

  void run() {
    const bool any = std::any_of(model_.filters.begin(), model_.filters.end(),
                                 [](const Filter& f) { return !f.group.empty(); });
    if (!any) return;
    for (std::uint32_t m = 0; m < model_.messages.size(); ++m) {
      const Message& message = model_.messages[m];
      if (message.first == kNone || message.will || message.empty) continue;
      for (const std::uint32_t f : model_.filters_for(message.topic)) {
        if (!model_.filters[f].group.empty()) judge(m, message, f);
      }
    }
  }

 private:
  void judge(std::uint32_t index, const Message& m, std::uint32_t filter) {
    std::vector<Delivery> got;
    bool anybody = false;
    for (const Delivery& d : model_.deliveries_of(index)) {
      if (model_.subscriptions_of(filter, d.session).empty()) continue;
      // With another subscription of the session nobody can tell whose copy it is.
      if (ambiguous(m.topic, filter, d.session)) return;
      // With DUP it may have been sent before, on a connection that broke: somebody has it.
      anybody = true;
      if (model_.new_flow[d.event]) got.push_back(d);
    }
    if (!anybody) {
      owed(m, filter);
      return;
    }
    report_.judge(Invariant::kShared);
    std::sort(got.begin(), got.end(),
              [](const Delivery& a, const Delivery& b) { return a.event < b.event; });
    for (std::size_t i = 1; i < got.size(); ++i) twice(m, got[i - 1], got[i]);
  }

  bool ambiguous(std::uint32_t topic, std::uint32_t filter, std::uint32_t session) const {
    for (const std::uint32_t f : model_.filters_for(topic)) {
      if (f != filter && !model_.subscriptions_of(f, session).empty()) return true;
    }
    return false;
  }

  void twice(const Message& m, const Delivery& a, const Delivery& b) {
    if (a.session == b.session) return;
    const Event& second = model_.event(b.event);
    if (second.qos() < 2) {
      if (m.last_sent != m.first) return;
      // Two clients may see the two copies in any order.
      const std::uint64_t limit = second.time_us + model_.options.eps_us;
      if (ended_by(a, limit) || ended_by(b, limit)) return;
    } else if (model_.options.weak_groups && m.last_sent != m.first &&
               model_.killed_between(model_.time(m.first), second.time_us)) {
      report_.excuse(Invariant::kShared);
      return;
    }
    report_.violate(Invariant::kShared, "two members of a group got it",
                    {m.first, a.event, b.event});
  }

  bool ended_by(const Delivery& d, std::uint64_t limit) const {
    const ConnectionInfo& c = model_.connections[model_.event(d.event).connection];
    return (c.close != kNone && model_.time(c.close) <= limit) || c.ended_by_kill <= limit;
  }

  void owed(const Message& m, std::uint32_t filter) {
    if (m.outcome != Outcome::kOk || m.qos == 0 || m.expiry_s != kNone) return;
    const std::uint64_t promised = model_.time(m.ack);
    const std::string& tenant = model_.tenant(model_.publisher(m));
    const Subscription* witness = nullptr;
    const Drained* until = nullptr;
    for (const std::uint32_t s : model_.filters[filter].subscriptions) {
      const Subscription& sub = model_.subscriptions[s];
      if (model_.tenant(sub.session) != tenant) continue;
      const auto& all = model_.sessions[sub.session].drained;
      const Drained* last = all.empty() || all.back().from < promised ? nullptr : &all.back();
      if (last == nullptr || model_.sessions[sub.session].reported_drops > 0) {
        // It may hold the message, unless its session is over for good.
        if (sub.may_until < model_.time(m.first)) continue;
        report_.excuse(Invariant::kShared);
        return;
      }
      // What was on its way to a member whose session ended with its connection may be gone: a
      // broker that dies takes such sessions along, and cannot give their messages to others.
      if (sub.may_from < promised && sub.may_until > model_.time(m.first) &&
          model_.may_have_ended(sub.session, model_.time(m.first), last->time)) {
        report_.excuse(Invariant::kShared);
        return;
      }
      const bool sure = sub.accepted && sub.qos > 0 && sub.sure_from < model_.time(m.first) &&
                        sub.sure_until > last->time &&
                        !model_.may_have_ended(sub.session, sub.sure_from, last->time);
      if (sure) {
        witness = &sub;
        until = last;
      }
    }
    if (witness == nullptr || model_.global_drops > 0) return;
    report_.judge(Invariant::kShared);
    report_.violate(Invariant::kShared, "acked, and no member of the group got it",
                    {witness->suback, m.first, m.ack, until->event});
  }

  const Model& model_;
  Report& report_;
};

}  // namespace

void check_shared(const Model& model, Report& report) { Shared(model, report).run(); }

}  // namespace skald::checker
