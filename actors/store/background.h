// Work on the disks that may take long and that nobody waits for: flushes, garbage, compactions.
//
// One thread for the node, one task at a time, in order. Owned by the node; ends before what the
// tasks use.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace skald::actors {

class Background {
 public:
  Background() = default;
  ~Background() { stop(); }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  void start();
  /// Drops what waits.
  void stop();
  /// Any thread. Who submits keeps to one task of a kind at a time.
  void submit(std::function<void()> task);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::thread thread_;
};

}  // namespace skald::actors
