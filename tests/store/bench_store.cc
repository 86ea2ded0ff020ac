// Figures of the storage engines on a real disk: bench_store [directory]
//
// Synced group commits by ranges and by batch size, forced flushes, bytes per entry, and a queue of
// 1,000,000 messages filled and drained through its stored head.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "config/base/coding.h"
#include "config/base/random.h"
#include "kv/store/data_directory.h"

namespace skald::store {
namespace {

namespace fs = std::filesystem;

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <class T>
T must(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    std::exit(1);
  }
  return std::move(*result);
}

void must(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.error().message.c_str());
  std::exit(1);
}

std::uint64_t disk_bytes(const std::string& path) {
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

std::string noise(Random& random, std::size_t bytes) {
  std::string s(bytes, '\0');
  for (char& c : s) c = static_cast<char>(random.below(256));
  return s;
}

/// Commits `per_range` entries to each of `ranges` ranges at a time, for two seconds.
void bench_log(LogStore& log, Random& random, std::uint64_t ranges, std::uint64_t per_range,
               std::uint64_t& next_range) {
  const std::uint64_t first = next_range;
  next_range += ranges;
  const std::string data = noise(random, 128);
  const LogCounters before = log.counters();
  std::uint64_t index = 0;
  const double start = now_s();
  double longest = 0;
  double last = start;
  while (last - start < 2) {
    WriteSet set;
    set.replicas.resize(ranges);
    for (std::uint64_t r = 0; r < ranges; ++r) {
      ReplicaWrite& write = set.replicas[r];
      write.who = {0, RangeId{first + r}, ReplicaId{1}};
      for (std::uint64_t i = 1; i <= per_range; ++i) {
        write.entries.push_back({index + i, 1, 0, data});
      }
      if (index > 1000) write.truncate_to = LogBase{index - 1000, 1};
    }
    index += per_range;
    must(log.append(set));
    const double t = now_s();
    longest = std::max(longest, t - last);
    last = t;
  }
  const LogCounters after = log.counters();
  const auto commits = static_cast<double>(after.commits - before.commits);
  const auto entries = static_cast<double>(after.entries - before.entries);
  const auto bytes = static_cast<double>(after.bytes - before.bytes);
  std::printf(
      "%6llu ranges x %4llu entries: %7.0f commits/s %9.0f entries/s, mean %6.0f us, longest "
      "%6.0f us, %4.0f bytes an entry of 128\n",
      static_cast<unsigned long long>(ranges), static_cast<unsigned long long>(per_range),
      commits / (last - start), entries / (last - start), (last - start) / commits * 1e6,
      longest * 1e6, bytes / entries);
}

void bench_flush(DataStore& data, Space space, Random& random) {
  for (const std::size_t mib : {0U, 1U, 4U, 16U}) {
    for (std::size_t i = 0; i < std::max<std::size_t>(1, mib * 1024); ++i) {
      DataBatch batch;
      batch.put(space, "flush/" + std::to_string(random.below(1000000)), noise(random, 1000));
      must(data.write(batch));
    }
    const double start = now_s();
    must(data.flush());
    std::printf("forced flush of %2zu MiB: %6.1f ms\n", mib, (now_s() - start) * 1e3);
  }
}

std::string message_key(std::uint64_t sequence) {
  std::string key = "queue/m";
  put_be64(key, sequence);
  return key;
}

void bench_queue(DataStore& data, Space space, Random& random, const std::string& path) {
  constexpr std::uint64_t kMessages = 1'000'000;
  constexpr std::uint64_t kBatch = 100;
  const std::string payload = noise(random, 100);
  double start = now_s();
  for (std::uint64_t i = 0; i < kMessages; i += kBatch) {
    DataBatch batch;
    for (std::uint64_t j = i; j < i + kBatch; ++j) batch.put(space, message_key(j), payload);
    batch.put(space, "queue/h", "0");
    must(data.write(batch));
  }
  must(data.flush());
  std::printf("queue: filled at %.0f messages/s, %.0f MB on disk\n", kMessages / (now_s() - start),
              static_cast<double>(disk_bytes(path)) / 1e6);
  const Extents extents = {{{}, space}};
  double first = 0;
  double rate = 0;
  std::uint64_t head = 0;
  for (int tenth = 0; tenth < 10; ++tenth) {
    start = now_s();
    for (std::uint64_t n = 0; n < kMessages / 10; n += kBatch) {
      // The head is stored: the cursor starts at a live key, not in front of deleted ones.
      DataCursor at = must(data.iterate(extents));
      DataBatch batch;
      at.seek(message_key(head));
      for (std::uint64_t j = 0; j < kBatch; ++j, ++head, at.next()) {
        if (!at.valid() || at.key() != message_key(head)) must(Status(Error{"message lost"}));
        batch.erase(space, message_key(head));
      }
      batch.put(space, "queue/h", std::to_string(head));
      must(data.write(batch));
    }
    must(data.flush());
    rate = kMessages / 10 / (now_s() - start);
    if (tenth == 0) first = rate;
    std::printf("queue: tenth %2d drained at %8.0f messages/s\n", tenth + 1, rate);
  }
  std::printf("queue: last tenth / first = %.2f; %.0f MB on disk", rate / first,
              static_cast<double>(disk_bytes(path)) / 1e6);
  start = now_s();
  must(data.compact(space, {}));
  std::printf(", %.1f MB after compaction (%.0f ms)\n", static_cast<double>(disk_bytes(path)) / 1e6,
              (now_s() - start) * 1e3);
}

void run(const std::string& path) {
  PosixFileSystem files;
  Random random(1);
  auto directory = must(DataDirectory::open(files, path, NodeId{1}));
  {
    auto log = must(directory->open_log({}));
    std::uint64_t next_range = 1;
    for (const std::uint64_t ranges : {1, 10, 500}) bench_log(*log, random, ranges, 1, next_range);
    for (const std::uint64_t n : {16, 64, 256, 1024}) bench_log(*log, random, 1, n, next_range);
    std::printf("log: %.0f MB on disk\n", static_cast<double>(disk_bytes(path)) / 1e6);
    const double start = now_s();
    must(log->reopen());
    std::printf("log: reopened in %.0f ms\n", (now_s() - start) * 1e3);
  }
  auto data = must(directory->open_store("bench", {}));
  const Space space = data->allocate_space();
  bench_flush(*data, space, random);
  bench_queue(*data, data->allocate_space(), random, path + "/stores");
}

}  // namespace
}  // namespace skald::store

int main(int argc, char** argv) {
  const std::string path = argc > 1 ? argv[1] : "bench_store.data";
  std::filesystem::remove_all(path);
  skald::store::run(path);
  std::filesystem::remove_all(path);
}
