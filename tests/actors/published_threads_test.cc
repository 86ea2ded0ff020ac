// Published under threads, for ThreadSanitizer: without CAF, which it misjudges.
//
// Readers see versions that only go up, each whole, and whoever is told of a version sees it or a
// newer one.
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "actors/published.h"

namespace {

constexpr std::uint64_t kVersions = 20'000;
constexpr int kReaders = 3;

struct Snapshot {
  explicit Snapshot(std::uint64_t number) { numbers.fill(number); }
  std::array<std::uint64_t, 16> numbers;
};

struct World {
  skald::actors::Published<Snapshot> published;
  std::atomic<std::uint64_t> told{0};
  std::atomic<int> faults{0};
};

void watch(World& world) {
  std::uint64_t version = 0;
  std::shared_ptr<const Snapshot> current;
  std::uint64_t last = 0;
  while (last < kVersions) {
    const std::uint64_t told = world.told.load(std::memory_order_acquire);
    if (auto next = world.published.newer(version)) {
      current = std::move(next);
      for (const std::uint64_t number : current->numbers) {
        if (number != current->numbers[0]) ++world.faults;
      }
      if (current->numbers[0] < last) ++world.faults;
      last = current->numbers[0];
    }
    if (last < told) ++world.faults;  // told of it, and yet an older one
  }
  if (world.published.newer(version) != nullptr) ++world.faults;
}

}  // namespace

int main() {
  World world;
  std::uint64_t never = 0;
  if (world.published.newer(never) != nullptr) return 1;  // nothing yet
  std::vector<std::thread> readers;
  for (int i = 0; i < kReaders; ++i) readers.emplace_back(watch, std::ref(world));
  for (std::uint64_t number = 1; number <= kVersions; ++number) {
    world.published.publish(std::make_shared<const Snapshot>(number));
    world.told.store(number, std::memory_order_release);
  }
  for (std::thread& reader : readers) reader.join();
  if (world.faults == 0) return 0;
  std::fprintf(stderr, "%d faults\n", world.faults.load());
  return 1;
}
