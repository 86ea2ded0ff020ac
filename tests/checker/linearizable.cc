#include "tests/checker/linearizable.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "config/base/assert.h"
#include "config/base/random.h"

namespace skald::checker {
namespace {

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  bool operator==(const Hash128&) const = default;
  Hash128 operator^(const Hash128& o) const { return {low ^ o.low, high ^ o.high}; }
};

struct Hash128Hash {
  std::size_t operator()(const Hash128& h) const { return static_cast<std::size_t>(h.low); }
};

Hash128 hash(std::uint64_t a, std::uint64_t b) {
  Random low(a * 0x9e3779b97f4a7c15ULL ^ b);
  Random high(low.next() ^ (b + 0x2545f4914f6cdd1dULL));
  return {low.next() ^ high.next(), high.next()};
}

constexpr std::uint32_t kEnd = 0xffffffff;

/// A call or a return in the list of those not yet passed, in order of time.
struct Entry {
  std::uint32_t operation = kEnd;
  bool is_return = false;
  std::uint32_t next = kEnd;
  std::uint32_t previous = kEnd;
  std::uint32_t other = kEnd;  // the return of a call; kEnd: none
};

struct Step {
  std::uint32_t call;
  std::uint32_t state_before;
  bool forced;  // a read: taking it was no choice
  bool unseen_before;
};

bool unknown(const Operation& o) { return o.end == kNoEnd; }
bool failed_cas(const Operation& o) {
  return o.action == Action::kCas && !unknown(o) && !o.succeeded;
}

/// What of one value is still to come.
struct Value {
  std::uint32_t must_see = 0;   // reads and successful CAS that need the register to hold it
  std::uint32_t may_write = 0;  // operations that may make it so
};

class Search {
 public:
  Search(std::span<const Operation> operations, std::uint64_t initial, std::uint64_t max_steps)
      : operations_(operations), max_steps_(max_steps) {
    state_ = slot(initial);
    build_list();
  }

  Verdict run() {
    Verdict verdict;
    std::uint32_t at = entries_[0].next;
    while (returns_left_ > 0) {
      if (++verdict.steps > max_steps_) {
        verdict.answer = Linearizable::kGaveUp;
        return verdict;
      }
      // Past the last entry or at a return: nothing more can go first here.
      if (at == kEnd || entries_[at].is_return) {
        if (at != kEnd) remember_stuck(at, verdict);
        at = back();
        if (at == kEnd) {
          verdict.answer = Linearizable::kNo;
          return verdict;
        }
        continue;
      }
      at = try_call(at) ? entries_[0].next : entries_[at].next;
    }
    return verdict;
  }

 private:
  void build_list() {
    std::set<std::uint64_t> observed;
    bool any_failed_cas = false;
    for (const Operation& o : operations_) {
      SKALD_ASSERT(o.invoke <= o.end);
      if (o.action == Action::kRead) observed.insert(o.value);
      if (o.action == Action::kCas) observed.insert(o.expected);
      any_failed_cas = any_failed_cas || failed_cas(o);
    }
    std::vector<std::tuple<std::uint64_t, bool, std::uint32_t>> times;
    for (std::uint32_t i = 0; i < operations_.size(); ++i) {
      const Operation& o = operations_[i];
      if (unknown(o) && !any_failed_cas && !observed.contains(o.value)) continue;
      if (unknown(o) && o.action == Action::kRead) continue;
      times.emplace_back(o.invoke, false, i);
      if (!unknown(o)) times.emplace_back(o.end, true, i);
    }
    std::sort(times.begin(), times.end());
    entries_.resize(times.size() + 1);  // entry 0 is the head
    std::vector<std::uint32_t> calls(operations_.size(), kEnd);
    for (const Operation& o : operations_) {
      written_or_read_.push_back(slot(o.value));
      expected_.push_back(slot(o.expected));
    }
    for (const auto& [time, is_return, i] : times) {
      if (!is_return) count(i, 1);
    }
    for (std::uint32_t i = 0; i < times.size(); ++i) {
      Entry& e = entries_[i + 1];
      e.operation = std::get<2>(times[i]);
      e.is_return = std::get<1>(times[i]);
      e.previous = i;
      entries_[i].next = i + 1;
      if (e.is_return) {
        entries_[calls[e.operation]].other = i + 1;
        ++returns_left_;
      } else {
        calls[e.operation] = i + 1;
      }
    }
  }

  /// Takes the call as the next operation if the state allows and the result is not known to fail.
  bool try_call(std::uint32_t at) {
    const std::uint32_t i = entries_[at].operation;
    const Operation& o = operations_[i];
    std::uint32_t after = state_;
    if (!apply(i, &after)) return false;
    if (unknown(o) && (after == state_ || same_before(at))) return false;
    // An unknown operation that nobody sees at once may as well never have been.
    if (unseen_ && o.action == Action::kWrite) return false;
    if (after != state_ && leaves_too_early(i)) return false;
    const bool forced = o.action == Action::kRead || failed_cas(o);
    const Hash128 done = done_ ^ hash(i, 1);
    if (!memo_.insert(done ^ hash(after, unknown(o) ? 3 : 2)).second) return false;
    stack_.push_back({at, state_, forced, unseen_});
    unseen_ = unknown(o);
    state_ = after;
    done_ = done;
    count(i, -1);
    unlink(at);
    if (entries_[at].other != kEnd) {
      unlink(entries_[at].other);
      --returns_left_;
    }
    return true;
  }

