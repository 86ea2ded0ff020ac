#include "tests/chaos/checker/model.h"

#include <algorithm>

#include "tests/chaos/checker/match.h"

namespace skald::checker {
namespace {

std::uint64_t op_key(const Event& e) { return (std::uint64_t{e.connection} << 32) | e.number; }

}  // namespace

Model::Model(const History& h, const Options& o, Report& report) : history(h), options(o) {
  messages.resize(h.nonces.size());
  sessions.resize(h.sessions.size());
  connections.resize(h.connections.size());
  if (!h.events.empty()) end_us = h.events.back().time_us;
  collect_connections();
  collect_messages();
  walk_sessions(*this, report);
  collect_subscriptions();
  collect_deliveries();
  collect_drops();
}

void Model::collect_connections() {
  for (std::uint32_t i = 0; i < history.events.size(); ++i) {
    const Event& e = event(i);
    if (e.kind == Kind::kKill || e.kind == Kind::kStop || e.kind == Kind::kUp) {
      broker.push_back({e.time_us, i, e.kind});
    }
    if (e.connection == kNone) continue;
    ConnectionInfo& c = connections[e.connection];
    switch (e.kind) {
      case Kind::kConnect:
        sessions[session_of(e.connection)].connections.push_back(e.connection);
        break;
      case Kind::kConnack:
        c.connack = i;
        c.accepted = !e.refused() && !(history.connections[e.connection].version < 5 && e.reason);
        break;
      case Kind::kDisconnect:
        c.disconnect = i;
        break;
      case Kind::kClose:
        if (c.close == kNone) c.close = i;
        break;
      case Kind::kDrained:
        sessions[session_of(e.connection)].drained.push_back(
            {e.time_us - std::min(e.time_us, std::uint64_t{e.number} * 1000), e.time_us, i});
        break;
      default:
        break;
    }
  }
  for (SessionInfo& s : sessions) {
    std::sort(s.drained.begin(), s.drained.end(),
              [](const Drained& a, const Drained& b) { return a.from < b.from; });
  }
  for (std::uint32_t i = 0; i < connections.size(); ++i) {
    ConnectionInfo& c = connections[i];
    const BrokerEvent* down = next_down(time(history.connections[i].connect));
    if (down == nullptr) continue;
    if (c.close == kNone || time(c.close) >= down->time) c.ended_by_kill = down->time;
  }
}

void Model::collect_return(std::uint32_t i) {
  const Event& e = event(i);
  Message& m = messages[e.message];
  if (m.first == kNone || m.outcome == Outcome::kOk) return;
  const bool promise = e.kind == Kind::kPuback || e.kind == Kind::kPubcomp ||
                       (e.kind == Kind::kPubrec && (e.refused() || !options.promise_at_pubcomp));
  if (!promise) return;
  m.outcome = e.refused() ? Outcome::kFailed : Outcome::kOk;
  m.ack = i;
  m.reason = e.reason;
}

void Model::collect_messages() {
  for (std::uint32_t i = 0; i < history.connections.size(); ++i) {
    const Connection& c = history.connections[i];
    if (c.will == kNone) continue;
    messages[c.will] = {.first = c.connect,
                        .topic = c.will_topic,
                        .expiry_s = c.will_expiry_s,
                        .last_sent = c.connect,
                        .qos = c.will_qos,
                        .retain = c.will_retain,
                        .will = true};
  }
  for (std::uint32_t i = 0; i < history.events.size(); ++i) {
    const Event& e = event(i);
    if (e.message == kNone) continue;
    Message& m = messages[e.message];
    switch (e.kind) {
      case Kind::kPub:
        m.first = i;
        m.last_sent = i;
        m.topic = e.text;
        m.expiry_s = e.number;
        m.qos = e.qos();
        m.retain = e.has(kRetain);
        m.empty = e.has(kEmpty);
        break;
      case Kind::kRepub:
        m.last_sent = i;
        break;
      case Kind::kPuback:
      case Kind::kPubrec:
      case Kind::kPubcomp:
        collect_return(i);
        break;
      default:
        break;
    }
  }
}

void Model::collect_subscriptions() {
  for (std::uint32_t i = 0; i < history.events.size(); ++i) {
    switch (event(i).kind) {
      case Kind::kSub:
        subscribe(i);
        break;
      case Kind::kSuback:
        suback(i);
        break;
      case Kind::kUnsub:
        unsubscribe(i);
        break;
      case Kind::kUnsuback:
        unsuback(i);
        break;
      case Kind::kReadEnd: {
        const auto it = sub_ops_.find(op_key(event(i)));
        if (it != sub_ops_.end()) subscriptions[it->second].read_end = i;
        break;
      }
      case Kind::kConnack:
        session_gone(i);
        break;
      default:
        break;
    }
  }
  // Nothing is owed past a moment at which the session may rightly have ended.
  for (Subscription& s : subscriptions) {
    const auto& ends = sessions[s.session].possible_ends;
    const auto end = std::lower_bound(ends.begin(), ends.end(), s.sure_from);
    if (end != ends.end()) s.sure_until = std::min(s.sure_until, *end);
  }
}

void Model::subscribe(std::uint32_t i) {
  const Event& e = event(i);
  const auto [it, fresh] =
      filter_index_.try_emplace(e.text, static_cast<std::uint32_t>(filters.size()));
  if (fresh) {
    const std::string& text = history.texts[e.text];
    Filter f{e.text, std::string(share_filter(text)), std::string(share_group(text)), {}};
    if (f.match.find_first_of("+#") != std::string::npos) {
      wildcard_filters_.push_back(it->second);
    } else {
      exact_filters_[f.match].push_back(it->second);
    }
    filters.push_back(std::move(f));
  }
  Subscription s;
  s.session = session_of(e.connection);
  s.filter = it->second;
  s.sub = i;
  s.qos = e.qos();
  s.retain_as_published = e.has(kRetainAsPublished);
  s.no_local = e.has(kNoLocal);
  s.retain_handling = e.retain_handling();
  s.may_from = e.time_us;
  SessionInfo& session = sessions[s.session];
  std::erase_if(session.open,
                [this](std::uint32_t o) { return subscriptions[o].may_until != kForever; });
  for (const std::uint32_t old : session.open) {
    Subscription& o = subscriptions[old];
    if (o.filter != s.filter) continue;
    s.resubscribe = true;
    // The new options may hold from now on, so the old grant promises nothing more.
    if (o.qos != s.qos || o.no_local != s.no_local) {
      o.sure_until = std::min(o.sure_until, e.time_us);
    }
  }
  const auto index = static_cast<std::uint32_t>(subscriptions.size());
  sub_ops_[op_key(e)] = index;
  session.open.push_back(index);
  by_filter_and_session_[(std::uint64_t{s.filter} << 32) | s.session].push_back(index);
  filters[s.filter].subscriptions.push_back(index);
  subscriptions.push_back(s);
}

void Model::suback(std::uint32_t i) {
  const Event& e = event(i);
  const auto it = sub_ops_.find(op_key(e));
  if (it == sub_ops_.end()) return;
  Subscription& s = subscriptions[it->second];
  s.suback = i;
  if (e.refused()) {
    s.may_until = e.time_us;
    return;
  }
  s.accepted = true;
  s.qos = std::min(s.qos, e.reason);
  s.sure_from = e.time_us;
}

void Model::unsubscribe(std::uint32_t i) {
  const Event& e = event(i);
  const auto filter = filter_index_.find(e.text);
  if (filter == filter_index_.end()) return;
  for (const std::uint32_t index : sessions[session_of(e.connection)].open) {
    Subscription& s = subscriptions[index];
    if (s.filter != filter->second || s.may_until != kForever) continue;
    s.sure_until = std::min(s.sure_until, e.time_us);
    unsub_ops_[op_key(e)].push_back(index);
  }
}

void Model::unsuback(std::uint32_t i) {
  const Event& e = event(i);
  const auto it = unsub_ops_.find(op_key(e));
  if (it == unsub_ops_.end() || e.refused()) return;
  for (const std::uint32_t index : it->second) {
    Subscription& s = subscriptions[index];
    if (s.may_until == kForever) s.may_until = e.time_us;
  }
}

void Model::session_gone(std::uint32_t i) {
  const Event& e = event(i);
  if (!connections[e.connection].accepted || e.has(kSessionPresent)) return;
  for (const std::uint32_t index : sessions[session_of(e.connection)].open) {
    Subscription& s = subscriptions[index];
    if (s.may_until == kForever) s.may_until = e.time_us;
  }
}

void Model::collect_deliveries() {
  for (std::uint32_t i = 0; i < history.events.size(); ++i) {
    const Event& e = event(i);
    if (e.kind != Kind::kDeliver || e.message == kNone) continue;
    deliveries.push_back({e.message, session_of(e.connection), i});
  }
  std::sort(deliveries.begin(), deliveries.end(), [](const Delivery& a, const Delivery& b) {
    if (a.message != b.message) return a.message < b.message;
    return a.session != b.session ? a.session < b.session : a.event < b.event;
  });
  first_delivery_.assign(messages.size() + 1, static_cast<std::uint32_t>(deliveries.size()));
  for (std::size_t i = deliveries.size(); i-- > 0;) {
    first_delivery_[deliveries[i].message] = static_cast<std::uint32_t>(i);
  }
  for (std::size_t m = messages.size(); m-- > 0;) {
    first_delivery_[m] = std::min(first_delivery_[m], first_delivery_[m + 1]);
  }
}

void Model::collect_drops() {
  std::unordered_map<std::string, std::uint32_t> names;
  for (std::uint32_t s = 0; s < sessions.size(); ++s) {
    names[history.sessions[s].tenant + '/' + history.sessions[s].client] = s;
  }
  for (const Event& e : history.events) {
    if (e.kind != Kind::kDrop && e.kind != Kind::kDrops) continue;
    if (e.kind == Kind::kDrops && e.text == kNone) {
      global_drops += e.number;
      continue;
    }
    const auto it = names.find(history.texts[e.text]);
    if (it == names.end()) continue;
    if (e.kind == Kind::kDrop) {
      named_drops.emplace_back(e.message, it->second);
    } else {
      sessions[it->second].reported_drops += e.number;
    }
  }
  std::sort(named_drops.begin(), named_drops.end());
}

std::span<const Delivery> Model::deliveries_of(std::uint32_t message) const {
  return std::span(deliveries)
      .subspan(first_delivery_[message], first_delivery_[message + 1] - first_delivery_[message]);
}

std::span<const Delivery> Model::deliveries_of(std::uint32_t message, std::uint32_t session) const {
  const auto all = deliveries_of(message);
  const auto range =
      std::equal_range(all.begin(), all.end(), Delivery{message, session, 0},
                       [](const Delivery& a, const Delivery& b) { return a.session < b.session; });
  return {range.first, range.second};
}

const std::vector<std::uint32_t>& Model::filters_for(std::uint32_t topic) const {
  const auto [it, fresh] = topic_filters_.try_emplace(topic);
  if (!fresh) return it->second;
  const std::string& text = history.texts[topic];
  const auto exact = exact_filters_.find(text);
  if (exact != exact_filters_.end()) it->second = exact->second;
  for (const std::uint32_t f : wildcard_filters_) {
    if (topic_matches(filters[f].match, text)) it->second.push_back(f);
  }
  return it->second;
}

bool Model::may_have_ended(std::uint32_t session, std::uint64_t from, std::uint64_t until) const {
  const auto& ends = sessions[session].possible_ends;
  const auto it = std::lower_bound(ends.begin(), ends.end(), from);
  return it != ends.end() && *it <= until;
}

const Drained* Model::drained_after(std::uint32_t session, std::uint64_t promised) const {
  const auto& all = sessions[session].drained;
  const auto it = std::partition_point(all.begin(), all.end(),
                                       [promised](const Drained& d) { return d.from < promised; });
  return it == all.end() ? nullptr : &*it;
}

std::span<const std::uint32_t> Model::subscriptions_of(std::uint32_t filter,
                                                       std::uint32_t session) const {
  const auto it = by_filter_and_session_.find((std::uint64_t{filter} << 32) | session);
  if (it == by_filter_and_session_.end()) return {};
  return it->second;
}

bool Model::drop_reported(std::uint32_t message, std::uint32_t session) const {
  return std::binary_search(named_drops.begin(), named_drops.end(), std::pair(message, session));
}

const BrokerEvent* Model::next_down(std::uint64_t time) const {
  auto it = std::partition_point(broker.begin(), broker.end(),
                                 [time](const BrokerEvent& b) { return b.time < time; });
  while (it != broker.end() && it->kind == Kind::kUp) ++it;
  return it == broker.end() ? nullptr : &*it;
}

std::uint64_t Model::next_up(std::uint64_t time) const {
  auto it = std::partition_point(broker.begin(), broker.end(),
                                 [time](const BrokerEvent& b) { return b.time < time; });
  while (it != broker.end() && it->kind != Kind::kUp) ++it;
  return it == broker.end() ? kForever : it->time;
}

bool Model::killed_between(std::uint64_t from, std::uint64_t until) const {
  const BrokerEvent* down = next_down(from);
  return down != nullptr && down->time <= until;
}

}  // namespace skald::checker
