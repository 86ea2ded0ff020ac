#include "actors/loop/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "config/base/assert.h"

namespace skald::actors {

namespace {

thread_local const Loop* current_loop = nullptr;

}  // namespace

Loop::Loop(caf::actor_system& system, std::uint16_t index)
    : caf::execution_unit(&system), index_(index) {
  event_config* config = event_config_new();
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  base_ = event_base_new_with_config(config);
  event_config_free(config);
  SKALD_ASSERT(base_ != nullptr);
  wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  SKALD_ASSERT(wake_fd_ >= 0);
  wake_event_ = event_new(base_, wake_fd_, EV_READ | EV_PERSIST, &Loop::on_wake, this);
  SKALD_ASSERT(wake_event_ != nullptr && event_add(wake_event_, nullptr) == 0);
}

Loop::~Loop() {
  stop();
  take_remote_jobs();
  for (caf::resumable* job : jobs_) caf::intrusive_ptr_release(job);
  event_free(wake_event_);
  event_base_free(base_);
  close(wake_fd_);
}

void Loop::start() {
  thread_ = std::thread([this] { run(); });
}

void Loop::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  const std::uint64_t one = 1;
  SKALD_ASSERT(write(wake_fd_, &one, sizeof one) == sizeof one);
  thread_.join();
}

void Loop::exec_later(caf::resumable* job) {
  if (current_loop == this) {
    jobs_.push_back(job);
    return;
  }
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    was_empty = remote_jobs_.empty();
    remote_jobs_.push_back(job);
  }
  if (!was_empty) return;
  const std::uint64_t one = 1;
  SKALD_ASSERT(write(wake_fd_, &one, sizeof one) == sizeof one);
}

void Loop::on_wake(evutil_socket_t, short, void* self) noexcept {
  static_cast<Loop*>(self)->take_remote_jobs();
}

void Loop::take_remote_jobs() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t ignored = read(wake_fd_, &count, sizeof count);
  std::vector<caf::resumable*> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(remote_jobs_);
    if (stopping_) running_ = false;
  }
  jobs_.insert(jobs_.end(), taken.begin(), taken.end());
}

void Loop::run_jobs() {
  for (std::size_t i = 0; i < kJobsPerRound && !jobs_.empty(); ++i) {
    caf::resumable* job = jobs_.front();
    jobs_.pop_front();
    switch (job->resume(this, kMessagesPerJob)) {
      case caf::resumable::resume_later:
        jobs_.push_back(job);
        break;
      case caf::resumable::done:
      case caf::resumable::awaiting_message:
        caf::intrusive_ptr_release(job);
        break;
      case caf::resumable::shutdown_execution_unit:
        caf::intrusive_ptr_release(job);
        running_ = false;
        break;
    }
  }
}

void Loop::run() {
  current_loop = this;
  running_ = true;
  while (running_) {
    run_jobs();
    if (client_ != nullptr) client_->on_round();
    // NONBLOCK alone would stay inside for as long as any socket is ready.
    event_base_loop(base_, EVLOOP_ONCE | (jobs_.empty() ? 0 : EVLOOP_NONBLOCK));
  }
  current_loop = nullptr;
}

}  // namespace skald::actors
