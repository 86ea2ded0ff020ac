#include "tests/chaos/checker/registers.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "tests/chaos/checker/match.h"

namespace skald::checker {
namespace {

std::uint64_t pair_key(std::uint32_t a, std::uint32_t b) { return (std::uint64_t{a} << 32) | b; }

class Collector {
 public:
  Collector(const Model& model, Report& report) : model_(model), report_(report) {
    for (std::uint32_t s = 0; s < model.sessions.size(); ++s) {
      const auto next = static_cast<std::uint32_t>(tenants_.size());
      tenant_of_.push_back(tenants_.try_emplace(model.tenant(s), next).first->second);
    }
  }

  std::vector<Register> run() {
    collect_writes();
    for (std::uint32_t i = 0; i < model_.history.events.size(); ++i) {
      const Event& e = model_.event(i);
      if (e.kind != Kind::kDeliver) continue;
      const auto it = index_.find(pair_key(tenant(e), e.text));
      if (it == index_.end()) continue;
      if (e.has(kRetain)) {
        retained(i, e, registers_[it->second]);
      } else {
        live_[pair_key(model_.session_of(e.connection), e.text)].push_back(i);
      }
    }
    for (const Filter& f : model_.filters) absent(f);
    return std::move(registers_);
  }

 private:
  std::uint32_t tenant(const Event& e) const { return tenant_of_[model_.session_of(e.connection)]; }

  void collect_writes() {
    for (std::uint32_t i = 0; i < model_.messages.size(); ++i) {
      const Message& m = model_.messages[i];
      if (m.first == kNone || !m.retain) continue;
      const Event& first = model_.event(m.first);
      const std::uint64_t key = pair_key(tenant(first), m.topic);
      const auto [it, fresh] =
          index_.try_emplace(key, static_cast<std::uint32_t>(registers_.size()));
      if (fresh) registers_.emplace_back().topic = m.topic;
      Register& r = registers_[it->second];
      // A refused write may still have been done.
      const bool done = m.outcome == Outcome::kOk && m.qos > 0;
      r.writes.push_back({i, first.time_us, done ? model_.time(m.ack) : kForever, m.empty});
      if (m.expiry_s != kNone) r.expires = true;
    }
    for (Register& r : registers_) {
      std::sort(r.writes.begin(), r.writes.end(),
                [](const Write& a, const Write& b) { return a.invoke < b.invoke; });
    }
  }

  /// The oldest subscribe that may still be reading, so that the read starts early enough.
  const Subscription* reading(std::uint32_t i, const Event& e, std::uint32_t* index) const {
    const std::uint32_t session = model_.session_of(e.connection);
    const std::uint64_t connected = model_.time(model_.history.connections[e.connection].connect);
    const Subscription* found = nullptr;
    for (const std::uint32_t f : model_.filters_for(e.text)) {
      if (!model_.filters[f].group.empty()) continue;
      const auto subs = model_.subscriptions_of(f, session);
      for (auto at = subs.rbegin(); at != subs.rend(); ++at) {
        const Subscription& s = model_.subscriptions[*at];
        if (s.sub > i) continue;
        const bool over = (s.read_end != kNone && s.read_end < i) || s.may_until < connected;
        if (over) break;
        if (s.retain_handling == 2 || read_.contains(pair_key(*at, e.text))) continue;
        if (found != nullptr && found->sub < s.sub) continue;
        found = &s;
        *index = *at;
      }
    }
    return found;
  }

  void retained(std::uint32_t i, const Event& e, Register& r) {
    if (e.message == kNone) return;
    const std::uint32_t session = model_.session_of(e.connection);
    // A copy sent again belongs to the read that it was first sent for.
    if (e.has(kDup)) {
      const auto copies = model_.deliveries_of(e.message, session);
      if (!copies.empty() && copies.front().event < i) return;
    }
    std::uint32_t index = kNone;
    const Subscription* sub = reading(i, e, &index);
    if (sub == nullptr) {
      unexplained(i, e, session);
      return;
    }
    read_.insert(pair_key(index, e.text));
    r.reads.push_back({e.message, sub->may_from, e.time_us, sub->sub, i});
  }

  void unexplained(std::uint32_t i, const Event& e, std::uint32_t session) {
    bool as_published = false;
    for (const std::uint32_t f : model_.filters_for(e.text)) {
      for (const std::uint32_t s : model_.subscriptions_of(f, session)) {
        as_published = as_published || model_.subscriptions[s].retain_as_published;
      }
    }
    if (as_published || e.has(kDup)) return;
    report_.violate(Invariant::kPhantom, "a retained message that no subscribe asked for", {i});
  }

  /// Reads of nothing: topics under a filter that a finished subscribe brought no message of.
  void absent(const Filter& f) {
    if (!f.group.empty()) return;
    std::vector<std::uint32_t> matching;
    for (const auto& [key, r] : index_) {
      if (topic_matches(f.match, model_.history.texts[registers_[r].topic])) matching.push_back(r);
    }
    std::sort(matching.begin(), matching.end());
    for (const std::uint32_t s : f.subscriptions) {
      const Subscription& sub = model_.subscriptions[s];
      if (sub.read_end == kNone || !sub.accepted || sub.retain_handling == 2) continue;
      if (sub.retain_handling == 1 && sub.resubscribe) continue;
      if (model_.sessions[sub.session].reported_drops + model_.global_drops > 0) continue;
      for (const std::uint32_t r : matching) nothing_read(s, sub, registers_[r]);
    }
  }

  void nothing_read(std::uint32_t index, const Subscription& sub, Register& r) {
    const Message& any = model_.messages[r.writes.front().message];
    if (model_.tenant(model_.publisher(any)) != model_.tenant(sub.session)) return;
    if (read_.contains(pair_key(index, r.topic))) return;
    const auto live = live_.find(pair_key(sub.session, r.topic));
    if (live != live_.end()) {
      const auto after = std::lower_bound(live->second.begin(), live->second.end(), sub.sub);
      if (after != live->second.end() && *after < sub.read_end) return;
    }
    r.reads.push_back({kNone, sub.may_from, model_.time(sub.read_end), sub.sub, sub.read_end});
  }

  const Model& model_;
  Report& report_;
  std::unordered_map<std::string, std::uint32_t> tenants_;
  std::vector<std::uint32_t> tenant_of_;  // by session
  std::vector<Register> registers_;
  std::unordered_map<std::uint64_t, std::uint32_t> index_;              // (tenant, topic)
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> live_;  // (session, topic): events
  std::unordered_set<std::uint64_t> read_;                              // (subscription, topic)
};

}  // namespace

std::vector<Register> collect_registers(const Model& model, Report& report) {
  return Collector(model, report).run();
}

}  // namespace skald::checker
