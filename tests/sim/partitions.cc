#include "tests/sim/partitions.h"

namespace skald::sim {
namespace {

enum class Shape : std::uint8_t { kAlone, kDumb, kDeaf, kHalves, kBridge, kRing, kFlap };
constexpr std::uint64_t kShapes = 7;

void cut_for(Scheduler& scheduler, Network& network, Machine from, Machine to, Micros duration) {
  network.cut(from, to);
  scheduler.after(duration, [&network, from, to] { network.heal(from, to); });
}

void flap(Scheduler& scheduler, Network& network, Random random, Machine a, Machine b, int times) {
  if (times == 0 || a == b) return;
  const Micros duration = random.between(10, 300) * kMillisecond;
  cut_for(scheduler, network, a, b, duration);
  cut_for(scheduler, network, b, a, duration);
  scheduler.after(2 * duration, [&scheduler, &network, random, a, b, times] {
    flap(scheduler, network, random, a, b, times - 1);
  });
}

}  // namespace

void partition(Scheduler& scheduler, Network& network, Random& random, Machine machines) {
  const Micros duration = random.between(100, 6000) * kMillisecond;
  const auto one = static_cast<Machine>(random.between(1, machines));
  const auto other = static_cast<Machine>(random.between(1, machines));
  const auto shape = static_cast<Shape>(random.below(kShapes));
  if (shape == Shape::kFlap) {
    flap(scheduler, network, random.fork(), one, other, 10);
    return;
  }
  const std::uint64_t sides = random.next();
  const auto apart = [&](Machine a, Machine b) {
    const bool halves = ((sides >> a) & 1) != ((sides >> b) & 1);
    switch (shape) {
      case Shape::kAlone:
        return a == one || b == one;
      case Shape::kDumb:
        return a == one;
      case Shape::kDeaf:
        return b == one;
      case Shape::kHalves:
        return halves;
      case Shape::kBridge:
        return halves && a != one && b != one;
      default:
        return (a % machines) + 1 != b && (b % machines) + 1 != a;
    }
  };
  for (Machine a = 1; a <= machines; ++a) {
    for (Machine b = 1; b <= machines; ++b) {
      if (a != b && apart(a, b)) cut_for(scheduler, network, a, b, duration);
    }
  }
}

}  // namespace skald::sim
