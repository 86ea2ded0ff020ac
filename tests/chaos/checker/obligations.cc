// I1, I1b, I1c: what an ack promised, per (message, session), and what came of it.
//
// A pair is owed when a subscription of QoS 1 or 2 held from before the publish to a moment at
// which all that was promised must have arrived (`drained`), the session did not end in between,
// and the message did not expire. What is owed and did not come must be explained by reported
// drops.
#include <algorithm>
#include <unordered_map>

#include "tests/chaos/checker/model.h"

namespace skald::checker {
namespace {

constexpr std::uint64_t kSecond = 1'000'000;

/// The subscriptions of a filter that hold at the moment the sweep has reached.
struct Active {
  std::vector<std::uint32_t> by_start;  // subscriptions, sorted by sure_from
  std::size_t next = 0;
  std::vector<std::uint32_t> now;
};

class Obligations {
 public:
  Obligations(const Model& model, Report& report)
      : model_(model),
        report_(report),
        active_(model.filters.size()),
        lost_(model.sessions.size()) {
    for (std::size_t f = 0; f < active_.size(); ++f) {
      auto& subs = active_[f].by_start;
      for (const std::uint32_t s : model_.filters[f].subscriptions) {
        const Subscription& sub = model_.subscriptions[s];
        if (sub.accepted && sub.qos > 0) subs.push_back(s);
      }
      std::sort(subs.begin(), subs.end(), [this](std::uint32_t a, std::uint32_t b) {
        return model_.subscriptions[a].sure_from < model_.subscriptions[b].sure_from;
      });
    }
  }

  void run() {
    for (std::uint32_t i = 0; i < model_.history.events.size(); ++i) {
      const Event& e = model_.event(i);
      if (e.kind == Kind::kPub && e.qos() > 0 && !e.has(kEmpty)) published(i, e.message);
    }
    settle();
    reported_yet_delivered();
  }

 private:
  void published(std::uint32_t i, std::uint32_t message) {
    const Message& m = model_.messages[message];
    if (m.outcome != Outcome::kOk) return;
    const std::uint64_t invoke = model_.time(i);
    seen_.clear();
    for (const std::uint32_t f : model_.filters_for(m.topic)) {
      if (!model_.filters[f].group.empty()) continue;
      sweep(active_[f], invoke);
      for (const std::uint32_t s : active_[f].now) {
        const Subscription& sub = model_.subscriptions[s];
        if (model_.tenant(sub.session) != model_.tenant(model_.publisher(m))) continue;
        if (sub.no_local && sub.session == model_.publisher(m)) continue;
        judge(message, m, sub);
      }
    }
  }

  void sweep(Active& a, std::uint64_t now) const {
    for (; a.next < a.by_start.size(); ++a.next) {
      const std::uint32_t s = a.by_start[a.next];
      const Subscription& sub = model_.subscriptions[s];
      if (sub.sure_from >= now) break;
      // A subscription repeated unchanged promises nothing that the first did not.
      const bool repeated = std::any_of(a.now.begin(), a.now.end(), [&](std::uint32_t o) {
        const Subscription& old = model_.subscriptions[o];
        return old.session == sub.session && old.sure_until >= sub.sure_until &&
               !model_.may_have_ended(old.session, old.sure_from, sub.sure_from);
      });
      if (!repeated) a.now.push_back(s);
    }
    std::erase_if(
        a.now, [this, now](std::uint32_t s) { return model_.subscriptions[s].sure_until < now; });
  }

  void judge(std::uint32_t message, const Message& m, const Subscription& sub) {
    if (std::find(seen_.begin(), seen_.end(), sub.session) != seen_.end()) return;
    if (m.reason == 0x10) no_subscribers(m, sub);
    if (!model_.deliveries_of(message, sub.session).empty()) {
      report_.judge(Invariant::kAtLeastOnce);
      seen_.push_back(sub.session);
      return;
    }
    const Drained* drained = model_.drained_after(sub.session, model_.time(m.ack));
    const std::uint64_t invoke = model_.time(m.first);
    const bool owed = drained != nullptr && sub.sure_until > drained->time &&
                      !model_.may_have_ended(sub.session, sub.sure_from, drained->time) &&
                      (m.expiry_s == kNone ||
                       invoke + m.expiry_s * kSecond > drained->time + model_.options.eps_us);
    if (!owed) {
      report_.excuse(Invariant::kAtLeastOnce);
      return;
    }
    seen_.push_back(sub.session);
    report_.judge(Invariant::kAtLeastOnce);
    if (model_.drop_reported(message, sub.session)) {
      report_.judge(Invariant::kVisibleDrops);
    } else {
      lost_[sub.session].push_back({message, sub.suback, drained->event});
    }
  }

  void no_subscribers(const Message& m, const Subscription& sub) {
    report_.judge(Invariant::kNoSubscribers);
    const std::uint64_t until = model_.time(m.ack) + model_.options.eps_us;
    if (sub.sure_until <= until || model_.may_have_ended(sub.session, sub.sure_from, until)) return;
    report_.violate(Invariant::kNoSubscribers, "acked with 0x10, though a session subscribes",
                    {sub.suback, m.first, m.ack});
  }

  /// Losses against the drops that the broker reported as numbers: of the session, then of all.
  void settle() {
    std::uint64_t common = model_.global_drops;
    for (std::uint32_t s = 0; s < lost_.size(); ++s) {
      const std::uint64_t lost = lost_[s].size();
      if (lost == 0) continue;
      const std::uint64_t own = std::min(lost, model_.sessions[s].reported_drops);
      const std::uint64_t shared = std::min(lost - own, common);
      common -= shared;
      report_.judge(Invariant::kVisibleDrops, lost);
      const std::uint64_t reported = own + shared;
      if (reported == lost) continue;
      if (reported > 0) {
        report_.violate(Invariant::kVisibleDrops,
                        model_.history.sessions[s].client + " lost " + std::to_string(lost) +
                            " messages, but only " + std::to_string(reported) + " were reported",
                        {model_.messages[lost_[s][0].message].first});
        continue;
      }
      for (const Lost& l : lost_[s]) {
        const Message& m = model_.messages[l.message];
        report_.violate(Invariant::kAtLeastOnce,
                        "acked and never delivered to " + model_.history.sessions[s].client,
                        {l.suback, m.first, m.ack, l.drained});
      }
    }
  }

  void reported_yet_delivered() {
    for (const auto& [message, session] : model_.named_drops) {
      const auto copies = model_.deliveries_of(message, session);
      if (copies.empty()) continue;
      report_.violate(Invariant::kVisibleDrops, "reported as dropped, yet delivered",
                      {model_.messages[message].first, copies[0].event});
    }
  }

  struct Lost {
    std::uint32_t message;
    std::uint32_t suback;
    std::uint32_t drained;
  };
  const Model& model_;
  Report& report_;
  std::vector<Active> active_;           // by filter
  std::vector<std::vector<Lost>> lost_;  // by session
  std::vector<std::uint32_t> seen_;      // sessions judged for the message at hand
};

}  // namespace

void check_obligations(const Model& model, Report& report) { Obligations(model, report).run(); }

}  // namespace skald::checker