  /// Somebody must still see the present value, and nobody could bring it back.
  bool leaves_too_early(std::uint32_t i) const {
    const Operation& o = operations_[i];
    const bool sees = o.action == Action::kCas && !unknown(o);
    const Value& v = values_[state_];
    return v.must_see > (sees ? 1U : 0U) && v.may_write == 0;
  }

  bool apply(std::uint32_t i, std::uint32_t* state) const {
    const Operation& o = operations_[i];
    switch (o.action) {
      case Action::kRead:
        return *state == written_or_read_[i];
      case Action::kWrite:
        *state = written_or_read_[i];
        return true;
      case Action::kCas:
        if (failed_cas(o)) return *state != expected_[i];
        if (*state != expected_[i]) return false;
        *state = written_or_read_[i];
        return true;
    }
    return false;
  }

  /// Adds the operation to what is to come (1), or takes it away (-1).
  void count(std::uint32_t i, int by) {
    const Operation& o = operations_[i];
    if (failed_cas(o)) return;
    const auto n = static_cast<std::uint32_t>(by);
    if (o.action == Action::kRead) {
      values_[written_or_read_[i]].must_see += n;
      return;
    }
    values_[written_or_read_[i]].may_write += n;
    if (o.action == Action::kCas && !unknown(o)) values_[expected_[i]].must_see += n;
  }

  std::uint32_t slot(std::uint64_t value) {
    const auto [it, fresh] = slots_.try_emplace(value, static_cast<std::uint32_t>(values_.size()));
    if (fresh) values_.emplace_back();
    return it->second;
  }

  /// An earlier unknown operation that does the same is still to be had.
  bool same_before(std::uint32_t at) const {
    const Operation& o = operations_[entries_[at].operation];
    for (std::uint32_t i = entries_[0].next; i != at; i = entries_[i].next) {
      const Operation& p = operations_[entries_[i].operation];
      if (unknown(p) && p.action == o.action && p.value == o.value &&
          (o.action != Action::kCas || p.expected == o.expected)) {
        return true;
      }
    }
    return false;
  }

  /// Undoes the last choice; the entry after it is the next to try. kEnd: there was none.
  std::uint32_t back() {
    while (!stack_.empty()) {
      const Step step = stack_.back();
      stack_.pop_back();
      const Entry& call = entries_[step.call];
      if (call.other != kEnd) {
        relink(call.other);
        ++returns_left_;
      }
      relink(step.call);
      state_ = step.state_before;
      unseen_ = step.unseen_before;
      done_ = done_ ^ hash(call.operation, 1);
      count(call.operation, 1);
      if (!step.forced) return call.next;
    }
    return kEnd;
  }

  void remember_stuck(std::uint32_t at, Verdict& verdict) const {
    const std::uint32_t operation = entries_[at].operation;
    if (verdict.steps == 1 || operations_[operation].end >= operations_[verdict.stuck].end ||
        unknown(operations_[verdict.stuck])) {
      verdict.stuck = operation;
    }
  }

  void unlink(std::uint32_t i) {
    entries_[entries_[i].previous].next = entries_[i].next;
    if (entries_[i].next != kEnd) entries_[entries_[i].next].previous = entries_[i].previous;
  }

  void relink(std::uint32_t i) {
    entries_[entries_[i].previous].next = i;
    if (entries_[i].next != kEnd) entries_[entries_[i].next].previous = i;
  }

  std::span<const Operation> operations_;
  std::uint64_t max_steps_;
  std::vector<Value> values_;  // by slot
  std::unordered_map<std::uint64_t, std::uint32_t> slots_;
  std::vector<std::uint32_t> written_or_read_;  // slots, by operation
  std::vector<std::uint32_t> expected_;
  std::uint32_t state_ = 0;  // slot
  std::vector<Entry> entries_;
  std::vector<Step> stack_;
  std::unordered_set<Hash128, Hash128Hash> memo_;
  Hash128 done_;
  bool unseen_ = false;  // the last operation taken was unknown, and must be seen by the next
  std::size_t returns_left_ = 0;
};

}  // namespace

Verdict check_register(std::span<const Operation> operations, std::uint64_t initial,
                       std::uint64_t max_steps) {
  return Search(operations, initial, max_steps).run();
}

KeyedVerdict check_registers(std::span<const KeyedOperation> operations, std::uint64_t initial,
                             std::uint64_t max_steps) {
  std::vector<std::size_t> order(operations.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [operations](std::size_t a, std::size_t b) {
    return operations[a].key < operations[b].key;
  });
  KeyedVerdict worst;
  for (std::size_t at = 0; at < order.size();) {
    const std::uint64_t key = operations[order[at]].key;
    const std::size_t first = at;
    std::vector<Operation> one;
    for (; at < order.size() && operations[order[at]].key == key; ++at) {
      one.push_back(operations[order[at]].operation);
    }
    Verdict v = check_register(one, initial, max_steps);
    if (v.answer == Linearizable::kYes) continue;
    v.stuck = order[first + v.stuck];
    if (v.answer == Linearizable::kNo) return {v, key};
    if (worst.verdict.answer == Linearizable::kYes) worst = {v, key};
  }
  return worst;
}

}  // namespace skald::checker
