// Sessions over time, from outside: when must one exist, when must it not (I6, I7, I12), and which
// connections overlap (I6). A moment that the client cannot know is kept as [earliest, latest].
#include <algorithm>

#include "tests/chaos/checker/model.h"

namespace skald::checker {
namespace {

constexpr std::uint64_t kSecond = 1'000'000;

std::uint64_t plus(std::uint64_t time, std::uint64_t more) {
  return time > kForever - more ? kForever : time + more;
}

std::uint64_t expiry_us(std::uint32_t seconds) {
  return seconds == kNone ? kForever : seconds * kSecond;
}

class Walk {
 public:
  Walk(Model& model, Report& report, std::uint32_t session, std::uint32_t* incarnations)
      : model_(model),
        report_(report),
        session_(model.sessions[session]),
        incarnations_(*incarnations) {}

  void run() {
    std::vector<std::uint32_t> events;
    for (const std::uint32_t c : session_.connections) {
      const ConnectionInfo& info = model_.connections[c];
      events.push_back(model_.history.connections[c].connect);
      if (info.connack != kNone) events.push_back(info.connack);
      if (info.close != kNone) events.push_back(info.close);
    }
    std::sort(events.begin(), events.end());
    for (const std::uint32_t i : events) {
      switch (model_.event(i).kind) {
        case Kind::kConnect:
          connect(i);
          break;
        case Kind::kConnack:
          connack(i);
          break;
        default:
          close(i);
      }
    }
    std::sort(session_.possible_ends.begin(), session_.possible_ends.end());
  }

 private:
  void connect(std::uint32_t i) {
    ++pending_;
    if (!model_.history.connections[model_.event(i).connection].clean) return;
    ++clean_pending_;
    session_.possible_ends.push_back(model_.time(i));
  }

  void connack(std::uint32_t i) {
    const Event& e = model_.event(i);
    const Connection& c = model_.history.connections[e.connection];
    ConnectionInfo& info = model_.connections[e.connection];
    if (pending_ > 0) --pending_;
    if (c.clean) {
      if (clean_pending_ > 0) --clean_pending_;
      session_.possible_ends.push_back(e.time_us);
    }
    if (!info.accepted) return;
    judge(i, c);
    const bool resumed = e.has(kSessionPresent);
    if (!resumed || incarnation_ == kNone) incarnation_ = incarnations_++;
    info.incarnation = incarnation_;
    expiry_low_ = expiry_high_ = expiry_us(e.number != kNone ? e.number : c.expiry_s);
    sure_ = maybe_ = true;
    owner_ = e.connection;
    last_ = i;
    ++open_;
    end_low_ = end_high_ = kForever;
  }

  void judge(std::uint32_t i, const Connection& c) {
    const Event& e = model_.event(i);
    const bool doubt = clean_pending_ > 0 || e.time_us < clean_doubt_until_;
    const std::uint64_t eps = model_.options.eps_us;
    if (c.clean) {
      report_.judge(Invariant::kOneSession);
      if (e.has(kSessionPresent)) {
        report_.violate(Invariant::kOneSession, "session present after a clean start",
                        {c.connect, i});
      }
    } else if (!e.has(kSessionPresent)) {
      const bool must_exist =
          sure_ && !doubt && (owner_ != kNone ? expiry_low_ > 0 : end_low_ > plus(e.time_us, eps));
      if (must_exist) {
        report_.judge(Invariant::kSubscription);
        report_.violate(Invariant::kSubscription, "the session is lost", {last_, c.connect, i});
      } else {
        session_.possible_ends.push_back(
            std::min(end_low_, owner_ != kNone ? model_.time(c.connect) : e.time_us));
        report_.excuse(Invariant::kSubscription);
      }
    } else {
      report_.judge(Invariant::kSubscription);
      if (!maybe_) {
        report_.violate(Invariant::kOneSession, "session present, but there never was one",
                        {c.connect, i});
      } else if (open_ == 0 && pending_ == 0 && plus(end_high_, eps) < model_.time(c.connect)) {
        report_.judge(Invariant::kExpiry);
        report_.violate(Invariant::kExpiry, "the session outlived its expiry",
                        {last_, c.connect, i});
      }
    }
  }

  /// When the broker can have seen the end of connection `c` at the latest.
  std::uint64_t latest_end(const ConnectionInfo& info) const {
    const std::uint64_t close = model_.time(info.close);
    if (info.ended_by_kill == kForever) return close;
    const std::uint64_t up = model_.next_up(info.ended_by_kill);
    return std::max(close, plus(up, model_.options.kill_grace_us));
  }

  void close(std::uint32_t i) {
    const std::uint32_t index = model_.event(i).connection;
    const ConnectionInfo& info = model_.connections[index];
    const Connection& c = model_.history.connections[index];
    if (!info.accepted) {
      if (info.connack == kNone) unknown(c, info, i);
      return;
    }
    if (open_ > 0) --open_;
    if (owner_ != index) return;
    owner_ = kNone;
    last_ = i;
    std::uint64_t earliest = std::min(model_.time(i), info.ended_by_kill);
    if (info.disconnect != kNone) {
      earliest = std::min(earliest, model_.time(info.disconnect));
      const std::uint32_t changed = model_.event(info.disconnect).number;
      if (changed != kNone && expiry_low_ > 0) {
        // Only a kill can keep the broker from reading it.
        const std::uint64_t sent = model_.time(info.disconnect);
        const std::uint64_t eps = model_.options.eps_us;
        const bool read = !model_.killed_between(sent - std::min(sent, eps), plus(sent, eps));
        expiry_low_ = std::min(expiry_low_, expiry_us(changed));
        expiry_high_ = read ? expiry_us(changed) : std::max(expiry_high_, expiry_us(changed));
      }
    }
    end_low_ = plus(earliest, expiry_low_);
    end_high_ = plus(latest_end(info), expiry_high_);
    if (expiry_low_ == 0) session_.possible_ends.push_back(earliest);
  }

