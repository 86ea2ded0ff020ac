#include "tools/bench/control.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

namespace skald::bench {

Control::Control(std::uint32_t workers) {
  for (std::uint32_t i = 0; i < workers; ++i) {
    wake_fds_.push_back(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    published_.push_back(std::make_unique<Published>());
  }
}

Control::~Control() {
  for (const int fd : wake_fds_) {
    if (fd >= 0) close(fd);
  }
}

void Control::enter(Phase phase) {
  phase_.store(phase, std::memory_order_release);
  const std::uint64_t one = 1;
  for (const int fd : wake_fds_) {
    // Cannot fail: the counter is cleared on every wake and far from overflow.
    [[maybe_unused]] const ssize_t written = write(fd, &one, sizeof one);
  }
}

void Control::clear_wake(std::uint32_t worker) {
  std::uint64_t value = 0;
  [[maybe_unused]] const ssize_t got = read(wake_fds_[worker], &value, sizeof value);
}

void Control::publish(std::uint32_t worker, const Totals& totals) {
  for (std::size_t i = 0; i < kCounts; ++i) {
    published_[worker]->values[i].store(totals[i], std::memory_order_relaxed);
  }
}

Totals Control::totals() const {
  Totals sum{};
  for (const auto& one : published_) {
    for (std::size_t i = 0; i < kCounts; ++i) {
      const std::uint64_t value = one->values[i].load(std::memory_order_relaxed);
      const bool is_time = i == kLastInNs || i == kOpenReadyNs;
      sum[i] = is_time ? std::max(sum[i], value) : sum[i] + value;
    }
  }
  return sum;
}

void Control::tell_error(const std::string& message) {
  const std::lock_guard lock(mutex_);
  if (first_error_.empty()) first_error_ = message;
}

std::string Control::first_error() const {
  const std::lock_guard lock(mutex_);
  return first_error_;
}

}  // namespace skald::bench
