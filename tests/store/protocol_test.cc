// Log and data stores together, as a node uses them: append, sync, ack, apply, flush, truncate;
// crashed at every call, and under random faults. Nothing acked is lost, no state is a mixture, the
// log is never truncated beyond what the data has flushed.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>

#include "kv/store/data_directory.h"
#include "tests/store/fault_file_system.h"

namespace skald::store {
namespace {

constexpr std::uint64_t kAll = ~std::uint64_t{0};
constexpr StoreNumber kStores = 2;
constexpr std::uint64_t kRanges = 3;  // of each store
const char* const kNames[kStores] = {"dist", "inbox"};

/// The model of one range: command i of it, and how far it is acked.
struct Model {
  std::vector<std::string> commands;  // index 1 is commands[0]
  std::uint64_t acked = 0;
};

using Map = std::map<std::string, std::string>;

std::string key_of(const std::string& command) { return command.substr(0, 2); }

Map state_after(const Model& model, std::uint64_t index) {
  Map state;
  for (std::uint64_t i = 0; i < index; ++i) {
    state[key_of(model.commands.at(i))] = model.commands[i];
  }
  return state;
}

struct Options {
  std::uint64_t seed = 0;
  std::uint64_t crash_at = 0;
  int steps = 0;
  std::uint64_t fail_one_in = 0;
  bool short_reads = false;
};

class World {
 public:
  explicit World(const Options& options)
      : options_(options), files_(options.seed * 7919 + options.crash_at), random_(options.seed) {
    files_.crash_at(options.crash_at);
    files_.short_reads(options.short_reads);
    files_.fail_one_in(options.fail_one_in);
  }

  void run() {
    for (int i = 0; i < options_.steps; ++i) {
      if (!log_ && !recover()) {
        crash_or_restart();
        continue;
      }
      if (!step()) crash_or_restart();
      if (options_.fail_one_in > 0 && random_.one_in(40)) crash_or_restart();
    }
    calls_ = files_.calls();
    files_.fail_one_in(0);
    stop();
    files_.crash_now();
    files_.restart();
    BOOST_REQUIRE_MESSAGE(recover().ok(), where() << ": " << problem_);
    BOOST_REQUIRE(step().ok());
  }

  std::uint64_t calls() const { return calls_; }
  std::uint64_t restarts() const { return restarts_; }
  std::uint64_t acked() const {
    std::uint64_t n = 0;
    for (const auto& [who, model] : models_) n += model.acked;
    return n;
  }

 private:
  std::string where() const {
    return "seed " + std::to_string(options_.seed) + ", crash at " +
           std::to_string(options_.crash_at) + ", call " + std::to_string(files_.calls());
  }
  static ReplicaKey who(StoreNumber store, std::uint64_t range) {
    return {store, RangeId{range}, ReplicaId{1}};
  }

  Status step();
  Status append_group();
  Status apply_committed(StoreNumber store);
  Status recover();
  Status open();
  Status recover_data(StoreNumber store);
  Status recover_log();
  Status check_range(const ReplicaKey& key, const ReplicaLog& log);
  void settle_in_doubt(bool present);
  void crash_or_restart();
  void stop();

