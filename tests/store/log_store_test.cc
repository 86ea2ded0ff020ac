// The log store on LevelDB: equal to its twin, and whole after a crash at every call.
#include <boost/test/unit_test.hpp>
#include <memory>
#include <thread>

#include "config/base/assert.h"
#include "kv/store/disk_log_store.h"
#include "kv/store/memory_log_store.h"
#include "tests/store/fault_file_system.h"
#include "tests/store/log_workload.h"

namespace skald::store {
namespace {

constexpr std::uint64_t kAll = ~std::uint64_t{0};

DiskLogOptions small_log() {
  return {.path = "/data",
          .write_buffer_bytes = 64 << 10,  // the least LevelDB takes
          .note_every = 8,
          .deletes_per_commit = 3,
          .hold_background = true};
}

std::unique_ptr<LogStore> must_open(FaultFileSystem& files, const DiskLogOptions& options) {
  Result<std::unique_ptr<LogStore>> log = open_disk_log(files, options);
  BOOST_REQUIRE_MESSAGE(log.ok(), (log.ok() ? "" : log.error().message));
  return std::move(*log);
}

LogDump must_dump(LogStore& log) {
  Result<LogDump> d = dump(log);
  BOOST_REQUIRE_MESSAGE(d.ok(), (d.ok() ? "" : d.error().message));
  return *d;
}

/// Runs `steps` group commits; crashes at call `crash_at` if that is reached. Checks the state
/// after the restart. Returns the calls made.
std::uint64_t run_with_crash(std::uint64_t seed, std::uint64_t crash_at, int steps) {
  FaultFileSystem files(seed * 1000003 + crash_at);
  files.crash_at(crash_at);
  LogWorkload workload(seed, 4000);
  MemoryLogStore acked;
  MemoryLogStore in_doubt;
  const auto run = [&](int n) {
    Result<std::unique_ptr<LogStore>> log = open_disk_log(files, small_log());
    for (; log.ok() && n > 0; --n) {
      const WriteSet set = workload.next(*acked.recover());
      in_doubt = acked;
      BOOST_REQUIRE(in_doubt.append(set).ok());
      if (!(*log)->append(set).ok()) return;
      acked = in_doubt;
    }
    if (log.ok()) BOOST_TEST((must_dump(**log) == must_dump(acked)));
  };
  run(steps);
  const std::uint64_t calls = files.calls();
  const bool crashed = files.crashed();
  files.crash_now();
  files.restart();
  {
    const std::unique_ptr<LogStore> log = must_open(files, small_log());
    const LogDump now = must_dump(*log);
    const bool lost = now != must_dump(acked);
    BOOST_TEST((!lost || now == must_dump(in_doubt)),
               "seed " << seed << ", crash at call " << crash_at);
    if (lost) acked = in_doubt;
    BOOST_TEST((crashed || !lost));
  }
  run(3);
  return calls;
}

BOOST_AUTO_TEST_CASE(log_equals_its_twin) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    FaultFileSystem files(seed);
    files.short_reads(seed % 2 == 0);
    std::unique_ptr<LogStore> log = must_open(files, small_log());
    LogWorkload workload(seed, seed % 3 == 0 ? 9000 : 300);
    MemoryLogStore twin;
    Random random(seed);
    for (int step = 0; step < 250; ++step) {
      const WriteSet set = workload.next(*twin.recover());
      BOOST_REQUIRE(log->append(set).ok());
      BOOST_REQUIRE(twin.append(set).ok());
      if (random.one_in(20)) BOOST_REQUIRE(log->collect_garbage(random.below(50)).ok());
      if (random.one_in(50)) BOOST_REQUIRE(log->reopen().ok());
      if (random.one_in(50)) BOOST_REQUIRE(log->note_idle().ok());
      const LogContents contents = *twin.recover();
      if (contents.replicas.empty()) continue;
      const auto& [who, replica] = contents.replicas[random.below(contents.replicas.size())];
      const std::uint64_t from = random.between(replica.base.index, replica.last_index + 2);
      const std::uint64_t to = from + random.below(10);
      const std::uint64_t bytes = random.below(2000);
      BOOST_TEST((*log->entries(who, from, to, bytes + (1 << 20)) ==
                  *twin.entries(who, from, to, bytes + (1 << 20))));
      if (step % 10 == 0) BOOST_REQUIRE((must_dump(*log) == must_dump(twin)));
    }
    while (log->counters().garbage_entries > 0) BOOST_REQUIRE(log->collect_garbage(100).ok());
    BOOST_REQUIRE(log->reopen().ok());
    BOOST_TEST((must_dump(*log) == must_dump(twin)));
    BOOST_TEST(log->counters().garbage_entries == 0);
  }
}

BOOST_AUTO_TEST_CASE(log_crashed_at_every_call) {
  std::uint64_t runs = 0;
  for (const std::uint64_t seed : {1, 2, 3}) {
    const std::uint64_t calls = run_with_crash(seed, 0, 40);
    for (std::uint64_t at = 1; at <= calls; ++at) {
      run_with_crash(seed, at, 40);
      ++runs;
    }
  }
  BOOST_TEST_MESSAGE("log store: crashed at " << runs << " calls");
  BOOST_TEST(runs > 300);
}

