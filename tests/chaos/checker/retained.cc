// I4, I5: a subscribe reads the last retained write. Here the reads that are wrong whatever the
// order of concurrent writes was: a write that was done before the read began, and began after the
// write that was read had ended, was overlooked. No search; sound with unknown outcomes and expiry.
#include <algorithm>
#include <unordered_map>

#include "tests/chaos/checker/registers.h"
#include "tests/checker/linearizable.h"

namespace skald::checker {
namespace {

constexpr std::uint64_t kSecond = 1'000'000;

/// Writes that surely were done, by end; `latest[i]` is the one of [0, i] that began last.
struct Done {
  std::vector<Write> by_end;
  std::vector<std::size_t> latest;

  /// The write that began last of those that ended before `time`, or null.
  const Write* before(std::uint64_t time) const {
    const auto n = std::partition_point(by_end.begin(), by_end.end(),
                                        [time](const Write& w) { return w.end < time; }) -
                   by_end.begin();
    return n == 0 ? nullptr : &by_end[latest[static_cast<std::size_t>(n) - 1]];
  }
};

Done done_writes(const Register& r) {
  Done done;
  for (const Write& w : r.writes) {
    if (w.end != kForever) done.by_end.push_back(w);
  }
  std::sort(done.by_end.begin(), done.by_end.end(),
            [](const Write& a, const Write& b) { return a.end < b.end; });
  for (std::size_t i = 0; i < done.by_end.size(); ++i) {
    const std::size_t best = i == 0 ? 0 : done.latest.back();
    done.latest.push_back(done.by_end[i].invoke > done.by_end[best].invoke ? i : best);
  }
  return done;
}

/// What may leave a topic empty: clears, and values from their expiry on.
struct Emptied {
  std::uint64_t from;
  std::uint64_t end;  // of the write; the greatest of all up to here once prepared
};

std::vector<Emptied> emptied(const Register& r, const Model& model) {
  std::vector<Emptied> all = {{0, 0}};
  for (const Write& w : r.writes) {
    const std::uint32_t expiry = model.messages[w.message].expiry_s;
    if (w.empty) {
      all.push_back({w.invoke, w.end});
    } else if (expiry != kNone) {
      const std::uint64_t at = w.invoke + expiry * kSecond;
      all.push_back({at - std::min(at, model.options.eps_us), w.end});
    }
  }
  std::sort(all.begin(), all.end(),
            [](const Emptied& a, const Emptied& b) { return a.from < b.from; });
  for (std::size_t i = 1; i < all.size(); ++i) all[i].end = std::max(all[i].end, all[i - 1].end);
  return all;
}

class Registers {
 public:
  Registers(const Model& model, Report& report) : model_(model), report_(report) {}

  void check(const Register& r) {
    const Done done = done_writes(r);
    end_of_.clear();
    for (const Write& w : r.writes) end_of_[w.message] = w.end;
    const std::vector<Emptied> empty = emptied(r, model_);
    const std::uint64_t before = broken();
    for (const Read& read : r.reads) {
      const Write* newest = done.before(read.start);
      report_.judge(Invariant::kRetained);
      if (newest == nullptr) continue;
      if (newest->empty) report_.judge(Invariant::kNoGhost);
      if (read.message == kNone) {
        nothing(read, *newest, empty);
      } else {
        value(read, *newest);
      }
    }
    if (broken() == before && !r.expires) search(r);
  }

 private:
  void nothing(const Read& read, const Write& newest, const std::vector<Emptied>& empty) {
    const auto after = std::partition_point(
        empty.begin(), empty.end(), [&read](const Emptied& e) { return e.from <= read.end; });
    if (newest.invoke <= (after - 1)->end) return;
    report(Invariant::kRetained, "an acked retained message is gone", newest, read);
  }

  void value(const Read& read, const Write& newest) {
    const auto it = end_of_.find(read.message);
    if (it == end_of_.end() || newest.invoke <= it->second) return;
    if (newest.empty) {
      report(Invariant::kNoGhost, "a retained message is back after its clear", newest, read);
    } else {
      report(Invariant::kRetained, "an old retained message", newest, read);
    }
  }

  std::uint64_t broken() const {
    return report_.tally(Invariant::kRetained).violations +
           report_.tally(Invariant::kNoGhost).violations;
  }

  void search(const Register& r) {
    constexpr std::uint64_t kNothing = 0;
    std::vector<Operation> all;
    std::vector<std::uint32_t> events;  // that show the operation
    for (const Write& w : r.writes) {
      const std::uint64_t value = w.empty ? kNothing : w.message + 1;
      const Message& m = model_.messages[w.message];
      all.push_back({w.invoke, w.end == kForever ? kNoEnd : w.end, Action::kWrite, value, 0, true});
      events.push_back(m.first);
      // Sent twice at QoS 1 it may be done twice.
      if (m.qos != 1 || m.last_sent == m.first) continue;
      all.push_back({w.invoke, kNoEnd, Action::kWrite, value, 0, true});
      events.push_back(m.first);
    }
    for (const Read& read : r.reads) {
      const std::uint64_t value = read.message == kNone ? kNothing : read.message + 1;
      all.push_back({read.start, read.end, Action::kRead, value, 0, true});
      events.push_back(read.event);
    }
    const Verdict v = check_register(all, kNothing, model_.options.search_steps);
    if (v.answer == Linearizable::kGaveUp) report_.excuse(Invariant::kRetained, r.reads.size());
    if (v.answer != Linearizable::kNo) return;
    report_.violate(Invariant::kRetained, "no order of the writes explains the reads, up to here",
                    {events[v.stuck]});
  }

  void report(Invariant i, const char* what, const Write& newest, const Read& read) {
    const Message& m = model_.messages[newest.message];
    std::vector<std::uint32_t> events = {m.first, m.ack, read.sub, read.event};
    if (read.message != kNone) events.insert(events.begin(), model_.messages[read.message].first);
    report_.violate(i, what, std::move(events));
  }

  const Model& model_;
  Report& report_;
  std::unordered_map<std::uint32_t, std::uint64_t> end_of_;  // writes of the register at hand
};

}  // namespace

void check_retained(const Model& model, Report& report) {
  Registers registers(model, report);
  for (const Register& r : collect_registers(model, report)) registers.check(r);
}

}  // namespace skald::checker
