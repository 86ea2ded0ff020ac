#include "actors/node.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <chrono>
#include <csignal>
#include <functional>
#include <random>
#include <sstream>
#include <thread>

#include "actors/gatekeeper.h"
#include "actors/logging.h"
#include "actors/monitor/monitor.h"
#include "actors/post_office.h"
#include "actors/route_keeper.h"
#include "actors/session_actor.h"
#include "actors/store/background.h"
#include "actors/store/log_writer.h"
#include "actors/store/store_actor.h"
#include "config/file.h"
#include "config/keys.h"
#include "config/limits.h"
#include "kv/store/data_directory.h"
#include "kv/store/file_system.h"
#include "kv/store/memory_engine.h"
#include "kv/store/memory_log_store.h"
#include "mqtt/auth/load_directory.h"
#include "mqtt/tenant/limits.h"

namespace skald::actors {

namespace {

/// How long a step of the stop may take before the node is killed, naming who is still there.
constexpr std::chrono::seconds kStopGrace{10};
/// Kept free for files, listeners and peers.
constexpr std::uint64_t kReservedDescriptors = 200;
constexpr std::uint32_t kAdminBacklog = 128;
constexpr StoreKind kStores[] = {StoreKind::dist, StoreKind::inbox, StoreKind::retain};

caf::actor_system_config& configure(caf::actor_system_config& config, std::size_t workers) {
  config.add_message_types<caf::id_block::skald>();
  // The default `stealing` policy polls: 33 % of a core at 100 messages/s (design.md section 3).
  config.set("scheduler.policy", caf::atom("sharing"));
  config.set("scheduler.max-threads", workers);
  config.set("scheduler.max-throughput", std::size_t{64});
  return config;
}

/// Raises the soft limit of file descriptors to the hard one; returns it.
std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

std::uint64_t random_u64() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

/// One line of log for each line of `text`.
void log_lines(std::string_view before, const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    spdlog::error("{}{}", before, config::escaped(line));
  }
}

class Node {
 public:
  explicit Node(const config::Options& options)
      : system_(configure(config_, workers(options))), main_(system_) {
    const std::size_t loops = loop_count(options);
    state_.options = options;
    state_.life = {NodeId{random_u64()}, LifeNumber{state_.clock.now_ms()}};
    state_.seed = random_u64();
    state_.connections = std::vector<std::atomic<std::uint64_t>>(loops);
    state_.retained_held = std::vector<std::atomic<std::uint64_t>>(loops);
    for (auto& held : state_.retained_held) held = ~std::uint64_t{0};
    descriptors_ = raise_descriptor_limit();
    state_.connections_max =
        descriptors_ > 2 * kReservedDescriptors ? descriptors_ - kReservedDescriptors : 32;
  }

  Status start() {
    auto users = load_users(state_.options);
    if (!users) return users.error();
    state_.users = std::move(*users);
    state_.usage.set_limits(state_.options);
    for (const std::string& line : tenant::warnings(state_.options)) spdlog::warn("{}", line);
    std::vector<ListeningSocket> sockets;
    for (const config::Listener& listener : state_.options.listeners) {
      auto socket = listen_on(listener);
      if (!socket) return socket.error();
      sockets.push_back(std::move(*socket));
    }
    std::optional<ListeningSocket> admin;
    if (const config::AdminOptions& wanted = state_.options.admin; wanted.port != 0) {
      auto socket = listen_on({wanted.bind, wanted.port, kAdminBacklog});
      if (!socket) return socket.error();
      admin = std::move(*socket);
    }
    if (Status opened = open_stores(); !opened) return opened;
    if (!begin_life()) {
      // Nobody was served, nothing acknowledged: there is nothing to end in order.
      spdlog::error("told to end before the disk took what a start has to write");
      stop_logging();
      std::_Exit(1);
    }
    watch_disk();
    const std::vector<ListeningSocket> named = sockets;
    spawn_all(std::move(sockets));
    monitor_loop_ = std::make_unique<Loop>(system_, 0);
    state_.answered_us = Clock::monotonic_us();
    if (admin) spdlog::info("http://{}:{}/metrics, /livez, /readyz", admin->address, admin->port);
    monitor_ = spawn_pinned<Monitor>(*monitor_loop_, state_, std::move(admin));
    watch_actor(monitor_);
    for (auto& loop : loops_) loop->start();
    monitor_loop_->start();
    for (const ListeningSocket& socket : named) {
      spdlog::info(
          "Skald listens on {}:{} for MQTT (pid {}, {} loops, {} workers, at most {} "
          "connections: {} file descriptors)",
          socket.address, socket.port, getpid(), loops_.size(), workers(state_.options),
          state_.connections_max, descriptors_);
    }
    return {};
  }

