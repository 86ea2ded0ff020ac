// The data store: LevelDB equal to the memory twin, a flushed state after a crash at every call,
// snapshots, garbage, split keys.
#include "kv/store/data_store.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <memory>

#include "kv/store/disk_engine.h"
#include "kv/store/memory_engine.h"
#include "tests/store/data_workload.h"
#include "tests/store/fault_file_system.h"

namespace skald::store {
namespace {

DiskEngineOptions small_engine() {
  return {.path = "/data", .write_buffer_bytes = 64 << 10, .hold_background = true};
}

Result<std::unique_ptr<DataStore>> open_disk(FaultFileSystem& files) {
  Result<std::unique_ptr<Engine>> engine = open_disk_engine(files, small_engine());
  if (!engine) return engine.error();
  return DataStore::open(std::move(*engine));
}

template <class T>
T must(Result<T> result) {
  BOOST_REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().message));
  return std::move(*result);
}

std::unique_ptr<DataStore> twin_store() {
  return must(DataStore::open(std::make_unique<MemoryEngine>()));
}

/// Both stores of a parametrised case.
std::vector<std::unique_ptr<DataStore>> both(FaultFileSystem& files) {
  std::vector<std::unique_ptr<DataStore>> stores;
  stores.push_back(must(open_disk(files)));
  stores.push_back(twin_store());
  return stores;
}

/// Range 1 over all keys, in spaces 16 and 17.
ReplicaRecord one_range(DataStore& store) {
  const Space space = store.allocate_space();
  return {.range = RangeId{1},
          .replica = ReplicaId{1},
          .local_space = store.allocate_space(),
          .extents = {{{}, space}},
          .config = "c"};
}

/// Runs until the crash at call `crash_at`, or `steps`; checks what is there after the restart.
std::uint64_t run_with_crash(std::uint64_t seed, std::uint64_t crash_at, int steps) {
  FaultFileSystem files(seed * 1000003 + crash_at);
  files.crash_at(crash_at);
  DataWorkload workload(seed, 3000);
  const std::unique_ptr<DataStore> twin = twin_store();
  std::vector<std::string> states = {""};
  std::size_t flushed = 0;
  {
    Result<std::unique_ptr<DataStore>> store = open_disk(files);
    for (int i = 0; store.ok() && i < steps; ++i) {
      const DataStep step = workload.next(*twin);
      BOOST_REQUIRE(perform(*twin, step).ok());
      states.push_back(must(dump(*twin)));
      const Status done = perform(**store, step);
      if (!done) break;
      if (step.kind != DataStep::Kind::kFlush) continue;
      flushed = states.size() - 1;
      for (const ReplicaRecord& r : (*store)->replicas()) {
        BOOST_TEST((*store)->flushed(r.range).value().index ==
                   (*store)->applied(r.range).value().index);
      }
    }
  }
  const std::uint64_t calls = files.calls();
  files.crash_now();
  files.restart();
  const std::unique_ptr<DataStore> store = must(open_disk(files));
  const std::string now = must(dump(*store));
  BOOST_TEST((std::find(states.begin() + static_cast<std::ptrdiff_t>(flushed), states.end(), now) !=
              states.end()),
             "seed " << seed << ", crash at call " << crash_at << ": not a state since the flush");
  while (must(store->collect_garbage(7)).more) {
  }
  BOOST_TEST(must(dump(*store)) == now);
  BOOST_TEST(count_leaked(*store) == 0);
  return calls;
}

BOOST_AUTO_TEST_CASE(data_equals_its_twin) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    FaultFileSystem files(seed);
    files.short_reads(seed % 2 == 0);
    const auto stores = both(files);
    DataWorkload workload(seed, seed % 3 == 0 ? 3000 : 100);
    for (int i = 0; i < 400; ++i) {
      const DataStep step = workload.next(*stores[1]);
      for (const auto& store : stores) BOOST_REQUIRE(perform(*store, step).ok());
      if (i % 100 == 99) {
        for (const auto& store : stores) {
          BOOST_REQUIRE(store->flush().ok());
          BOOST_REQUIRE(store->reopen().ok());
        }
      }
      if (i % 10 == 0) BOOST_REQUIRE(must(dump(*stores[0])) == must(dump(*stores[1])));
      const auto replicas = stores[0]->replicas();
      BOOST_REQUIRE((replicas == stores[1]->replicas()));
      const ReplicaRecord& r = replicas[static_cast<std::size_t>(i) % replicas.size()];
      BOOST_TEST((stores[0]->flushed(r.range) == stores[1]->flushed(r.range)));
      BOOST_TEST((must(stores[0]->get(r.extents[0].space, "ab")) ==
                  must(stores[1]->get(r.extents[0].space, "ab"))));
      BOOST_TEST((must(stores[0]->split_key(r.extents)) == must(stores[1]->split_key(r.extents))));
    }
    for (const auto& store : stores) {
      while (must(store->collect_garbage(7)).more) {
      }
      BOOST_TEST(count_leaked(*store) == 0);
    }
  }
}

