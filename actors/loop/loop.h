// One I/O thread: a libevent base that is also a CAF execution unit.
//
// Actors pinned to the loop (pinned.h) run only here, between I/O callbacks. Jobs from the loop's
// own thread go to a local queue without a system call; jobs from other threads to a guarded queue
// and, when that was empty, an eventfd. After each round of callbacks and jobs the client's
// on_round() runs: the place where what a burst produced is flushed and sent.
#pragma once

#include <event2/event.h>

#include <caf/actor_system.hpp>
#include <caf/execution_unit.hpp>
#include <caf/resumable.hpp>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace skald::actors {

class Loop final : public caf::execution_unit {
 public:
  /// Told after each round. Runs on the loop's thread and does not throw.
  class Client {
   public:
    virtual ~Client() = default;
    virtual void on_round() noexcept = 0;
  };

  Loop(caf::actor_system& system, std::uint16_t index);
  ~Loop() override;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Starts the thread.
  void start();
  /// Ends the thread after the current round; jobs that are still queued are released unrun. The
  /// pinned actors must have ended. Any thread but the loop's own.
  void stop();

  /// Takes over one reference to `job`, as CAF's schedulers do. Any thread.
  void exec_later(caf::resumable* job) override;

  /// Set before start(), or from the loop's thread.
  void set_client(Client* client) { client_ = client; }
  event_base* base() { return base_; }
  std::uint16_t index() const { return index_; }

 private:
  static constexpr std::size_t kJobsPerRound = 256;  // then I/O gets its turn
  static constexpr std::size_t kMessagesPerJob = 64;

  static void on_wake(evutil_socket_t fd, short what, void* self) noexcept;
  void run();
  void run_jobs();
  void take_remote_jobs();

  std::uint16_t index_;
  event_base* base_ = nullptr;
  event* wake_event_ = nullptr;
  int wake_fd_ = -1;
  Client* client_ = nullptr;
  std::deque<caf::resumable*> jobs_;  // only the loop's thread
  std::mutex mutex_;
  std::vector<caf::resumable*> remote_jobs_;  // guarded by mutex_
  bool stopping_ = false;                     // guarded by mutex_
  bool running_ = false;                      // only the loop's thread
  std::thread thread_;
};

}  // namespace skald::actors
