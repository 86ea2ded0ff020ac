// A snapshot that one thread publishes and many read: immutable, replaced by one pointer.
//
// Readers keep their own shared_ptr and look at the version, one atomic load, to see whether a
// newer one is there; only then do they take the lock. What a publisher published before it sent a
// message is seen by whoever acts on that message.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

namespace skald::actors {

template <class T>
class Published {
 public:
  void publish(std::shared_ptr<const T> next) {
    const std::lock_guard lock(mutex_);
    current_ = std::move(next);
    version_.fetch_add(1, std::memory_order_release);
  }

  /// The newest, when it is not the one of `version`; null otherwise. Moves `version` on.
  std::shared_ptr<const T> newer(std::uint64_t& version) const {
    if (version_.load(std::memory_order_acquire) == version) return nullptr;
    const std::lock_guard lock(mutex_);
    version = version_.load(std::memory_order_relaxed);
    return current_;
  }

 private:
  std::atomic<std::uint64_t> version_{0};
  mutable std::mutex mutex_;
  std::shared_ptr<const T> current_;
};

}  // namespace skald::actors
