// What a data directory that lost something is told, and what a full or failing disk does.
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <filesystem>
#include <memory>

#include "kv/store/crc32c.h"
#include "kv/store/data_directory.h"
#include "kv/store/record_log.h"
#include "kv/store/replayable.h"
#include "tests/store/data_workload.h"
#include "tests/store/fault_file_system.h"
#include "tests/store/log_workload.h"

namespace skald::store {
namespace {

const ReplicaKey kWho{0, RangeId{1}, ReplicaId{1}};

template <class T>
T must(Result<T> result) {
  BOOST_REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().message));
  return std::move(*result);
}

/// A node with one store of one range.
struct Node {
  std::unique_ptr<DataDirectory> directory;
  std::unique_ptr<LogStore> log;
  std::unique_ptr<DataStore> data;
};

Result<Node> start(FileSystem& files, const std::string& path = "/data") {
  Node node;
  Result<std::unique_ptr<DataDirectory>> directory = DataDirectory::open(files, path, NodeId{77});
  if (!directory) return directory.error();
  node.directory = std::move(*directory);
  Result<std::unique_ptr<LogStore>> log = node.directory->open_log(
      {.path = {}, .write_buffer_bytes = 64 << 10, .hold_background = true});
  if (!log) return log.error();
  node.log = std::move(*log);
  Result<std::unique_ptr<DataStore>> data = node.directory->open_store(
      "inbox", {.path = {}, .write_buffer_bytes = 64 << 10, .hold_background = true});
  if (!data) return data.error();
  node.data = std::move(*data);
  const LogContents contents = must(node.log->recover());
  for (const auto& [who, replica] : contents.replicas) {
    const Status fits = check_replayable(who, "inbox", replica, node.data->applied(who.range));
    if (!fits) return fits.error();
  }
  return node;
}

std::string noise(Random& random, std::size_t bytes) {
  std::string s(bytes, '\0');
  for (char& c : s) c = static_cast<char>(random.below(256));
  return s;
}

/// Appends and applies `count` commands; flushes and truncates now and then.
Status work(Node& node, Random& random, int count) {
  if (node.data->replicas().empty()) {
    const Space space = node.data->allocate_space();
    const Space local = node.data->allocate_space();
    DataBatch batch;
    batch.replicas.push_back({kWho.range, kWho.replica, local, {{{}, space}}, "config"});
    batch.applied.emplace_back(kWho.range, Applied{});
    if (Status s = node.data->write(batch); !s) return s;
  }
  const Space space = node.data->replica(kWho.range)->extents[0].space;
  const Result<LogContents> contents = node.log->recover();
  if (!contents) return contents.error();
  std::uint64_t index = contents->replicas.empty() ? 0 : contents->replicas[0].second.last_index;
  for (int i = 0; i < count; ++i) {
    const std::string command = noise(random, random.below(3000));
    WriteSet set;
    set.replicas.resize(1);
    set.replicas[0].who = kWho;
    set.replicas[0].entries = {{++index, 1, 0, command}};
    if (random.one_in(10)) {
      if (Status s = node.data->flush(); !s) return s;
      const Applied flushed = node.data->flushed(kWho.range).value_or(Applied{});
      set.replicas[0].truncate_to = LogBase{flushed.index, flushed.term};
    }
    if (Status s = node.log->append(set); !s) return s;
    DataBatch batch;
    batch.put(space, "key" + std::to_string(random.below(50)), command);
    batch.applied.emplace_back(kWho.range, Applied{index, 1});
    if (Status s = node.data->write(batch); !s) return s;
  }
  return {};
}

/// Both stores' whole state, or why it cannot be had.
Result<std::pair<LogDump, std::string>> whole(Node& node) {
  Result<LogDump> log = dump(*node.log);
  if (!log) return log.error();
  Result<std::string> data = dump(*node.data);
  if (!data) return data.error();
  return std::pair(std::move(*log), std::move(*data));
}

