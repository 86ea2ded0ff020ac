// Cases about lives (kv/meta): who holds one, and who ends it.
#include "kv/meta/end_life_driver.h"
#include "kv/meta/life_holder.h"
#include "kv/meta/life_watch.h"
#include "kv/meta/state_machine.h"
#include "tests/sim/cases.h"
#include "tests/sim/scheduler.h"

namespace skald::sim {
namespace {

using meta::LifeHolder;

/// One node with a slow clock, one leader of the meta range with a fast one, and the machine.
struct Holder {
  LifeHolder holder{NodeId{1}};
  meta::LifeWatch watch;
  meta::StateMachine machine;
  Micros now = kSecond;
  std::uint64_t index = 0;

  Micros slow() const { return now * 99 / 100; }
  Micros fast() const { return now * 101 / 100; }
  bool alive() const { return holder.state(slow()) == LifeHolder::State::kAlive; }

  meta::Reply apply(const meta::Command& command) {
    range::ApplyContext context;
    context.index = ++index;
    context.stamp_us = now;
    const auto applied = machine.apply(context, command);
    for (const auto& [scope, effect] : applied.effects) {
      if (const auto* seen = std::get_if<meta::LifeSeen>(&effect)) watch.on_seen(*seen, fast());
      if (const auto* ended = std::get_if<meta::EndIntent>(&effect)) watch.on_ended(ended->life);
    }
    return applied.reply;
  }

  /// Gets a life, the answer taking `delay`.
  Violation begin(Micros delay) {
    holder.begin(7, false);
    const auto request = holder.tick(slow());
    if (!request) return {"sanity", "nothing is asked for"};
    const meta::Reply reply = apply(request->command);
    now += delay;
    holder.on_reply(request->number, reply);
    return alive() ? Violation{} : Violation{"liveness", "no life is held"};
  }

  /// Waits for the watch to end the life. Nobody may hold it by then.
  Violation until_ended(meta::EndLife& end) {
    for (const Micros limit = now + 20 * kSecond; now < limit; now += kMillisecond) {
      const auto ends = watch.tick(fast());
      if (ends.empty()) continue;
      end = ends.front();
      if (alive()) return {"one live holder", "a life is ended under its holder"};
      return {};
    }
    return {"liveness", "a silent holder keeps its life"};
  }
};

}  // namespace

/// The holder is slow in every way: its answers come late, its clock lags, it pauses, its renewal
/// arrives just before the end does and just behind it.
Violation end_life_against_a_slow_holder() {
  for (const Micros delay : {Micros{0}, kSecond, 2 * kSecond}) {
    Holder world;
    if (const Violation wrong = world.begin(delay); !wrong.none()) return wrong;
    const Life first = world.holder.life();
    // A renewal is under way while the node pauses and the watch loses patience.
    world.now += 550 * kMillisecond;
    const auto renewal = world.holder.tick(world.slow());
    if (!renewal) return {"sanity", "it does not renew"};
    meta::EndLife end;
    if (const Violation wrong = world.until_ended(end); !wrong.none()) return wrong;
    // It is applied before the end, which is void then.
    const meta::Reply renewed = world.apply(renewal->command);
    if (world.apply(end).outcome != meta::Outcome::kRenewed || !world.machine.is_alive(first)) {
      return {"one live holder", "a life is ended in spite of its renewal"};
    }
    // The answer is so old that it says nothing about now.
    world.holder.on_reply(renewal->number, renewed);
    world.now += 3 * kSecond;
    if (world.alive()) return {"one live holder", "counted from the answer"};
    const auto late = world.holder.tick(world.slow());
    if (!late) return {"sanity", "it does not try again"};
    if (const Violation wrong = world.until_ended(end); !wrong.none()) return wrong;
    if (world.apply(end).outcome != meta::Outcome::kOk || world.machine.is_alive(first)) {
      return {"liveness", "the end is void"};
    }
    // Now the renewal comes behind the end.
    world.holder.on_reply(late->number, world.apply(late->command));
    if (world.holder.state(world.slow()) != LifeHolder::State::kEnded) {
      return {"one live holder", "nobody told the holder"};
    }
    if (world.machine.intents() != std::set<Life>{first}) return {"liveness", "no intent is left"};
    world.holder.begin(8, false);
    const auto again = world.holder.tick(world.slow());
    if (!again) return {"liveness", "no second life is asked for"};
    world.holder.on_reply(again->number, world.apply(again->command));
    if (!world.alive() || world.holder.life().number <= first.number) {
      return {"one live holder", "the second life is none"};
    }
  }
  return {};
}

}  // namespace skald::sim
