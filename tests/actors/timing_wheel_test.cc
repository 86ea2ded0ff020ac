// The timing wheel against a list of deadlines.
#include "actors/loop/timing_wheel.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <memory>
#include <vector>

#include "config/base/random.h"

namespace skald::actors {
namespace {

constexpr std::uint64_t kTick = TimingWheel::kTickMs;
constexpr std::uint64_t kTurn = kTick * TimingWheel::kSlots;

BOOST_AUTO_TEST_SUITE(timing_wheel)

BOOST_AUTO_TEST_CASE(fires_with_the_tick_at_or_after_the_deadline) {
  const std::uint64_t deadlines[] = {0,     999,  1000,         1001,         1099,
                                     1100,  1101, 50'000,       1000 + kTurn, 1001 + kTurn,
                                     99999, 6000, 3 * kTurn + 7};
  for (const std::uint64_t deadline : deadlines) {
    TimingWheel wheel(1000);
    TimingWheel::Timer timer;
    wheel.add(timer, deadline);
    // Never before its deadline, never in the tick in which it was added, a tick late at most.
    const std::uint64_t expected = std::max((deadline + kTick - 1) / kTick * kTick, 1000 + kTick);
    std::uint64_t fired = 0;
    for (std::uint64_t now = 1000; fired == 0; now += 50) {
      wheel.advance(now, [&](TimingWheel::Timer& due) {
        BOOST_TEST(&due == &timer);
        BOOST_TEST(!due.armed());
        fired = now;
      });
      BOOST_REQUIRE_LE(now, expected);
    }
    BOOST_TEST(fired == expected);
  }
}

BOOST_AUTO_TEST_CASE(removed_and_rearmed) {
  TimingWheel wheel(0);
  TimingWheel::Timer timer;
  TimingWheel::remove(timer);  // harmless
  wheel.add(timer, 500);
  wheel.add(timer, 900);  // the later word counts
  int fired = 0;
  const auto count = [&](TimingWheel::Timer&) { ++fired; };
  wheel.advance(800, count);
  BOOST_TEST(fired == 0);
  wheel.advance(900, count);
  BOOST_TEST(fired == 1);
  wheel.add(timer, 1000);
  TimingWheel::remove(timer);
  TimingWheel::remove(timer);
  wheel.advance(1'000'000, count);
  BOOST_TEST(fired == 1);
}

/// What fire() does to other timers, those of the same slot above all.
BOOST_AUTO_TEST_CASE(fire_may_change_everything) {
  TimingWheel wheel(0);
  TimingWheel::Timer timers[5];
  for (auto& timer : timers) wheel.add(timer, 100);
  int fired = 0;
  wheel.advance(100, [&](TimingWheel::Timer& timer) {
    ++fired;
    BOOST_TEST(&timer == &timers[0]);
    for (int i = 1; i < 4; ++i) TimingWheel::remove(timers[i]);
    wheel.add(timers[4], 150 + kTurn);  // the same slot, a turn later
    wheel.add(timer, 0);                // at the next tick, not now
  });
  BOOST_TEST(fired == 1);
  std::vector<TimingWheel::Timer*> order;
  wheel.advance(200, [&](TimingWheel::Timer& timer) { order.push_back(&timer); });
  BOOST_TEST(order.size() == 1U);
  wheel.advance(10 * kTurn, [&](TimingWheel::Timer& timer) { order.push_back(&timer); });
  BOOST_TEST(order.size() == 2U);
  BOOST_TEST(order.back() == &timers[4]);
}

/// Jumps, pauses of many turns, timers added, moved and destroyed from within fire().
BOOST_AUTO_TEST_CASE(random_against_list) {
  struct Timed : TimingWheel::Timer {
    std::uint64_t deadline = 0;
    std::uint64_t not_before = 0;  // the tick after the one in which it was added
    bool armed_in_model = false;
  };
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      std::uint64_t now = random.below(100'000);
      TimingWheel wheel(now);
      std::vector<std::unique_ptr<Timed>> timers;
      for (int i = 0; i < 40; ++i) timers.push_back(std::make_unique<Timed>());
      std::uint64_t served = now / kTick;  // the tick that has been served
      const auto arm = [&](Timed& timer, bool firing) {
        const std::uint64_t span = random.one_in(3) ? 3 * kTurn : 3000;
        timer.deadline = now + random.below(span);
        if (firing) timer.deadline += kTick;  // else it may fire again in this very call
        if (random.one_in(10) && !firing) timer.deadline = random.below(now + 1);
        timer.not_before = served + 1;
        timer.armed_in_model = true;
        wheel.add(timer, timer.deadline);
      };
      const auto disarm = [&](Timed& timer) {
        TimingWheel::remove(timer);
        timer.armed_in_model = false;
      };
      for (int step = 0; step < 300; ++step) {
        for (int i = 0; i < 3; ++i) {
          Timed& timer = *timers[random.below(timers.size())];
          random.one_in(4) ? disarm(timer) : arm(timer, false);
        }
        now += random.one_in(15) ? random.below(4 * kTurn) : random.below(400);
        const std::uint64_t target = now / kTick;
        wheel.advance(now, [&](TimingWheel::Timer& base) {
          Timed& timer = static_cast<Timed&>(base);
          BOOST_REQUIRE(timer.armed_in_model);
          BOOST_REQUIRE_LE(timer.deadline, now);
          timer.armed_in_model = false;
          served = target;
          const std::size_t other = random.below(timers.size());
          if (random.one_in(5)) arm(timer, true);
          if (random.one_in(5)) arm(*timers[other], true);
          if (random.one_in(5)) disarm(*timers[other]);
          if (random.one_in(9) && timers[other].get() != &timer) {
            disarm(*timers[other]);
            timers[other] = std::make_unique<Timed>();
          }
        });
        served = target;
        for (const auto& timer : timers) {
          BOOST_REQUIRE_EQUAL(timer->armed(), timer->armed_in_model);
          if (!timer->armed()) continue;
          const std::uint64_t due =
              std::max((timer->deadline + kTick - 1) / kTick, timer->not_before);
          BOOST_REQUIRE_GT(due, target);
        }
      }
      for (const auto& timer : timers) disarm(*timer);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::actors