/// A stopped node, all of its data flushed and its last commit noted.
std::pair<LogDump, std::string> make_node(FaultFileSystem& files) {
  Random random(1);
  Node node = must(start(files));
  BOOST_REQUIRE(work(node, random, 150).ok());
  BOOST_REQUIRE(node.data->flush().ok());
  WriteSet set;
  set.replicas.resize(1);
  set.replicas[0].who = kWho;
  set.replicas[0].truncate_to = LogBase{node.data->flushed(kWho.range)->index, 1};
  for (std::uint64_t i = 1; i <= 20; ++i) {
    set.replicas[0].entries.push_back(
        {set.replicas[0].truncate_to->index + i, 1, 0, noise(random, 500)});
  }
  BOOST_REQUIRE(node.log->append(set).ok());
  BOOST_REQUIRE(node.log->note_idle().ok());
  return must(whole(node));
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

BOOST_AUTO_TEST_CASE(crc32c_is_castagnoli) {
  BOOST_TEST(crc32c("123456789") == 0xe3069283U);
  BOOST_TEST(crc32c("6789", crc32c("12345")) == 0xe3069283U);
  BOOST_TEST(crc32c("") == 0U);
}

BOOST_AUTO_TEST_CASE(each_flipped_bit_is_refused_or_harmless) {
  FaultFileSystem original(1);
  const auto expected = make_node(original);
  Random random(2);
  int refused = 0;
  int harmless = 0;
  for (const std::string& path : original.paths()) {
    if (original.content(path).empty()) continue;
    for (int i = 0; i < 60; ++i) {
      FaultFileSystem files(1);
      original.copy_to(files);
      std::string content = files.content(path);
      char& byte = content[random.below(content.size())];
      byte = static_cast<char>(byte ^ (1 << random.below(8)));
      files.set_content(path, content);
      Result<Node> node = start(files);
      if (!node.ok()) {
        ++refused;
        const std::string& message = node.error().message;
        const std::string name = path.substr(path.rfind('/') + 1);
        BOOST_TEST((contains(message, name) || contains(message, "group commit") ||
                    contains(message, "stores/inbox: the data of range 1 is at log index")),
                   path << ": " << message);
        BOOST_TEST(contains(message, "Choices: "), path << ": " << message);
        continue;
      }
      ++harmless;
      const auto now = whole(*node);
      BOOST_TEST((now.ok() && *now == expected), path << ": accepted, but changed");
    }
  }
  BOOST_TEST_MESSAGE("flipped bits: " << refused << " refused, " << harmless << " harmless");
  BOOST_TEST(refused > 5 * harmless);
}

BOOST_AUTO_TEST_CASE(each_missing_file_is_refused_or_harmless) {
  FaultFileSystem original(1);
  const auto expected = make_node(original);
  for (const std::string& path : original.paths()) {
    FaultFileSystem files(1);
    original.copy_to(files);
    files.lose(path);
    Result<Node> node = start(files);
    if (original.content(path).empty()) {
      BOOST_TEST((node.ok() && *whole(*node) == expected), path);
      continue;
    }
    BOOST_TEST(!node.ok(), path << " is missed by nobody");
    if (node.ok()) continue;
    const std::string name = path.substr(path.rfind('/') + 1);
    const std::string& message = node.error().message;
    BOOST_TEST((contains(message, name) || contains(message, "group commit")), message);
    BOOST_TEST(contains(message, "Choices: "), message);
  }
}

BOOST_AUTO_TEST_CASE(a_cut_log_is_refused) {
  FaultFileSystem original(1);
  make_node(original);
  int cuts = 0;
  for (const std::string& path : original.paths()) {
    if (!path.ends_with(".log") || original.content(path).empty()) continue;
    for (std::size_t cut = 0; cut < original.content(path).size(); cut += 997) {
      FaultFileSystem files(1);
      original.copy_to(files);
      files.set_content(path, files.content(path).substr(0, cut));
      BOOST_TEST(!start(files).ok(), path << " cut at " << cut);
      ++cuts;
    }
  }
  BOOST_TEST(cuts > 5);
}

BOOST_AUTO_TEST_CASE(a_newer_format_is_refused) {
  FaultFileSystem files(1);
  make_node(files);
  std::string content = files.content("/data/FORMAT");
  content.replace(content.find(" 1\n"), 3, " 2\n");
  files.set_content("/data/FORMAT", content);
  const Result<Node> node = start(files);
  BOOST_REQUIRE(!node.ok());
  for (const char* part : {"/data/FORMAT", "format 2", "up to 1", "Choices: "}) {
    BOOST_TEST(contains(node.error().message, part), node.error().message);
  }
}

BOOST_AUTO_TEST_CASE(a_directory_is_used_by_one) {
  FaultFileSystem files(1);
  {
    const Node node = must(start(files));
    const Result<Node> second = start(files);
    BOOST_REQUIRE(!second.ok());
    BOOST_TEST(contains(second.error().message, "in use by another process"));
  }
  BOOST_TEST(start(files).ok());
}

BOOST_AUTO_TEST_CASE(a_torn_tail_is_cut_and_damage_is_not) {
  FaultFileSystem files(1);
  std::vector<std::size_t> ends;  // of batches
  std::string log;
  {
    DiskLogOptions options{.path = "/log", .write_buffer_bytes = 8 << 20, .hold_background = true};
    const auto store = must(open_disk_log(files, options));
    Random random(4);
    for (std::uint64_t i = 1; i <= 40; ++i) {
      WriteSet set;
      set.replicas.resize(1);
      set.replicas[0].who = kWho;
      set.replicas[0].entries = {{i, 1, 0, noise(random, i % 7 == 0 ? 80000 : random.below(900))}};
      BOOST_REQUIRE(store->append(set).ok());
      for (const std::string& path : files.paths()) {
        if (path.ends_with(".log")) log = files.content(path);
      }
      ends.push_back(log.size());
    }
  }
  using Kind = RecordLogState::Kind;
  const auto inspect = [](std::string_view s) {
    return inspect_record_log(s, RecordLogKind::kBatches);
  };
  BOOST_TEST((inspect(log).kind == Kind::kClean));
  Random random(5);
  for (int i = 0; i < 1000; ++i) {
    const std::size_t cut = random.below(log.size());
    const auto state = inspect(std::string_view(log).substr(0, cut));
    BOOST_TEST((state.kind != Kind::kDamaged));
    const auto end = std::upper_bound(ends.begin(), ends.end(), cut);
    BOOST_TEST(state.good_bytes == (end == ends.begin() ? 0 : *std::prev(end)), "cut at " << cut);
  }
  for (int i = 0; i < 300; ++i) {
    std::string flipped = log;
    const std::size_t at = random.below(log.size());
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << random.below(8)));
    const auto state = inspect(flipped);
    const bool in_last = at >= ends[ends.size() - 2];
    // A block's unused last bytes belong to nobody.
    if (state.kind == Kind::kClean) {
      BOOST_TEST(at % 32768 > 32768 - 7);
    } else {
      BOOST_TEST((state.kind == (in_last ? Kind::kTorn : Kind::kDamaged)), "flipped at " << at);
    }
  }
}

