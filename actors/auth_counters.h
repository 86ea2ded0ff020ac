// Counts of logins, for metrics. One a node; written by any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace skald::actors {

struct AuthCounters {
  std::atomic<std::uint64_t> failures{0};      // wrong name or password, or no right to come in
  std::atomic<std::uint64_t> limited{0};       // refused unheard after too many failures
  std::atomic<std::uint64_t> refused_busy{0};  // the queue of comparisons was full
  std::atomic<std::uint64_t> waiting{0};       // for a comparison
  std::atomic<std::uint64_t> running{0};       // comparisons under way
};

}  // namespace skald::actors
