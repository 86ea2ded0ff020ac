// What the replicated core costs on a real disk: kv_bench [DIR]
//
// One voter, one thread, LevelDB with every commit synced, in a temporary directory under DIR (or
// /tmp). The last table is of messages only: three stores in memory, in virtual time.
#include <stdlib.h>

#include <chrono>
#include <cstdio>
#include <filesystem>

#include "config/base/assert.h"
#include "config/base/coding.h"
#include "kv/store/data_directory.h"
#include "tests/range/cluster.h"

namespace skald::bench {
namespace {

using range::DataRequest;
using range::Reply;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// A command is a first key and a number of keys from there on; it keeps nothing in memory.
class PutMachine final : public range::Machine {
 public:
  static std::string command(std::uint64_t first, std::uint64_t count, std::size_t bytes) {
    std::string out;
    put_be64(out, first);
    put_be64(out, count);
    out.resize(out.size() + bytes, 'v');
    return out;
  }

  Result<range::MachineResult> apply(const range::ApplyContext&, std::string_view bytes) override {
    Reader in(bytes);
    const std::uint64_t first = in.be64();
    const std::uint64_t count = in.be64();
    range::MachineResult result;
    for (std::uint64_t key = first; key < first + count; ++key) {
      std::string name;
      put_be64(name, key);
      result.writes.push_back({range::Write::Kind::put, name, std::string(in.rest())});
    }
    result.reply = "ok";
    return result;
  }
  void boundary_changed(const range::Boundary&) override {}
  range::Effects leader_started(std::uint64_t, std::uint64_t) override { return {}; }
  void leader_stopped() override {}
  std::optional<std::string> split_key(std::string_view hint) const override {
    return std::string(hint);
  }
  void rebuild_start() override {}
  Status rebuild_chunk(std::span<const range::Record>) override { return {}; }
  void rebuild_finish() override {}
};

/// The shell of one store in one thread.
class Store {
 public:
  explicit Store(const std::string& path) {
    directory_ = std::move(*store::DataDirectory::open(files_, path, NodeId{1}));
    log_ = std::move(*directory_->open_log({}));
    data_ = std::move(*directory_->open_store("bench", {}));
    range::HostOptions options;
    options.range.store = range::StoreId{1};
    options.make_machine = [] { return std::make_unique<PutMachine>(); };
    host_ = std::make_unique<range::StoreHost>(options, Random(1));
    SKALD_ASSERT(host_->start({}).ok());
  }

  void bootstrap(RangeId range) {
    const store::Space space = data_->allocate_space();
    host_->bootstrap(range::first_descriptor(range, {1}), space, data_->allocate_space());
  }

  bool leads(RangeId range) {
    const range::Range* there = host_->find(range);
    return there != nullptr && there->leads_up_to_date();
  }

  void tick() {
    now_us_ += range::kTickUs;
    host_->tick(now_us_, now_us_);
    last_tick_ = Clock::now();
  }

  /// One round: a commit, if there is something to commit, and what can be applied.
  void round() {
    if (since(last_tick_) > 0.05) tick();
    range::HostReady ready = host_->take_ready();
    for (const store::DataBatch& batch : ready.data) write(batch);
    if (ready.flush) SKALD_ASSERT(data_->flush().ok());
    if (!ready.log.empty()) {
      SKALD_ASSERT(log_->append(ready.log).ok());
      host_->logged(ready.commit);
    }
    answered_ += ready.replies.size();
    for (const RangeId id : host_->to_rebuild()) host_->find(id)->rebuild_finish();
    for (const RangeId id : host_->to_apply()) {
      write(host_->apply(id, 4 << 20, [this] { return data_->allocate_space(); }));
    }
  }

  void write(const store::DataBatch& batch) {
    for (const store::DataWrite& one : batch.writes) {
      data_bytes_ += 8 + one.key.size() + (one.value ? one.value->size() : 0);
    }
    for (const store::ReplicaRecord& record : batch.replicas) data_bytes_ += record.config.size();
    SKALD_ASSERT(data_->write(batch).ok());
  }

  range::StoreHost& host() { return *host_; }
  store::LogStore& log() { return *log_; }
  store::DataStore& data() { return *data_; }
  std::uint64_t answered() const { return answered_; }
  std::uint64_t data_bytes() const { return data_bytes_; }