BOOST_AUTO_TEST_CASE(records_inside_a_torn_payload_are_not_believed) {
  // A client may publish bytes that look like a record of the log.
  FaultFileSystem files(1);
  DiskLogOptions options{.path = "/log", .write_buffer_bytes = 8 << 20, .hold_background = true};
  const auto store = must(open_disk_log(files, options));
  const auto newest = [&files] {
    for (const std::string& path : files.paths()) {
      if (path.ends_with(".log")) return files.content(path);
    }
    return std::string();
  };
  WriteSet set;
  set.replicas.resize(1);
  set.replicas[0].who = kWho;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    set.replicas[0].entries = {{i, 1, 0, "x"}};
    BOOST_REQUIRE(store->append(set).ok());
  }
  const std::string three = newest();
  set.replicas[0].entries = {{4, 1, 0, three + std::string(100, 'y')}};
  BOOST_REQUIRE(store->append(set).ok());
  const std::string all = newest();
  const auto state =
      inspect_record_log(std::string_view(all).substr(0, all.size() - 20), RecordLogKind::kBatches);
  BOOST_TEST((state.kind == RecordLogState::Kind::kTorn));
  BOOST_TEST(state.good_bytes == three.size());
}

BOOST_AUTO_TEST_CASE(a_full_disk_refuses_and_recovers) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    FaultFileSystem files(seed);
    Random random(seed);
    Node node = must(start(files));
    BOOST_REQUIRE(work(node, random, 20).ok());
    files.space(200000 + 3000 * seed);
    Status full = work(node, random, 1000);
    BOOST_REQUIRE(!full.ok());
    BOOST_TEST(contains(full.error().message, "No space left on device"), full.error().message);
    const bool log_failed = !node.log->status().ok();
    BOOST_TEST((log_failed || !node.data->status().ok()));
    // Once there is space again, all that was acked is there and work goes on.
    files.space(std::nullopt);
    BOOST_REQUIRE(node.log->reopen().ok());
    BOOST_REQUIRE(node.data->reopen().ok());
    const LogContents contents = must(node.log->recover());
    const ReplicaLog& log = contents.replicas.at(0).second;
    BOOST_REQUIRE(check_replayable(kWho, "inbox", log, node.data->applied(kWho.range)).ok());
    BOOST_TEST(
        must(node.log->entries(kWho, log.base.index + 1, log.last_index + 1, ~0ULL)).size() ==
        log.last_index - log.base.index);
    BOOST_REQUIRE(work(node, random, 20).ok());
  }
}

