// What the log's disk thread has done and holds, for metrics.
//
// Owned by the node; written by the disk thread and those who submit to it, read by the monitor.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace skald::actors {

struct LogFigures {
  /// Upper bounds of how long a synced write takes; one more bucket is for all that are longer.
  static constexpr std::array<std::uint32_t, 13> kBoundsUs = {
      500,     1'000,   2'000,   5'000,     10'000,    20'000,   50'000,
      100'000, 200'000, 500'000, 1'000'000, 2'000'000, 5'000'000};

  std::array<std::atomic<std::uint64_t>, kBoundsUs.size() + 1> syncs{};  // by how long they took
  std::atomic<std::uint64_t> sync_us{0};                                 // all together
  std::atomic<std::uint64_t> entries{0};
  std::atomic<std::uint64_t> bytes{0};  // written
  std::atomic<std::uint64_t> failures{0};
  std::atomic<std::uint64_t> waiting{0};       // submitted, not synced
  std::atomic<std::uint64_t> garbage{0};       // entries cut off and not deleted
  std::atomic<std::uint64_t> memory_bytes{0};  // memtable, or all of a log in memory
  std::atomic<std::uint64_t> disk_bytes{0};    // roughly

  void note_sync(std::uint64_t us) {
    std::size_t bucket = 0;
    while (bucket < kBoundsUs.size() && us > kBoundsUs[bucket]) ++bucket;
    syncs[bucket].fetch_add(1, std::memory_order_relaxed);
    sync_us.fetch_add(us, std::memory_order_relaxed);
  }
};

}  // namespace skald::actors