BOOST_AUTO_TEST_CASE(data_crashed_at_every_call) {
  std::uint64_t runs = 0;
  for (const std::uint64_t seed : {1, 2, 3}) {
    const std::uint64_t calls = run_with_crash(seed, 0, 120);
    for (std::uint64_t at = 1; at <= calls; ++at) {
      run_with_crash(seed, at, 120);
      ++runs;
    }
  }
  BOOST_TEST_MESSAGE("data store: crashed at " << runs << " calls");
  BOOST_TEST(runs > 300);
}

BOOST_AUTO_TEST_CASE(a_memory_crash_leaves_some_state_since_the_flush) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    auto owned = std::make_unique<MemoryEngine>();
    MemoryEngine& engine = *owned;
    const std::unique_ptr<DataStore> store = must(DataStore::open(std::move(owned)));
    DataWorkload workload(seed, 20);
    std::vector<std::string> states = {""};
    for (std::uint64_t i = 0; i < 40 + seed; ++i) {
      const DataStep step = workload.next(*store);
      BOOST_REQUIRE(perform(*store, step).ok());
      if (step.kind == DataStep::Kind::kFlush) states.clear();
      // An install may flush before its switch: then what was before it is the flushed state.
      const bool installs =
          step.kind == DataStep::Kind::kInstall || step.kind == DataStep::Kind::kAbandon;
      if (installs && step.count > 0) states = {states.back()};
      states.push_back(must(dump(*store)));
    }
    const std::uint64_t kept = Random(seed).below(engine.unflushed() + 1);
    const bool all = kept == engine.unflushed();
    engine.crash(kept);
    BOOST_REQUIRE(store->reopen().ok());
    const std::string now = must(dump(*store));
    BOOST_TEST((std::find(states.begin(), states.end(), now) != states.end()));
    if (all) BOOST_TEST(now == states.back());
    if (kept == 0) BOOST_TEST(now == states.front());
  }
}

BOOST_AUTO_TEST_CASE(a_cursor_goes_over_extents_in_logical_order) {
  FaultFileSystem files(1);
  for (const auto& store : both(files)) {
    DataBatch batch;
    // "m".."t" lies in a space with a smaller number than its neighbours.
    const Extents extents = {{{"a", "m"}, 20}, {{"m", "t"}, 17}, {{"t", std::nullopt}, 21}};
    for (const char* k : {"a", "b", "l"}) batch.put(20, k, "x");
    for (const char* k : {"a", "m", "s", "z"}) batch.put(17, k, "y");
    for (const char* k : {"b", "u"}) batch.put(21, k, "z");
    BOOST_REQUIRE(store->write(batch).ok());
    std::string seen;
    DataCursor at = must(store->iterate(extents));
    for (; at.valid(); at.next()) seen += std::string(at.key()) + std::string(at.value()) + " ";
    BOOST_TEST(seen == "ax bx lx my sy uz ");
    for (const auto& [from, first] : std::vector<std::pair<std::string, std::string>>{
             {"", "a"}, {"c", "l"}, {"ll", "m"}, {"n", "s"}, {"t", "u"}, {"u", "u"}, {"v", ""}}) {
      at.seek(from);
      BOOST_TEST((at.valid() ? std::string(at.key()) : "") == first);
    }
    DataCursor none = must(store->iterate({}));
    BOOST_TEST(!none.valid());
  }
}

BOOST_AUTO_TEST_CASE(a_snapshot_is_read_in_pieces_until_it_ends) {
  FaultFileSystem files(1);
  for (const auto& store : both(files)) {
    DataBatch batch;
    batch.replicas.push_back(one_range(*store));
    batch.applied.emplace_back(RangeId{1}, Applied{7, 2});
    for (char c = 'a'; c <= 'z'; ++c) batch.put(16, std::string(1, c), std::string(9, c));
    batch.put(17, "lane", "1");
    BOOST_REQUIRE(store->write(batch).ok());
    const auto snapshot = must(store->snapshot(RangeId{1}, 1000));
    BOOST_TEST(must(store->snapshot(RangeId{2}, 1000)).get() == nullptr);
    DataBatch later;
    later.put(16, "b", "changed");
    later.erase(16, "c");
    later.put(17, "lane", "2");
    later.applied.emplace_back(RangeId{1}, Applied{8, 2});
    BOOST_REQUIRE(store->write(later).ok());
    BOOST_TEST(snapshot->applied().index == 7);
    std::string keys;
    std::optional<std::string> from = "";
    int chunks = 0;
    for (; from.has_value(); ++chunks) {
      const auto chunk = must(snapshot->read(DataSnapshot::Part::kData, *from, 45));
      for (const KeyValue& item : chunk.items) {
        BOOST_TEST(item.value == std::string(9, item.key[0]));
        keys += item.key;
      }
      from = chunk.next;
    }
    BOOST_TEST(keys == "abcdefghijklmnopqrstuvwxyz");
    BOOST_TEST(chunks == 6);
    BOOST_TEST(must(snapshot->read(DataSnapshot::Part::kLocal, "", 45)).items[0].value == "1");
    BOOST_TEST(store->expire_snapshots(1000) == 0);
    BOOST_TEST(store->expire_snapshots(1001) == 1);
    BOOST_TEST(!snapshot->read(DataSnapshot::Part::kData, "", 45).ok());
    const auto other = must(store->snapshot(RangeId{1}, 1000));
    BOOST_REQUIRE(store->flush().ok());
    BOOST_REQUIRE(store->reopen().ok());
    BOOST_TEST(!other->read(DataSnapshot::Part::kData, "", 45).ok());
    BOOST_TEST(must(store->get(16, "b")).value() == "changed");
  }
}

