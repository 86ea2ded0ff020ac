// One writer that changes and publishes, readers that match old snapshots on other threads: nothing
// is lost, torn or freed too early. Made for ThreadSanitizer and AddressSanitizer; links nothing
// else.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "config/base/random.h"
#include "mqtt/topic/tenant_tries.h"

namespace skald::topic {
namespace {

constexpr std::uint64_t kSteps = 60'000;
constexpr std::uint64_t kFilters = 300;

using Tries = TenantTries<std::uint64_t>;

/// What a snapshot must hold: filter i has the value of the last step that wrote it.
struct Published {
  Tries tries;
  std::vector<std::uint64_t> values;  // by filter; 0: absent
};

std::string filter_of(std::uint64_t i) { return "a/" + std::to_string(i) + "/+"; }

class Board {
 public:
  void publish(std::shared_ptr<const Published> next) {
    const std::lock_guard lock(mutex_);
    current_ = std::move(next);
  }
  std::shared_ptr<const Published> take() {
    const std::lock_guard lock(mutex_);
    return current_;
  }

 private:
  std::mutex mutex_;
  std::shared_ptr<const Published> current_;
};

bool check(const Published& published, std::uint64_t i) {
  std::uint64_t sum = 0;
  published.tries.match("t", "a/" + std::to_string(i) + "/x",
                        [&sum](std::uint64_t value) { sum += value; });
  return sum == published.values[i];
}

/// Copies and drops handles of its own too, so that counts move on both sides.
void read(Board& board, std::uint64_t seed, std::atomic<bool>& stop, std::atomic<int>& wrong) {
  Random random(seed);
  std::vector<Published> kept;
  while (!stop.load()) {
    const std::shared_ptr<const Published> now = board.take();
    if (!check(*now, random.below(kFilters))) ++wrong;
    if (random.one_in(4)) kept.push_back(*now);
    if (!kept.empty()) {
      const Published& old = kept[random.below(kept.size())];
      if (!check(old, random.below(kFilters))) ++wrong;
    }
    if (kept.size() > 10) kept.erase(kept.begin(), kept.begin() + 5);
  }
}

int run() {
  Board board;
  Published state{Tries(7), std::vector<std::uint64_t>(kFilters)};
  board.publish(std::make_shared<const Published>(state));
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    readers.emplace_back([&board, seed, &stop, &wrong] { read(board, seed, stop, wrong); });
  }
  Random random(1);
  for (std::uint64_t step = 1; step <= kSteps; ++step) {
    const std::uint64_t i = random.below(kFilters);
    if (random.one_in(3)) {
      state.tries.erase("t", filter_of(i));
      state.values[i] = 0;
    } else {
      state.tries.change("t", filter_of(i)) = step;
      state.values[i] = step;
    }
    if (random.one_in(3)) board.publish(std::make_shared<const Published>(state));
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  if (wrong != 0) std::fprintf(stderr, "%d wrong matches\n", wrong.load());
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace skald::topic

int main() { return skald::topic::run(); }