  /// A connect that got no answer: the broker may have done all of it or none.
  void unknown(const Connection& c, const ConnectionInfo& info, std::uint32_t i) {
    if (pending_ > 0) --pending_;
    maybe_ = true;
    if (c.clean) {
      if (clean_pending_ > 0) --clean_pending_;
      session_.possible_ends.push_back(model_.time(i));
      clean_doubt_until_ =
          std::max(clean_doubt_until_, plus(model_.time(i), model_.options.eps_us));
      sure_ = false;
    }
    const std::uint64_t expiry = expiry_us(c.expiry_s);
    expiry_low_ = std::min(expiry_low_, expiry);
    expiry_high_ = std::max(expiry_high_, expiry);
    if (owner_ != kNone) return;
    end_low_ = std::min(end_low_, plus(model_.time(c.connect), expiry));
    end_high_ = std::max(end_high_ == kForever ? 0 : end_high_, plus(latest_end(info), expiry));
  }

  Model& model_;
  Report& report_;
  SessionInfo& session_;
  std::uint32_t& incarnations_;
  std::uint32_t incarnation_ = kNone;
  bool sure_ = false;
  bool maybe_ = false;
  std::uint32_t pending_ = 0;        // connects without an answer yet
  std::uint32_t clean_pending_ = 0;  // those with clean start
  std::uint64_t clean_doubt_until_ = 0;
  std::uint32_t open_ = 0;        // accepted and not yet closed
  std::uint32_t owner_ = kNone;   // connection that last was accepted, until it closes
  std::uint32_t last_ = kNone;    // event that shows that the session was there
  std::uint64_t expiry_low_ = 0;  // the session expiry that may be in force
  std::uint64_t expiry_high_ = 0;
  std::uint64_t end_low_ = kForever;  // when nobody is connected: when it expires
  std::uint64_t end_high_ = kForever;
};

/// For each connection the event of the CONNACK that surely came from a later connection.
std::vector<std::uint32_t> superseded(const Model& model) {
  std::vector<std::uint32_t> out(model.connections.size(), kNone);
  for (const SessionInfo& s : model.sessions) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> later;  // (connect, connack), by connect
    for (const std::uint32_t c : s.connections) {
      if (!model.connections[c].accepted) continue;
      later.emplace_back(model.history.connections[c].connect, model.connections[c].connack);
    }
    for (std::size_t i = later.size(); i-- > 1;) {
      later[i - 1].second = std::min(later[i - 1].second, later[i].second);
    }
    for (const std::uint32_t c : s.connections) {
      if (!model.connections[c].accepted) continue;
      const auto it = std::upper_bound(later.begin(), later.end(),
                                       std::pair(model.connections[c].connack, kNone));
      if (it != later.end()) out[c] = it->second;
    }
  }
  return out;
}

/// The old connection must be closed by the broker, not merely ignored.
void check_closed(const Model& model, std::uint32_t connection, std::uint32_t by, Report& report) {
  const ConnectionInfo& c = model.connections[connection];
  if (c.close != kNone && c.close < by) return;
  report.judge(Invariant::kOneSession);
  const std::uint64_t limit = model.time(by) + model.options.close_grace_us;
  if (c.close != kNone && model.time(c.close) <= limit) return;
  if (model.end_us < limit || c.ended_by_kill < limit) return;
  report.violate(Invariant::kOneSession, "two connections of one session stay open",
                 {model.history.connections[connection].connect, by});
}

}  // namespace

void walk_sessions(Model& model, Report& report) {
  std::uint32_t incarnations = 0;
  for (std::uint32_t s = 0; s < model.sessions.size(); ++s) {
    Walk(model, report, s, &incarnations).run();
  }
}

void check_connections(const Model& model, Report& report) {
  const std::vector<std::uint32_t> ended = superseded(model);
  for (std::uint32_t c = 0; c < ended.size(); ++c) {
    if (ended[c] != kNone) check_closed(model, c, ended[c], report);
  }
  std::vector<std::uint32_t> sent(model.messages.size(), kNone);
  for (std::uint32_t i = 0; i < model.history.events.size(); ++i) {
    const Event& e = model.event(i);
    if (e.message == kNone || e.connection == kNone) continue;
    if (e.kind == Kind::kPub || e.kind == Kind::kRepub) sent[e.message] = i;
    const std::uint32_t end = ended[e.connection];
    if (end == kNone || i < end) continue;
    const bool answer = e.kind == Kind::kPuback || e.kind == Kind::kPubrec;
    if (answer && !e.refused() && sent[e.message] != kNone && sent[e.message] > end &&
        model.event(sent[e.message]).connection == e.connection) {
      report.violate(Invariant::kOneSession, "accepted from a connection that was taken over",
                     {end, sent[e.message], i});
    }
    const std::uint32_t first = model.messages[e.message].first;
    if (e.kind == Kind::kDeliver && first != kNone && !model.messages[e.message].will &&
        model.time(first) > model.time(end) + model.options.eps_us) {
      report.violate(Invariant::kOneSession, "delivered to a connection that was taken over",
                     {end, first, i});
    }
  }
}

}  // namespace skald::checker