  /// What can change without a restart, all of it or, when anything is wrong, nothing. Returns when
  /// it holds everywhere.
  void reload(const Reload& read) {
    auto options = read();
    auto users = options ? load_users(*options) : Result<auth::DirectoryRef>(options.error());
    if (!users) {
      log_lines("reload: the old configuration is kept: ", users.error().message);
      return;
    }
    const config::Options& old = state_.options;
    if (options->node != old.node || options->listeners != old.listeners ||
        options->admin != old.admin || options->log.file != old.log.file ||
        options->log.format != old.log.format) {
      spdlog::warn(
          "reload: changes of [node], [[listener]], [admin] and the log file need a restart");
    }
    const NewRules rules{std::move(*users),
                         std::make_shared<const config::Options>(std::move(*options))};
    set_log_level(rules.options->log.level);
    state_.usage.set_limits(*rules.options);
    for (const std::string& line : tenant::warnings(*rules.options)) spdlog::warn("{}", line);
    main_->send(state_.gatekeeper, rules);
    for (const caf::actor& office : state_.post_offices) main_->send(office, rules);
    std::size_t left = state_.post_offices.size();
    bool late = false;
    while (left > 0 && !late) {
      late = !take_mail(kStopGrace, [&left](RulesTaken) { --left; });
    }
    spdlog::info("reload: {} users, {} tenants", rules.users->size(),
                 rules.options->tenants.size());
  }

  bool lives() const { return state_.lives(); }

