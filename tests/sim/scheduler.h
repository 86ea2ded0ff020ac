// Virtual time: a heap of (microsecond, sequence, event), run in that order in one thread.
//
// Everything in a simulated world happens in an event. Two events of one microsecond run in the
// order in which they were scheduled, so that a run depends on its seed alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "config/base/assert.h"

namespace skald::sim {

using Micros = std::uint64_t;

inline constexpr Micros kMillisecond = 1000;
inline constexpr Micros kSecond = 1000 * kMillisecond;

class Scheduler {
 public:
  using Action = std::function<void()>;

  Micros now() const { return now_; }
  std::uint64_t executed() const { return executed_; }

  void at(Micros time, Action action) {
    heap_.push_back({std::max(time, now_), next_sequence_++, std::move(action)});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  void after(Micros delay, Action action) { at(now_ + delay, std::move(action)); }

  /// Runs the next event if it is due by `end`. False if there is none: now() is `end` then.
  bool step(Micros end) {
    if (heap_.empty() || heap_.front().time > end) {
      now_ = std::max(now_, end);
      return false;
    }
    std::pop_heap(heap_.begin(), heap_.end(), later);
    Event event = std::move(heap_.back());
    heap_.pop_back();
    SKALD_ASSERT(event.time >= now_);
    now_ = event.time;
    ++executed_;
    event.action();
    return true;
  }

 private:
  struct Event {
    Micros time;
    std::uint64_t sequence;
    Action action;
  };

  static bool later(const Event& a, const Event& b) {
    return std::pair(a.time, a.sequence) > std::pair(b.time, b.sequence);
  }

  std::vector<Event> heap_;
  Micros now_ = 0;
  std::uint64_t next_sequence_ = 0;
  std::uint64_t executed_ = 0;
};

}  // namespace skald::sim
