// I2: QoS 2 reaches an application once. I3: first deliveries keep the order of the publisher,
// redeliveries come after a reconnect only, and in order too [MQTT-4.4.0-1, MQTT-4.6.0-1..6].
#include <algorithm>
#include <unordered_map>

#include "tests/chaos/checker/model.h"

namespace skald::checker {
namespace {

/// One ordered stream as one receiver sees it. Retained copies and shared subscriptions have none.
struct Stream {
  std::uint32_t receiver;  // session, or connection for redeliveries
  std::uint32_t publisher;
  std::uint32_t topic;
  std::uint32_t qos;  // published, delivered, and whether redelivered

  bool operator==(const Stream&) const = default;
};

struct StreamHash {
  std::size_t operator()(const Stream& s) const {
    std::uint64_t h = (std::uint64_t{s.receiver} << 32) | s.publisher;
    h = (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9ULL;
    h ^= (std::uint64_t{s.topic} << 8) | s.qos;
    h = (h ^ (h >> 32)) * 0x94d049bb133111ebULL;
    return static_cast<std::size_t>(h ^ (h >> 29));
  }
};

struct Last {
  std::uint32_t published = kNone;  // event: pub of the last one
  std::uint32_t delivered = kNone;
};

using Streams = std::unordered_map<Stream, Last, StreamHash>;

bool only_shared(const Model& model, std::uint32_t topic, std::uint32_t session) {
  for (const std::uint32_t f : model.filters_for(topic)) {
    if (model.filters[f].group.empty() && !model.subscriptions_of(f, session).empty()) return false;
  }
  return true;
}

/// How many copies overlapping subscriptions may make.
std::uint32_t copies(const Model& model, std::uint32_t topic, std::uint32_t session) {
  std::uint32_t n = 0;
  for (const std::uint32_t f : model.filters_for(topic)) {
    if (!model.subscriptions_of(f, session).empty()) ++n;
  }
  return std::max(n, 1U);
}

/// Marks the first delivery of each message to each session, and checks I2 on the way.
std::vector<bool> mark_first(const Model& model, Report& report) {
  std::vector<bool> first(model.history.events.size(), false);
  const auto& all = model.deliveries;
  for (std::size_t i = 0; i < all.size();) {
    std::size_t end = i;
    std::vector<std::uint32_t> flows;
    bool seen = false;
    for (; end < all.size() && all[end].message == all[i].message &&
           all[end].session == all[i].session;
         ++end) {
      const Event& e = model.event(all[end].event);
      if (e.has(kRetain)) continue;
      if (!seen) first[all[end].event] = true;
      seen = true;
      if (e.qos() == 2 && model.new_flow[all[end].event]) flows.push_back(all[end].event);
    }
    const Message& m = model.messages[all[i].message];
    if (!flows.empty() && !m.will && m.first != kNone) {
      report.judge(Invariant::kExactlyOnce);
      if (flows.size() > copies(model, m.topic, all[i].session)) {
        flows.insert(flows.begin(), m.first);
        flows.resize(std::min<std::size_t>(flows.size(), 6));
        report.violate(Invariant::kExactlyOnce, "QoS 2 delivered again", flows);
      }
    }
    i = end;
  }
  return first;
}

class Order {
 public:
  Order(const Model& model, Report& report) : model_(model), report_(report) {}

  void run() {
    const std::vector<bool> first = mark_first(model_, report_);
    for (std::uint32_t i = 0; i < model_.history.events.size(); ++i) {
      const Event& e = model_.event(i);
      if (e.kind != Kind::kDeliver || e.message == kNone || e.has(kRetain)) continue;
      const Message& m = model_.messages[e.message];
      if (m.first == kNone || m.will) continue;
      if (e.qos() > 0 && e.has(kDup)) redelivered(i, e, m);
      if (first[i]) delivered(i, e, m);
    }
  }

 private:
  void delivered(std::uint32_t i, const Event& e, const Message& m) {
    const std::uint32_t session = model_.session_of(e.connection);
    if (only_shared(model_, m.topic, session)) return;
    report_.judge(Invariant::kOrder);
    follow(streams_, stream(session, e, m, 0), i, m, "delivered before an earlier one");
  }

  void redelivered(std::uint32_t i, const Event& e, const Message& m) {
    if (model_.history.connections[e.connection].version >= 5) {
      for (const Delivery& d : model_.deliveries_of(e.message, model_.session_of(e.connection))) {
        const Event& other = model_.event(d.event);
        if (d.event >= i) break;
        if (other.connection != e.connection || other.packet_id != e.packet_id) continue;
        report_.violate(Invariant::kOrder, "sent again on a live connection", {d.event, i});
        break;
      }
    }
    // A member of a group gets what others could not take, in between.
    if (only_shared(model_, m.topic, model_.session_of(e.connection))) return;
    // Sent again by its publisher, it may stand twice in the queue, each copy in its order
    // [MQTT-4.3.2]: nothing tells which of the two this is.
    if (m.qos == 1 && m.last_sent != m.first) {
      report_.excuse(Invariant::kOrder);
      return;
    }
    follow(again_, stream(e.connection, e, m, 1), i, m, "sent again out of order");
  }

  Stream stream(std::uint32_t receiver, const Event& e, const Message& m, unsigned again) const {
    // Before its CONNACK a connection is a publisher of its own.
    const std::uint32_t connection = model_.event(m.first).connection;
    const std::uint32_t incarnation = model_.connections[connection].incarnation;
    const std::uint32_t publisher = incarnation != kNone ? incarnation : 0x80000000U | connection;
    return {receiver, publisher, m.topic,
            static_cast<std::uint32_t>(m.qos | (e.qos() << 2) | (again << 4))};
  }

  void follow(Streams& streams, const Stream& key, std::uint32_t i, const Message& m,
              const char* what) {
    Last& last = streams[key];
    if (last.published != kNone && m.first < last.published) {
      report_.violate(Invariant::kOrder, what, {m.first, last.published, last.delivered, i});
      return;
    }
    last = {m.first, i};
  }

  const Model& model_;
  Report& report_;
  Streams streams_;
  Streams again_;
};

}  // namespace

void check_order(const Model& model, Report& report) { Order(model, report).run(); }

}  // namespace skald::checker
