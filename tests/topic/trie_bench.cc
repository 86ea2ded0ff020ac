// Memory and speed of the filter trie, of dist and of node routes at a million filters. Prints,
// judges nothing: figures belong to a machine. Run by `meson test --benchmark`.
#include <malloc.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "config/base/random.h"
#include "mqtt/dist/state_machine.h"
#include "mqtt/topic/filter_trie.h"

namespace skald {
namespace {

constexpr int kFilters = 1'000'000;

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::size_t heap_bytes() { return mallinfo2().uordblks; }

std::string filter_of(std::uint64_t i) { return "tenant-ish/dev/" + std::to_string(i) + "/state"; }

std::vector<std::string> shuffled(std::uint64_t first, std::uint64_t step) {
  std::vector<std::string> topics;
  for (std::uint64_t i = 0; i < kFilters; ++i) topics.push_back(filter_of(first + step * i));
  Random random(3);
  for (std::size_t i = topics.size(); i > 1; --i) {
    std::swap(topics[i - 1], topics[random.below(i)]);
  }
  return topics;
}

void match_all(const char* name, const topic::FilterTrie<std::uint64_t>& trie,
               const std::vector<std::string>& topics) {
  std::uint64_t found = 0;
  const Stopwatch watch;
  for (const std::string& topic : topics) {
    trie.match(topic, [&found](std::uint64_t) { ++found; });
  }
  std::printf("match %-28s %6.0f ns  (%.2f found)\n", name,
              watch.seconds() / static_cast<double>(topics.size()) * 1e9,
              static_cast<double>(found) / static_cast<double>(topics.size()));
}

void trie() {
  const std::vector<std::string> present = shuffled(0, 1);
  const std::vector<std::string> absent = shuffled(kFilters, 1);
  const std::size_t before = heap_bytes();
  topic::FilterTrie<std::uint64_t> trie(42);
  {
    const Stopwatch watch;
    for (const std::string& filter : present) trie.at_or_insert(filter) = 1;
    std::printf("insert                             %6.0f /s\n", kFilters / watch.seconds());
  }
  std::printf("memory                             %6.0f B/filter\n",
              static_cast<double>(heap_bytes() - before) / kFilters);
  match_all("hit, random order", trie, present);
  match_all("miss, random order", trie, absent);
  const std::vector<std::string> hot(kFilters, present[0]);
  match_all("hit, one topic", trie, hot);
  for (const char* filter : {"#", "tenant-ish/+/+/state", "+/dev/#", "+/+/+/+"}) {
    trie.at_or_insert(filter) = 1;
  }
  match_all("hit, 4 wildcards more", trie, present);
  {
    const Stopwatch watch;
    for (int i = 0; i < 100'000; ++i) {
      const topic::FilterTrie<std::uint64_t> snapshot = trie;
      trie.at_or_insert(present[static_cast<std::size_t>(i)]) = 2;
    }
    std::printf("change, a snapshot after each      %6.0f /s\n", 100'000 / watch.seconds());
  }
  const Stopwatch watch;
  for (const std::string& filter : present) trie.erase(filter);
  std::printf("erase                              %6.0f /s\n", kFilters / watch.seconds());
}

void dist_routes() {
  const std::size_t before = heap_bytes();
  dist::StateMachine machine(42);
  range::ApplyContext context;
  context.lane.life = {NodeId{1}, LifeNumber{1}};
  const Stopwatch watch;
  for (int i = 0; i < kFilters; i += 100) {
    dist::ChangeRoutes changes;
    for (int k = i; k < i + 100; ++k) {
      changes.changes.push_back({dist::RouteChange::Kind::add,
                                 {"tenant", filter_of(static_cast<std::uint64_t>(k)),
                                  dist::NodeReceiver{context.lane.life}}});
    }
    machine.apply(context, dist::Command{std::move(changes)});
  }
  std::printf("dist: add node routes              %6.0f /s\n", kFilters / watch.seconds());
  std::printf("dist: memory                       %6.0f B/route\n",
              static_cast<double>(heap_bytes() - before) / kFilters);
  const Stopwatch sweep;
  while (machine.apply(context, dist::Command{dist::EndLife{context.lane.life}}).reply.more) {
  }
  std::printf("dist: sweep an ended life          %6.0f /s\n", kFilters / sweep.seconds());
}

}  // namespace
}  // namespace skald

int main() {
  skald::trie();
  skald::dist_routes();
  return 0;
}