BOOST_AUTO_TEST_CASE(a_failed_flush_poisons_and_goes_back) {
  for (std::uint64_t call = 1; call <= 5; ++call) {
    FaultFileSystem files(call);
    Random random(call);
    Node node = must(start(files));
    BOOST_REQUIRE(work(node, random, 5).ok());
    BOOST_REQUIRE(node.data->flush().ok());
    const std::string flushed = must(dump(*node.data));
    DataBatch batch;
    batch.put(node.data->replica(kWho.range)->extents[0].space, "new", "value");
    BOOST_REQUIRE(node.data->write(batch).ok());
    files.fail_at(files.calls() + call, EIO);
    const Status failed = node.data->flush();
    BOOST_REQUIRE(!failed.ok());
    BOOST_TEST(node.data->write(batch).error().message == failed.error().message);
    BOOST_TEST(node.data->get(16, "new").error().message == failed.error().message);
    BOOST_TEST(node.data->flush().error().message == failed.error().message);
    BOOST_TEST(node.data->collect_garbage(1).error().message == failed.error().message);
    BOOST_REQUIRE(node.data->reopen().ok());
    const std::string now = must(dump(*node.data));
    // A failure behind the last sync may have come too late to matter.
    BOOST_TEST((now == flushed || contains(now, "value")));
    BOOST_REQUIRE(node.data->write(batch).ok());
    BOOST_REQUIRE(node.data->flush().ok());
  }
}

BOOST_AUTO_TEST_CASE(on_a_real_disk_only_the_owner_may_read) {
  namespace fs = std::filesystem;
  const std::string path =
      (fs::temp_directory_path() / ("skald_store_test_" + std::to_string(::getpid()))).string();
  PosixFileSystem files;
  Random random(1);
  std::pair<LogDump, std::string> before;
  {
    Node node = must(start(files, path));
    BOOST_TEST(!start(files, path).ok());
    BOOST_REQUIRE(work(node, random, 200).ok());
    BOOST_REQUIRE(node.data->flush().ok());
    before = must(whole(node));
  }
  {
    Node node = must(start(files, path));
    BOOST_TEST((must(whole(node)) == before));
  }
  int seen = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    const fs::perms others =
        entry.status().permissions() & (fs::perms::group_all | fs::perms::others_all);
    BOOST_TEST((others == fs::perms::none), entry.path().string());
    ++seen;
  }
  BOOST_TEST(seen > 10);
  fs::remove_all(path);
}

}  // namespace
}  // namespace skald::store