  /// True when everyone ended in time.
  bool stop() {
    if (!stop_and_wait({monitor_})) return false;
    // The order is the design: no new clients, then the clients, then what they lean on.
    if (!stop_and_wait({acceptor_})) return false;
    if (!stop_and_wait(state_.post_offices)) return false;
    caf::anon_send_exit(state_.gatekeeper, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(state_.route_keeper, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(acceptor_, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(monitor_, caf::exit_reason::user_shutdown);
    for (const caf::actor& office : state_.post_offices) {
      caf::anon_send_exit(office, caf::exit_reason::user_shutdown);
    }
    if (!stop_and_wait(stores())) return false;
    for (const caf::actor& store : stores()) {
      caf::anon_send_exit(store, caf::exit_reason::user_shutdown);
    }
    if (!wait_for_down()) return false;
    acceptor_ = nullptr;
    monitor_ = nullptr;
    state_.post_offices.clear();
    state_.route_keeper = nullptr;
    state_.gatekeeper = nullptr;
    state_.stores = {};
    background_.stop();
    monitor_loop_->stop();
    for (auto& loop : loops_) loop->stop();
    for (auto& loop : store_loops_) loop->stop();
    log_writer_->stop();
    const store::LogCounters log = log_writer_->log().counters();
    spdlog::info("log: {} synced writes, {} entries, {} bytes", log.commits, log.entries,
                 log.bytes);
    return true;
  }

  /// Waits a little for the unexpected end of a core actor; its name, or empty.
  std::string watch(std::chrono::milliseconds patience) {
    std::string dead;
    take_mail(patience, [&](const caf::down_msg& down) { dead = name_of(down.source); });
    caf::anon_send(state_.route_keeper, Tick{});
    watch_disk();
    return dead;
  }

 private:
  /// Takes one message, false when none comes for `patience`. CAF's own timeouts go by the wall
  /// clock: when that is set back they wait for so much longer, and with them the signals.
  template <class... Handlers>
  bool take_mail(std::chrono::milliseconds patience, Handlers... handlers) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!main_->has_next_message()) {
      if (std::chrono::steady_clock::now() >= until) return false;
      std::this_thread::sleep_for(std::min(patience, std::chrono::milliseconds(20)));
    }
    main_->receive(
        std::move(handlers)..., caf::after(std::chrono::milliseconds(0)) >> [] {});
    return true;
  }

  Result<auth::DirectoryRef> load_users(const config::Options& options) {
    const auto read = [](const std::string& path) -> Result<std::string> {
      auto file = config::read_config_file(path, config::kMaxAccountFileBytes);
      if (!file) return file.error();
      return std::move(file->text);
    };
    return auth::load_directory(options, read, state_.seed, ++rules_version_);
  }

  static std::size_t cores() { return std::max(1U, std::thread::hardware_concurrency()); }
  static std::size_t loop_count(const config::Options& options) {
    const std::size_t wanted = options.node.loops == 0 ? cores() : options.node.loops;
    return std::min<std::size_t>(wanted, dispatch::kMaxLoops);
  }
  static std::size_t workers(const config::Options& options) {
    if (options.node.workers != 0) return options.node.workers;
    return std::max<std::size_t>(1, cores() / 2);
  }

  std::vector<caf::actor> stores() const {
    std::vector<caf::actor> all;
    for (const StoreKind kind : kStores) all.push_back(state_.stores[index(kind)]);
    return all;
  }
  static std::size_t index(StoreKind kind) { return static_cast<std::size_t>(kind); }

  /// Without a data directory the same path runs on the memory twins of the engines.
  Result<std::unique_ptr<store::DataStore>> open_data(StoreKind kind) {
    if (data_) return data_->open_store(store_name(kind), {});
    return store::DataStore::open(std::make_unique<store::MemoryEngine>());
  }

  Status open_stores() {
    std::unique_ptr<store::LogStore> log = std::make_unique<store::MemoryLogStore>();
    if (!state_.options.node.data_dir.empty()) {
      auto opened =
          store::DataDirectory::open(files_, state_.options.node.data_dir, NodeId{random_u64()});
      if (!opened) return opened.error();
      data_ = std::move(*opened);
      state_.life.node = data_->node();
      auto opened_log = data_->open_log({});
      if (!opened_log) return opened_log.error();
      log = std::move(*opened_log);
    }
    log_writer_ = std::make_unique<LogWriter>(std::move(log), background_, state_.log_figures);
    std::vector<std::shared_ptr<StoreSetup>> setups;
    for (const StoreKind kind : kStores) {
      auto data = open_data(kind);
      if (!data) return data.error();
      auto found = read_log(log_writer_->log(), static_cast<store::StoreNumber>(kind));
      if (!found) return found.error();
      auto host = make_host(state_, kind, std::move(*found), **data);
      if (!host) return host.error();
      auto setup = std::make_shared<StoreSetup>();
      setup->kind = kind;
      setup->in_memory = data_ == nullptr;
      setup->data = std::move(*data);
      setup->host = std::move(*host);
      setup->log = log_writer_.get();
      setup->background = &background_;
      setup->node = main_;
      setups.push_back(std::move(setup));
    }
    log_writer_->start();
    background_.start();
    for (const auto& setup : setups) {
      const auto number = static_cast<std::uint16_t>(setup->kind);
      store_loops_.push_back(std::make_unique<Loop>(system_, number));
      caf::actor& store = state_.stores[number];
      store = spawn_pinned<StoreActor>(*store_loops_.back(), state_, setup);
      watch_actor(store);
    }
    for (auto& loop : store_loops_) loop->start();
    return {};
  }

  /// Every range leads; what an earlier life of this node had is over before this one serves. As
  /// long as the disk refuses, this waits, for a disk with room or for a signal to end.
  bool begin_life() {
    LifeNumber ended;
    std::uint64_t stamp_us = 0;
    const bool ready = wait_for_stores<StoreReady>([&](StoreReady& store) {
      stamp_us = std::max(stamp_us, store.stamp_us);
      ended = std::max(ended, store.ended);
      state_.ranges[index(store.store)] = std::move(store.ranges);
    });
    if (!ready) return false;
    // Stamps only grow: with a clock behind them nothing would expire until it had caught up.
    if (const std::uint64_t behind_us = state_.clock.not_before(stamp_us); behind_us > 1'000'000) {
      spdlog::warn("the clock is {} s behind what is stored: going on from there",
                   behind_us / 1'000'000);
    }
    state_.life.number = LifeNumber{std::max(state_.clock.now_ms(), ended.value + 2)};
    const Life before{state_.life.node, LifeNumber{state_.life.number.value - 1}};
    for (const caf::actor& store : stores()) main_->send(store, EndLifeEverywhere{before});
    return wait_for_stores<EndLifeEverywhere>([](EndLifeEverywhere&) {});
  }

  template <class Message>
  bool wait_for_stores(const std::function<void(Message&)>& each) {
    for (std::size_t left = std::size(kStores); left > 0;) {
      take_mail(std::chrono::milliseconds(200), [&](Message& message) {
        --left;
        each(message);
      });
      sigset_t pending;
      sigpending(&pending);
      if (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1) {
        return false;
      }
    }
    return true;
  }

  /// Full before it is full: what the stores have in memory needs room to be flushed, and a client
  /// that acknowledges must be able to make some. Room comes back with a little to spare, or every
  /// message would change it.
  void watch_disk() {
    if (!data_) return;
    const bool failing = log_writer_->failing() || state_.stores_failing > 0;
    const std::int64_t free = store::free_bytes(state_.options.node.data_dir);
    const auto reserve = static_cast<std::int64_t>(state_.options.node.disk_reserve_bytes);
    const std::int64_t enough = disk_low_ ? reserve + reserve / 8 : reserve;
    const bool low = free >= 0 && free < enough;
    if (low != std::exchange(disk_low_, low)) {
      if (low) {
        spdlog::error(
            "{}: {} MB left, less than node.disk_reserve_bytes: messages that would be kept are "
            "refused until there is room",
            state_.options.node.data_dir, free >> 20);
      } else {
        spdlog::warn("{}: {} MB left: messages are kept again", state_.options.node.data_dir,
                     free >> 20);
      }
    }
    state_.disk_failing = failing;
    state_.disk_full = failing || low;
  }

  void spawn_all(std::vector<ListeningSocket> sockets) {
    state_.gatekeeper = system_.spawn(gatekeeper, &state_);
    watch_actor(state_.gatekeeper);
    state_.route_keeper = system_.spawn(route_keeper, &state_);
    watch_actor(state_.route_keeper);
    for (std::size_t i = 0; i < state_.connections.size(); ++i) {
      loops_.push_back(std::make_unique<Loop>(system_, static_cast<std::uint16_t>(i)));
      state_.post_offices.push_back(spawn_pinned<PostOffice>(*loops_.back(), state_));
      watch_actor(state_.post_offices.back());
    }
    acceptor_ = spawn_pinned<Acceptor>(*loops_.front(), state_, std::move(sockets));
    watch_actor(acceptor_);
    for (const caf::actor& store : stores()) {
      main_->send(store, NodeServes{state_.post_offices, state_.route_keeper});
    }
  }

  void watch_actor(const caf::actor& actor) {
    main_->monitor(actor);
    watched_.emplace_back(
        actor.address(),
        caf::actor_cast<caf::abstract_actor*>(actor) == nullptr
            ? "?"
            : static_cast<caf::local_actor*>(caf::actor_cast<caf::abstract_actor*>(actor))->name());
  }

  std::string name_of(const caf::actor_addr& address) const {
    for (const auto& [watched, name] : watched_) {
      if (watched == address) return name;
    }
    return "unknown";
  }

  bool stop_and_wait(const std::vector<caf::actor>& actors) {
    for (const caf::actor& actor : actors) main_->send(actor, Stop{});
    std::size_t left = actors.size();
    const auto deadline = std::chrono::steady_clock::now() + kStopGrace;
    while (left > 0 && std::chrono::steady_clock::now() < deadline) {
      take_mail(
          std::chrono::milliseconds(100), [&](const Stopped&) { --left; },
          [&](const caf::down_msg& down) { forget(down.source); });
      watch_disk();
    }
    return left == 0;
  }

  void forget(const caf::actor_addr& gone) {
    std::erase_if(watched_, [&](const auto& one) { return one.first == gone; });
  }

  bool wait_for_down() {
    std::size_t left = watched_.size();
    const auto deadline = std::chrono::steady_clock::now() + kStopGrace;
    while (left > 0 && std::chrono::steady_clock::now() < deadline) {
      take_mail(std::chrono::milliseconds(100),
                [&](const caf::down_msg& down) { forget(down.source); });
      left = watched_.size();
    }
    for (const auto& [address, name] : watched_) spdlog::error("still alive: {}", name);
    return left == 0;
  }

  store::PosixFileSystem files_;
  std::unique_ptr<store::DataDirectory> data_;  // absent: everything in memory
  caf::actor_system_config config_;
  caf::actor_system system_;
  NodeState state_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<std::unique_ptr<Loop>> store_loops_;
  std::unique_ptr<LogWriter> log_writer_;
  Background background_;
  std::unique_ptr<Loop> monitor_loop_;
  caf::actor acceptor_;
  caf::actor monitor_;
  std::vector<std::pair<caf::actor_addr, std::string>> watched_;
  std::uint64_t descriptors_ = 0;
  std::uint64_t rules_version_ = 0;
  bool disk_low_ = false;
  caf::scoped_actor main_;
};

}  // namespace

int run_node(const config::Options& options, const Reload& reload, const Supervision& supervision) {
  // Blocked before any thread is made, so that all of them inherit it and only we take signals.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  start_logging(options.log);
  Node node(options);
  if (const Status started = node.start(); !started) {
    log_lines("", started.error().message);
    stop_logging();
    return 1;
  }
  ServiceManager manager(supervision);
  manager.ready();
  for (;;) {
    const timespec at_once{0, 0};
    const int signal = sigtimedwait(&signals, nullptr, &at_once);
    if (signal == SIGTERM || signal == SIGINT) break;
    if (signal == SIGHUP) {
      manager.reloading();
      node.reload(reload);
      manager.ready();
    }
    if (node.lives()) manager.alive();
    const std::string dead = node.watch(std::chrono::milliseconds(200));
    if (dead.empty()) continue;
    spdlog::critical("{} ended unexpectedly", dead);
    stop_logging();
    std::abort();
  }
  manager.stopping();
  spdlog::info("stopping");
  if (!node.stop()) {
    spdlog::critical("did not stop in time");
    stop_logging();
    std::abort();
  }
  spdlog::info("stopped");
  stop_logging();
  return 0;
}

}  // namespace skald::actors