BOOST_AUTO_TEST_CASE(reopening_waits_for_cursors) {
  FaultFileSystem files(1);
  const std::unique_ptr<DataStore> store = must(open_disk(files));
  {
    const DataCursor at = must(store->iterate({}));
    BOOST_TEST(!store->reopen().ok());
  }
  BOOST_TEST(store->reopen().ok());
}

BOOST_AUTO_TEST_CASE(the_split_key_halves_the_bytes) {
  FaultFileSystem files(1);
  for (const auto& store : both(files)) {
    Random random(3);
    for (int i = 0; i < 40; ++i) {
      DataBatch batch;
      if (i == 0) batch.replicas.push_back(one_range(*store));
      for (int j = 0; j < 100; ++j) {
        std::string noise(1000, '\0');
        for (char& c : noise) c = static_cast<char>(random.below(256));
        const std::uint64_t skewed = random.below(random.below(1000) + 1);
        batch.put(16,
                  "tenant/with/a/long/prefix/" + std::to_string(1000 + skewed) + "/" +
                      std::to_string(j + 100 * i),
                  std::move(noise));
      }
      BOOST_REQUIRE(store->write(batch).ok());
    }
    BOOST_REQUIRE(store->flush().ok());
    const Extents extents = store->replica(RangeId{1})->extents;
    const std::string key = must(store->split_key(extents)).value();
    const std::uint64_t total = store->approximate_bytes(extents);
    const std::uint64_t below = store->approximate_bytes(split_extents(extents, key).first);
    BOOST_TEST(total > 2'000'000);
    BOOST_TEST(below > total * 45 / 100);
    BOOST_TEST(below < total * 55 / 100);
  }
}

BOOST_AUTO_TEST_CASE(no_split_key_without_two_keys) {
  FaultFileSystem files(1);
  for (const auto& store : both(files)) {
    const Extents extents = {{{}, 16}};
    BOOST_TEST(!must(store->split_key(extents)).has_value());
    DataBatch batch;
    batch.put(16, "a", "1");
    BOOST_REQUIRE(store->write(batch).ok());
    BOOST_TEST(!must(store->split_key(extents)).has_value());
    batch.put(16, "b", "1");
    BOOST_REQUIRE(store->write(batch).ok());
    BOOST_TEST(must(store->split_key(extents)).value() == "b");
  }
}

BOOST_AUTO_TEST_CASE(extents_are_split_and_found) {
  const Extents extents = {{{"b", "d"}, 16}, {{"d", "h"}, 17}, {{"k", std::nullopt}, 18}};
  check_extents(extents);
  for (const auto& [key, space] :
       std::vector<std::pair<std::string, std::optional<Space>>>{{"a", {}},
                                                                 {"b", 16},
                                                                 {"cz", 16},
                                                                 {"d", 17},
                                                                 {"h", {}},
                                                                 {"j", {}},
                                                                 {"k", 18},
                                                                 {"z", 18}}) {
    BOOST_TEST((find_space(extents, key) == space));
  }
  const auto [left, right] = split_extents(extents, "e");
  BOOST_TEST((left == Extents{{{"b", "d"}, 16}, {{"d", "e"}, 17}}));
  BOOST_TEST((right == Extents{{{"e", "h"}, 17}, {{"k", std::nullopt}, 18}}));
  BOOST_TEST(split_extents(extents, "a").first.empty());
  BOOST_TEST((split_extents(extents, "b").second == extents));
  BOOST_TEST((clip_extents(extents, {"c", "e"}) == Extents{{{"c", "d"}, 16}, {{"d", "e"}, 17}}));
}

}  // namespace
}  // namespace skald::store