BOOST_AUTO_TEST_CASE(entries_start_where_asked_and_stop_at_the_bytes) {
  FaultFileSystem files(1);
  const std::unique_ptr<LogStore> log = must_open(files, small_log());
  const ReplicaKey who{1, RangeId{7}, ReplicaId{1}};
  WriteSet set;
  set.replicas.push_back({.who = who,
                          .restart_at = {},
                          .entries = {},
                          .truncate_to = {},
                          .hard_state = {},
                          .meta = {}});
  for (std::uint64_t i = 1; i <= 20; ++i) {
    set.replicas[0].entries.push_back({i, 1, 0, std::string(100, 'x')});
  }
  BOOST_REQUIRE(log->append(set).ok());
  BOOST_TEST(log->entries(who, 5, 21, 1)->size() == 1);
  BOOST_TEST(log->entries(who, 5, 21, 350)->size() == 3);
  BOOST_TEST(log->entries(who, 5, 21, kAll)->size() == 16);
  BOOST_TEST(log->entries(who, 5, 21, kAll)->front().index == 5);
  BOOST_TEST(log->entries(who, 21, 22, kAll)->empty());
  BOOST_TEST(log->entries({1, RangeId{7}, ReplicaId{2}}, 1, 2, kAll)->empty());
}

BOOST_AUTO_TEST_CASE(a_failed_write_poisons_until_reopened) {
  // LevelDB alone would go on after a failed append, and drop at recovery what it acked after it.
  for (std::uint64_t call = 1; call <= 3; ++call) {
    for (const int code : {28 /* ENOSPC */, 5 /* EIO */}) {
      FaultFileSystem files(call);
      const std::unique_ptr<LogStore> log = must_open(files, small_log());
      const ReplicaKey who{0, RangeId{1}, ReplicaId{1}};
      WriteSet set;
      set.replicas.resize(1);
      set.replicas[0].who = who;
      set.replicas[0].entries = {{1, 1, 0, "acked"}};
      BOOST_REQUIRE(log->append(set).ok());
      files.fail_at(files.calls() + call, code);
      set.replicas[0].entries = {{2, 1, 0, std::string(200000, 'x')}};
      const Status failed = log->append(set);
      BOOST_REQUIRE(!failed.ok());
      set.replicas[0].entries = {{2, 1, 0, "later"}};
      BOOST_TEST(log->append(set).error().message == failed.error().message);
      BOOST_TEST(log->entries(who, 1, 2, kAll).error().message == failed.error().message);
      BOOST_TEST(log->recover().error().message == failed.error().message);
      BOOST_TEST(log->note_idle().error().message == failed.error().message);
      BOOST_REQUIRE(log->reopen().ok());
      BOOST_TEST((*log->entries(who, 1, 2, kAll))[0].data == "acked");
      const std::uint64_t last = log->recover()->replicas[0].second.last_index;
      set.replicas[0].entries = {{last + 1, 1, 0, "later"}};
      BOOST_REQUIRE(log->append(set).ok());
      BOOST_REQUIRE(log->reopen().ok());
      BOOST_TEST((*log->entries(who, last + 1, last + 2, kAll))[0].data == "later");
    }
  }
}

BOOST_AUTO_TEST_CASE(readers_beside_the_writer_see_no_gap) {
  FaultFileSystem files(1);
  DiskLogOptions options = small_log();
  options.hold_background = false;
  const std::unique_ptr<LogStore> log = must_open(files, options);
  std::thread writer([&log] {
    LogWorkload workload(5, 200);
    MemoryLogStore twin;
    for (int i = 0; i < 1500; ++i) {
      WriteSet set = workload.next(*twin.recover());
      for (ReplicaWrite& write : set.replicas) write.remove = false;
      // Not Boost's checks: they belong to the main thread.
      SKALD_ASSERT(twin.append(set).ok());
      SKALD_ASSERT(log->append(set).ok());
    }
  });
  for (int i = 0; i < 1500; ++i) {
    const Result<LogContents> contents = log->recover();
    BOOST_REQUIRE(contents.ok());
    for (const auto& [key, replica] : contents->replicas) {
      const auto entries = log->entries(key, replica.base.index + 1, replica.last_index + 1, kAll);
      BOOST_REQUIRE_MESSAGE(entries.ok(), (entries.ok() ? "" : entries.error().message));
    }
  }
  writer.join();
}

// A start with enough small tables compacts at once: what it is writing is no damaged table.
BOOST_AUTO_TEST_CASE(a_compaction_that_begins_with_the_start_is_no_damage) {
  FaultFileSystem files(1);
  DiskLogOptions options = small_log();
  options.hold_background = false;
  LogWorkload workload(9, 4000);
  MemoryLogStore twin;
  for (int start = 0; start < 40; ++start) {
    const std::unique_ptr<LogStore> log = must_open(files, options);
    for (int i = 0; i < 20; ++i) {
      WriteSet set = workload.next(*twin.recover());
      for (ReplicaWrite& write : set.replicas) {
        for (auto& entry : write.entries) entry.data = std::string(30000, 'x');
      }
      BOOST_REQUIRE(twin.append(set).ok());
      BOOST_REQUIRE(log->append(set).ok());
    }
  }
}

}  // namespace
}  // namespace skald::store
