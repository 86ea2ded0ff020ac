#include "tools/bench/coordinator.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>

#include "tools/bench/judge.h"
#include "tools/bench/process_stats.h"
#include "tools/bench/worker.h"

namespace skald::bench {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kPollNs = 5'000'000;

void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

Result<Addresses> resolve(const Options& options) {
  Addresses out;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(options.port);
  const int code = getaddrinfo(options.host.c_str(), port.c_str(), &hints, &found);
  if (code != 0 || found == nullptr) return Error{options.host + ": " + gai_strerror(code)};
  std::memcpy(&out.broker, found->ai_addr, found->ai_addrlen);
  out.broker_size = found->ai_addrlen;
  freeaddrinfo(found);
  for (const std::string& source : options.sources) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    if (inet_pton(AF_INET, source.c_str(), &address.sin_addr) != 1) {
      return Error{"source address " + source + ": not an IPv4 address"};
    }
    std::memcpy(&out.sources.emplace_back(), &address, sizeof address);
  }
  return out;
}

/// All that is read at the edges of the measured window.
struct Sample {
  std::int64_t at_ns = 0;
  Totals totals{};
  CpuTime broker;
  std::int64_t own_cpu_ns = 0;
};

class Run {
 public:
  Run(const Options& options, const Addresses& addresses)
      : options_(options),
        addresses_(addresses),
        plan_(make_plan(options)),
        format_(std::max<std::size_t>(options.payload_bytes, 64 * 1024)),
        control_(options.threads) {
    for (std::uint32_t i = 0; i < options_.threads; ++i) {
      workers_.push_back(
          std::make_unique<Worker>(options_, plan_, format_, addresses_, control_, i));
    }
  }

  Outcome go() {
    if (options_.broker_pid != 0) outcome_.rss_empty = resident_bytes_of(options_.broker_pid);
    begin_ns_ = last_line_ns_ = now_ns();
    for (const auto& worker : workers_) threads_.emplace_back(&Worker::run, worker.get());
    const bool connected = connect_all();
    if (options_.broker_pid != 0) outcome_.rss_full = resident_bytes_of(options_.broker_pid);
    if (connected || options_.mode == Mode::conn) {
      measure();
      if (plan_.copies != 0 || options_.mode == Mode::pub) drain();
    }
    control_.enter(Phase::stop);
    for (std::thread& thread : threads_) thread.join();
    if (options_.broker_pid != 0) outcome_.rss_end = resident_bytes_of(options_.broker_pid);
    judge(options_, plan_, workers_, control_, outcome_);
    return std::move(outcome_);
  }

 private:
  void pause() {
    std::this_thread::sleep_for(std::chrono::nanoseconds(kPollNs));
    tell_progress();
  }

  void pause_until(std::int64_t at_ns) {
    for (std::int64_t now = now_ns(); now < at_ns; now = now_ns()) {
      const std::int64_t next = std::min(at_ns, last_line_ns_ + kSecond);
      if (next > now) std::this_thread::sleep_for(std::chrono::nanoseconds(next - now));
      tell_progress();
      if (control_.totals()[kClosed] == plan_.clients.size()) return;  // nobody is left
    }
  }

  /// True when all clients are ready.
  bool connect_all() {
    std::uint64_t seen = 0;
    std::int64_t progress_ns = begin_ns_;
    for (;;) {
      const Totals totals = control_.totals();
      const std::uint64_t settled = totals[kReady] + totals[kRefused];
      const std::uint64_t moved = settled + totals[kConnected];
      if (moved != seen) {
        seen = moved;
        progress_ns = now_ns();
      }
      const bool stuck = now_ns() - progress_ns > options_.connect_timeout_s * kSecond;
      if (settled == plan_.clients.size() || stuck) {
        outcome_.connect_s = static_cast<double>(totals[kOpenReadyNs]) * 1e-9 -
                             static_cast<double>(begin_ns_) * 1e-9;
        return totals[kReady] == plan_.clients.size();
      }
      pause();
    }
  }

  void measure() {
    control_.start_ns.store(now_ns() + 1'000'000, std::memory_order_release);
    if (options_.messages != 0) {
      const Sample from = sample();
      control_.enter(Phase::measure);
      while (!all_arrived() && !silent()) pause();
      take_window(from, sample());
      return;
    }
    control_.enter(Phase::warm_up);
    const std::int64_t warm_ns = now_ns() + static_cast<std::int64_t>(options_.warmup_s * 1e9);
    pause_until(warm_ns);
    const Sample from = sample();
    control_.enter(Phase::measure);
    pause_until(from.at_ns + static_cast<std::int64_t>(options_.duration_s * 1e9));
    take_window(from, sample());
  }

