// What the kernel says about a process: CPU time and memory. Linux.
#pragma once

#include <cstdint>

#include "config/base/result.h"

namespace skald::bench {

struct CpuTime {
  std::int64_t total_ns = 0;  // exact, all threads, also those that ended
  double user_s = 0;          // to a hundredth of a second, from /proc/<pid>/stat
  double system_s = 0;
};

/// Requires: pid > 0.
Result<CpuTime> cpu_time_of(int pid);

/// Resident memory in bytes: of smaps_rollup where it is readable, else of status; 0 if neither.
std::uint64_t resident_bytes_of(int pid);

/// This process, all threads.
std::int64_t own_cpu_ns();

/// CLOCK_MONOTONIC.
std::int64_t now_ns();

}  // namespace skald::bench