 private:
  store::PosixFileSystem files_;
  std::unique_ptr<store::DataDirectory> directory_;
  std::unique_ptr<store::LogStore> log_;
  std::unique_ptr<store::DataStore> data_;
  std::unique_ptr<range::StoreHost> host_;
  Clock::time_point last_tick_ = Clock::now();
  std::uint64_t now_us_ = 1'000'000;
  std::uint64_t answered_ = 0;
  std::uint64_t data_bytes_ = 0;
};

/// Each range has `window` commands of 100 bytes under way, each lane 10 bytes of reply.
void commits(const std::string& path, std::uint64_t ranges, std::uint64_t window) {
  Store store(path);
  for (std::uint64_t id = 1; id <= ranges; ++id) store.bootstrap(RangeId{id});
  for (std::uint64_t id = 1; id <= ranges;) {
    store.tick();
    store.round();
    while (id <= ranges && store.leads(RangeId{id})) ++id;
  }
  std::uint64_t seq = 0;
  std::uint64_t asked = store.answered();
  const auto send = [&](std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i, ++seq) {
      DataRequest request;
      request.id = ++asked;
      request.boundary_ver = 1;
      request.lane = {{NodeId{9}, LifeNumber{1}}, 1};
      request.seq = seq / ranges + 1;
      request.bytes = PutMachine::command(seq / ranges % 100'000, 1, 100);
      store.host().request(RangeId{seq % ranges + 1}, request);
    }
  };
  send(ranges * window);
  const auto before = store.log().counters();
  const std::uint64_t answered = store.answered();
  const std::uint64_t data_bytes = store.data_bytes();
  const auto begin = Clock::now();
  while (since(begin) < 4) {
    store.round();
    if (asked - store.answered() < ranges * window)
      send(ranges * window - (asked - store.answered()));
  }
  const double took = since(begin);
  const auto after = store.log().counters();
  const double done = static_cast<double>(store.answered() - answered);
  const double syncs = static_cast<double>(after.commits - before.commits);
  std::printf("%6llu %7llu %12.0f %10.0f %10.1f %12.1f %12.1f\n",
              static_cast<unsigned long long>(ranges), static_cast<unsigned long long>(window),
              done / took, syncs / took, done / syncs,
              static_cast<double>(after.bytes - before.bytes) / done,
              static_cast<double>(store.data_bytes() - data_bytes) / done);
}

void split(const std::string& path) {
  Store store(path);
  store.bootstrap(RangeId{1});
  while (!store.leads(RangeId{1})) {
    store.tick();
    store.round();
  }
  std::uint64_t id = 0;
  const auto wait = [&] {
    while (store.answered() < id) store.round();
  };
  for (std::uint64_t key = 0; key < 1'000'000; key += 1000) {
    DataRequest request;
    request.id = ++id;
    request.boundary_ver = 1;
    request.bytes = PutMachine::command(key, 1000, 100);
    store.host().request(RangeId{1}, request);
    wait();
  }
  SKALD_ASSERT(store.data().flush().ok());
  const std::uint64_t data_bytes = store.data_bytes();
  const std::uint64_t log_bytes = store.log().counters().bytes;
  const auto begin = Clock::now();
  range::ManageRequest request;
  request.id = ++id;
  request.epoch = store.host().find(RangeId{1})->epoch();
  std::string middle;
  put_be64(middle, 500'000);
  request.body = range::SplitAt{middle, RangeId{2}};
  store.host().manage(RangeId{1}, request);
  wait();
  const double answered = since(begin);
  while (!store.leads(RangeId{2})) store.round();
  const double leads = since(begin);
  std::printf(
      "split of 1,000,000 keys of 100 bytes: answered after %.2f ms, child leads after %.2f ms, "
      "%llu bytes of data and %llu of log written\n",
      answered * 1e3, leads * 1e3, static_cast<unsigned long long>(store.data_bytes() - data_bytes),
      static_cast<unsigned long long>(store.log().counters().bytes - log_bytes));
}

/// As fixed-width fields; what the wire makes of them will be near that.
std::uint64_t bytes_of(const range::Packet& packet) {
  std::uint64_t bytes = 24;
  for (const range::Body& body : packet.bodies) {
    bytes += 1;
    const auto* raft = std::get_if<range::RaftMessage>(&body);
    bytes += raft == nullptr ? 40 : 16 + 24 + 1 + 16;
  }
  return bytes;
}

void idle(std::uint64_t ranges, bool leases) {
  range::RangeOptions options;
  if (leases) options.serve_lease_us = range::kServeLeaseUs;
  range::Cluster cluster(3, options);
  for (std::uint64_t id = 1; id <= ranges; ++id) {
    const auto first = range::first_descriptor(RangeId{id}, {1, 2, 3});
    for (std::uint64_t store = 1; store <= 3; ++store) cluster.node(store).bootstrap(first);
  }
  cluster.run(100);
  std::uint64_t packets = 0;
  std::uint64_t bodies = 0;
  std::uint64_t bytes = 0;
  cluster.on_packet = [&](const range::Packet& packet) {
    ++packets;
    bodies += packet.bodies.size();
    bytes += bytes_of(packet);
  };
  constexpr std::uint64_t kSeconds = 10;
  const auto begin = Clock::now();
  cluster.run(kSeconds * 1'000'000 / range::kTickUs);
  const double cpu = since(begin) / static_cast<double>(kSeconds);
  std::printf(
      "%llu idle ranges on three stores%s: %llu packets/s, %llu messages in them/s, "
      "%llu bytes/s, %.1f %% of one core for all three\n",
      static_cast<unsigned long long>(ranges), leases ? ", serve leases" : "",
      static_cast<unsigned long long>(packets / kSeconds),
      static_cast<unsigned long long>(bodies / kSeconds),
      static_cast<unsigned long long>(bytes / kSeconds), cpu * 100);
}

int main(int argc, char** argv) {
  std::string name = std::string(argc > 1 ? argv[1] : "/tmp") + "/skald_kv_bench_XXXXXX";
  if (mkdtemp(name.data()) == nullptr) {
    std::fprintf(stderr, "cannot make a directory like %s\n", name.c_str());
    return 1;
  }
  std::printf("ranges  window    entries/s    syncs/s  entries/s.  log bytes/e data bytes/e\n");
  commits(name + "/1", 1, 64);
  commits(name + "/10", 10, 64);
  commits(name + "/500", 500, 8);
  split(name + "/split");
  idle(500, false);
  idle(500, true);
  std::filesystem::remove_all(name);
  return 0;
}

}  // namespace
}  // namespace skald::bench

int main(int argc, char** argv) { return skald::bench::main(argc, argv); }