  void drain() {
    control_.enter(Phase::drain);
    const std::int64_t drain_ns = now_ns();
    // A run of a fixed number has waited for the last message already.
    const std::int64_t from = options_.messages != 0 ? control_.start_ns.load() : drain_ns;
    while (!all_arrived() && !silent_since(from)) pause();
    outcome_.gave_up = !all_arrived();
    outcome_.drain_s = static_cast<double>(now_ns() - drain_ns) * 1e-9;
    // What should not come at all, a late duplicate, gets a moment to show itself.
    if (!outcome_.gave_up) pause_until(now_ns() + std::int64_t{options_.linger_ms} * 1'000'000);
  }

  bool all_arrived() const {
    const Totals totals = control_.totals();
    const bool all_sent =
        options_.messages == 0 || totals[kSent] == options_.messages * options_.publishers;
    return all_sent && totals[kDone] >= totals[kSent] &&
           totals[kUnique] >= totals[kSent] * plan_.copies;
  }

  bool silent() const { return silent_since(control_.start_ns.load()); }

  bool silent_since(std::int64_t from_ns) const {
    const Totals totals = control_.totals();
    if (totals[kClosed] == plan_.clients.size()) return true;
    const std::int64_t last = std::max(from_ns, static_cast<std::int64_t>(totals[kLastInNs]));
    return now_ns() - last > std::int64_t{options_.drain_ms} * 1'000'000;
  }

  Sample sample() const {
    Sample out;
    out.at_ns = now_ns();
    out.totals = control_.totals();
    out.own_cpu_ns = own_cpu_ns();
    if (options_.broker_pid != 0) {
      const Result<CpuTime> broker = cpu_time_of(options_.broker_pid);
      if (broker.ok()) out.broker = *broker;  // else it died, which its connections tell
    }
    return out;
  }

  void take_window(const Sample& from, const Sample& to) {
    // A run of a fixed number ends when the last message came, not when that was noticed.
    std::int64_t until = to.at_ns;
    if (options_.messages != 0 && to.totals[kLastInNs] != 0) {
      until = static_cast<std::int64_t>(to.totals[kLastInNs]);
    }
    outcome_.window_s = static_cast<double>(until - from.at_ns) * 1e-9;
    outcome_.sent = to.totals[kSent] - from.totals[kSent];
    outcome_.done = to.totals[kDone] - from.totals[kDone];
    outcome_.delivered = to.totals[kDelivered] - from.totals[kDelivered];
    outcome_.bytes_in = to.totals[kBytesIn] - from.totals[kBytesIn];
    outcome_.broker_known = to.broker.total_ns != 0;
    outcome_.broker_cpu_s = static_cast<double>(to.broker.total_ns - from.broker.total_ns) * 1e-9;
    outcome_.broker_user_s = to.broker.user_s - from.broker.user_s;
    outcome_.broker_system_s = to.broker.system_s - from.broker.system_s;
    outcome_.own_cpu_s = static_cast<double>(to.own_cpu_ns - from.own_cpu_ns) * 1e-9;
    outcome_.own_threads = options_.threads;
  }

  void tell_progress() {
    const std::int64_t now = now_ns();
    if (now - last_line_ns_ < kSecond) return;
    if (options_.quiet) {
      last_line_ns_ = now;
      return;
    }
    const Sample next = sample();
    const double seconds = static_cast<double>(now - last_line_ns_) * 1e-9;
    const auto rate = [this, &next, seconds](Count count) {
      return static_cast<double>(next.totals[count] - last_.totals[count]) / seconds;
    };
    const auto share = [seconds](std::int64_t ns) {
      return static_cast<double>(ns) * 1e-7 / seconds;
    };
    std::fprintf(stderr, "%4.0f s  ready %llu/%zu  sent %.0f/s  acked %.0f/s  delivered %.0f/s",
                 static_cast<double>(now - begin_ns_) * 1e-9,
                 static_cast<unsigned long long>(next.totals[kReady]), plan_.clients.size(),
                 rate(kSent), rate(kDone), rate(kDelivered));
    if (options_.broker_pid != 0 && last_.broker.total_ns != 0) {
      std::fprintf(stderr, "  broker %.0f %%", share(next.broker.total_ns - last_.broker.total_ns));
    }
    std::fprintf(stderr, "  own %.0f %%\n", share(next.own_cpu_ns - last_.own_cpu_ns));
    last_ = next;
    last_line_ns_ = now;
  }

  const Options& options_;
  const Addresses& addresses_;
  const Plan plan_;
  const PayloadFormat format_;
  Control control_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
  Outcome outcome_;
  std::int64_t begin_ns_ = 0;
  std::int64_t last_line_ns_ = 0;
  Sample last_;
};

}  // namespace

Result<Outcome> run(const Options& options) {
  raise_file_limit();
  if (options.broker_pid != 0) {
    const Result<CpuTime> broker = cpu_time_of(options.broker_pid);
    if (!broker.ok()) return broker.error();
  }
  const Result<Addresses> addresses = resolve(options);
  if (!addresses.ok()) return addresses.error();
  return Run(options, *addresses).go();
}

}  // namespace skald::bench
