// A timing wheel: many coarse timers on one loop, each a list node embedded in what it times.
//
// Adding and removing is O(1) and allocates nothing. A timer fires at the first advance() at or
// after its deadline, never before. Timers further away than one turn wait through further turns.
// Time is given in; single threaded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "config/base/assert.h"

namespace skald::actors {

class TimingWheel {
 public:
  /// Embed one in the timed object. Must be removed, or have fired, before it is destroyed.
  struct Timer {
    Timer* next = nullptr;
    Timer* previous = nullptr;
    std::uint64_t deadline_ms = 0;

    bool armed() const { return next != nullptr; }
  };

  static constexpr std::uint64_t kTickMs = 100;
  static constexpr std::size_t kSlots = 512;

  explicit TimingWheel(std::uint64_t now_ms) : tick_(now_ms / kTickMs) {
    for (Timer& head : slots_) head.next = head.previous = &head;
  }
  TimingWheel(const TimingWheel&) = delete;
  TimingWheel& operator=(const TimingWheel&) = delete;

  /// Arms or re-arms.
  void add(Timer& timer, std::uint64_t deadline_ms) {
    remove(timer);
    timer.deadline_ms = deadline_ms;
    // The tick that begins at or after the deadline, and not one already behind us.
    const std::uint64_t due = (deadline_ms + kTickMs - 1) / kTickMs;
    insert(timer, due > tick_ ? due : tick_ + 1);
  }

  static void remove(Timer& timer) {
    if (!timer.armed()) return;
    timer.previous->next = timer.next;
    timer.next->previous = timer.previous;
    timer.next = timer.previous = nullptr;
  }

  /// Calls fire(Timer&) for every timer that is due; it may add and remove any timer.
  template <class F>
  void advance(std::uint64_t now_ms, F&& fire) {
    const std::uint64_t target = now_ms / kTickMs;
    // After a long pause one turn visits every timer.
    if (target > tick_ + kSlots) tick_ = target - kSlots;
    while (tick_ < target) {
      ++tick_;
      Timer& head = slots_[tick_ % kSlots];
      Timer due;  // detached first: fire() may add to this very slot
      due.next = due.previous = &due;
      splice(head, due);
      while (due.next != &due) {
        Timer& timer = *due.next;
        remove(timer);
        if (timer.deadline_ms > now_ms) {
          insert(timer, (timer.deadline_ms + kTickMs - 1) / kTickMs);  // a later turn
        } else {
          fire(timer);
        }
      }
      due.next = due.previous = nullptr;
    }
  }

 private:
  void insert(Timer& timer, std::uint64_t tick) {
    Timer& head = slots_[tick % kSlots];
    timer.previous = head.previous;
    timer.next = &head;
    head.previous->next = &timer;
    head.previous = &timer;
  }

  static void splice(Timer& from, Timer& to) {
    if (from.next == &from) return;
    to.next = from.next;
    to.previous = from.previous;
    to.next->previous = &to;
    to.previous->next = &to;
    from.next = from.previous = &from;
  }

  std::array<Timer, kSlots> slots_;
  std::uint64_t tick_;  // all slots up to and including this one have been served
};

}  // namespace skald::actors