  const Options options_;
  FaultFileSystem files_;
  Random random_;
  std::unique_ptr<DataDirectory> directory_;
  std::unique_ptr<LogStore> log_;
  std::unique_ptr<DataStore> data_[kStores];
  std::map<ReplicaKey, Model> models_;
  std::map<ReplicaKey, std::uint64_t> in_doubt_;  // commands behind `acked` whose append failed
  std::uint64_t batch_number_ = 0;
  std::uint64_t calls_ = 0;
  std::uint64_t restarts_ = 0;
  std::string problem_;
};

Status World::open() {
  Result<std::unique_ptr<DataDirectory>> directory =
      DataDirectory::open(files_, "/data", NodeId{77});
  if (!directory) return directory.error();
  directory_ = std::move(*directory);
  BOOST_TEST(directory_->node().value == 77);
  Result<std::unique_ptr<LogStore>> log = directory_->open_log({.path = {},
                                                                .write_buffer_bytes = 64 << 10,
                                                                .note_every = 5,
                                                                .deletes_per_commit = 4,
                                                                .hold_background = true});
  if (!log) return log.error();
  for (StoreNumber s = 0; s < kStores; ++s) {
    Result<std::unique_ptr<DataStore>> data =
        directory_->open_store(kNames[s], {.path = {},
                                           .write_buffer_bytes = 64 << 10,
                                           .verify_tables = true,
                                           .hold_background = true});
    if (!data) return data.error();
    data_[s] = std::move(*data);
  }
  log_ = std::move(*log);
  return {};
}

/// All ranges of a store are at the same batch, and each at the state of its applied index.
Status World::recover_data(StoreNumber store) {
  DataStore& data = *data_[store];
  std::vector<std::string> batches;
  for (const ReplicaRecord& record : data.replicas()) {
    const Model& model = models_[who(store, record.range.value)];
    const std::uint64_t applied = data.applied(record.range).value().index;
    BOOST_REQUIRE_MESSAGE(applied <= model.commands.size(), where());
    Map state;
    Result<DataCursor> at = data.iterate(record.extents);
    if (!at) return at.error();
    for (; at->valid(); at->next()) state.emplace(at->key(), at->value());
    if (!at->status().ok()) return at->status();
    BOOST_TEST((state == state_after(model, applied)), where() << ": a state that never was");
    const Result<std::optional<std::string>> batch = data.get(record.local_space, "batch");
    if (!batch) return batch.error();
    batches.push_back(batch->value());
  }
  BOOST_TEST((batches.empty() || batches.size() == kRanges));
  BOOST_TEST(std::count(batches.begin(), batches.end(), batches.empty() ? "" : batches[0]) ==
                 static_cast<std::ptrdiff_t>(batches.size()),
             where() << ": ranges of different batches");
  if (!batches.empty()) return {};
  DataBatch batch;
  for (std::uint64_t range = 1; range <= kRanges; ++range) {
    const Space space = data.allocate_space();
    const Space local = data.allocate_space();
    batch.replicas.push_back({RangeId{range}, ReplicaId{1}, local, {{{}, space}}, ""});
    batch.applied.emplace_back(RangeId{range}, Applied{});
    batch.put(local, "batch", "0");
  }
  return data.write(batch);
}

void World::settle_in_doubt(bool present) {
  for (const auto& [key, count] : in_doubt_) {
    Model& model = models_[key];
    if (present) {
      model.acked += count;
    } else {
      model.commands.resize(model.acked);
    }
  }
  in_doubt_.clear();
}

Status World::check_range(const ReplicaKey& key, const ReplicaLog& log) {
  Model& model = models_[key];
  BOOST_REQUIRE_MESSAGE(
      log.last_index >= model.acked,
      where() << ": acked entries lost: " << log.last_index << " of " << model.acked);
  BOOST_REQUIRE_MESSAGE(log.last_index == model.commands.size(), where());
  const std::uint64_t applied = data_[key.store]->applied(key.range).value().index;
  BOOST_REQUIRE_MESSAGE(log.base.index <= applied,
                        where() << ": the log was truncated beyond the flushed data");
  if (applied == log.last_index) return {};
  Result<std::vector<LogEntry>> entries = log_->entries(key, applied + 1, log.last_index + 1, kAll);
  if (!entries) return entries.error();
  BOOST_REQUIRE_MESSAGE(entries->size() == log.last_index - applied, where());
  for (const LogEntry& entry : *entries) {
    BOOST_TEST((entry.data == model.commands.at(entry.index - 1)), where() << ": another command");
  }
  return {};
}

Status World::recover_log() {
  const Result<LogContents> contents = log_->recover();
  if (!contents) return contents.error();
  std::map<ReplicaKey, ReplicaLog> logs;
  for (const auto& [key, log] : contents->replicas) logs[key] = log;
  if (!in_doubt_.empty()) {
    // All of the group or nothing of it.
    std::uint64_t present = 0;
    for (const auto& [key, count] : in_doubt_) {
      const std::uint64_t last = logs[key].last_index;
      BOOST_REQUIRE_MESSAGE((last == models_[key].acked || last == models_[key].acked + count),
                            where());
      present += last == models_[key].acked ? 0 : 1;
    }
    BOOST_REQUIRE_MESSAGE((present == 0 || present == in_doubt_.size()),
                          where() << ": part of a group commit");
    settle_in_doubt(present > 0);
  }
  for (StoreNumber s = 0; s < kStores; ++s) {
    for (std::uint64_t range = 1; range <= kRanges; ++range) {
      if (Status st = check_range(who(s, range), logs[who(s, range)]); !st) return st;
    }
  }
  return {};
}

Status World::recover() {
  Status status = open();
  for (StoreNumber s = 0; status.ok() && s < kStores; ++s) status = recover_data(s);
  if (status.ok()) status = recover_log();
  for (StoreNumber s = 0; status.ok() && s < kStores; ++s) status = apply_committed(s);
  if (!status) {
    problem_ = status.error().message;
    stop();
  }
  return status;
}

Status World::append_group() {
  WriteSet set;
  for (StoreNumber s = 0; s < kStores; ++s) {
    for (std::uint64_t range = 1; range <= kRanges; ++range) {
      const ReplicaKey key = who(s, range);
      Model& model = models_[key];
      ReplicaWrite write;
      write.who = key;
      for (std::uint64_t n = random_.below(3); n > 0; --n) {
        std::string command(random_.between(2, 1500), '\0');
        for (char& c : command) c = static_cast<char>(random_.below(256));
        command[0] = static_cast<char>('a' + random_.below(4));
        model.commands.push_back(command);
        write.entries.push_back({model.commands.size(), 1, 0, std::move(command)});
      }
      const auto flushed = data_[s]->flushed(key.range);
      if (flushed.has_value() && random_.one_in(3)) {
        write.truncate_to = LogBase{flushed->index, flushed->term};
      }
      if (random_.one_in(4)) write.hard_state = HardState{1, ReplicaId{1}, model.acked};
      if (!write.entries.empty()) in_doubt_[key] = write.entries.size();
      set.replicas.push_back(std::move(write));
    }
  }
  if (Status s = log_->append(set); !s) return s;
  settle_in_doubt(true);
  return {};
}

Status World::apply_committed(StoreNumber store) {
  DataStore& data = *data_[store];
  DataBatch batch;
  ++batch_number_;
  for (const ReplicaRecord& record : data.replicas()) {
    const Model& model = models_[who(store, record.range.value)];
    const std::uint64_t from = data.applied(record.range).value().index;
    const std::uint64_t to = random_.one_in(3) ? random_.between(from, model.acked) : model.acked;
    for (std::uint64_t i = from; i < to; ++i) {
      batch.put(record.extents[0].space, key_of(model.commands[i]), model.commands[i]);
    }
    batch.applied.emplace_back(record.range, Applied{to, 1});
    batch.put(record.local_space, "batch", std::to_string(batch_number_));
  }
  return data.write(batch);
}

Status World::step() {
  if (Status s = append_group(); !s) return s;
  for (StoreNumber s = 0; s < kStores; ++s) {
    if (Status st = apply_committed(s); !st) return st;
    if (random_.one_in(4)) {
      if (Status st = data_[s]->flush(); !st) return st;
    }
  }
  return {};
}

void World::stop() {
  log_.reset();
  for (auto& data : data_) data.reset();
  directory_.reset();
}

/// After a failure, or out of the blue: power loss, a new start of the process, or reopening.
void World::crash_or_restart() {
  ++restarts_;
  const bool reopen = !files_.crashed() && log_ != nullptr && random_.one_in(2);
  if (reopen) {
    Status status = log_->reopen();
    for (auto& data : data_) {
      if (status.ok()) status = data->reopen();
    }
    for (StoreNumber s = 0; status.ok() && s < kStores; ++s) status = recover_data(s);
    if (status.ok()) status = recover_log();
    if (status.ok()) return;
  }
  stop();
  if (files_.crashed() || random_.one_in(2)) {
    files_.crash_now();
    files_.restart();
  }
}

BOOST_AUTO_TEST_CASE(both_stores_crashed_at_every_call) {
  std::uint64_t runs = 0;
  for (const std::uint64_t seed : {1, 2}) {
    World clean({.seed = seed, .steps = 25});
    clean.run();
    for (std::uint64_t at = 1; at <= clean.calls(); ++at) {
      World world({.seed = seed, .crash_at = at, .steps = 25});
      world.run();
      ++runs;
    }
  }
  BOOST_TEST_MESSAGE("both stores: crashed at " << runs << " calls");
  BOOST_TEST(runs > 500);
}

BOOST_AUTO_TEST_CASE(random_faults) {
  std::uint64_t acked = 0;
  std::uint64_t restarts = 0;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    World world(
        {.seed = seed, .steps = 30, .fail_one_in = 50 + seed % 200, .short_reads = seed % 3 == 0});
    world.run();
    acked += world.acked();
    restarts += world.restarts();
  }
  BOOST_TEST_MESSAGE("random faults: 1000 seeds, " << acked << " commands acked, " << restarts
                                                   << " restarts");
  BOOST_TEST(acked > 50000);
  BOOST_TEST(restarts > 3000);
}

}  // namespace
}  // namespace skald::store
