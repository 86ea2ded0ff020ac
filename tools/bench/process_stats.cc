#include "tools/bench/process_stats.h"

#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace skald::bench {
namespace {

std::int64_t clock_ns(clockid_t clock) {
  timespec at{};
  clock_gettime(clock, &at);
  return std::int64_t{at.tv_sec} * 1'000'000'000 + at.tv_nsec;
}

/// The value in kB behind `key` in one of the files under /proc/<pid>; 0 when it is not there.
std::uint64_t kilobytes_of(int pid, const std::string& file, const std::string& key) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/" + file);
  std::string line;
  while (std::getline(in, line)) {
    if (line.compare(0, key.size(), key) != 0) continue;
    return std::strtoull(line.c_str() + key.size(), nullptr, 10);
  }
  return 0;
}

}  // namespace

Result<CpuTime> cpu_time_of(int pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  std::ifstream in(path);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const std::size_t name_end = text.rfind(')');  // the name may hold blanks and parentheses
  clockid_t clock{};
  if (name_end == std::string::npos || clock_getcpuclockid(pid, &clock) != 0) {
    return Error{"broker pid " + std::to_string(pid) + ": no such process, or " + path +
                 " is not readable"};
  }
  std::istringstream fields(text.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double user_ticks = 0;
  double system_ticks = 0;
  fields >> user_ticks >> system_ticks;
  const auto per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  return CpuTime{clock_ns(clock), user_ticks / per_second, system_ticks / per_second};
}

std::uint64_t resident_bytes_of(int pid) {
  std::uint64_t kilobytes = kilobytes_of(pid, "smaps_rollup", "Rss:");
  if (kilobytes == 0) kilobytes = kilobytes_of(pid, "status", "VmRSS:");
  return kilobytes * 1024;
}

std::int64_t own_cpu_ns() { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

std::int64_t now_ns() { return clock_ns(CLOCK_MONOTONIC); }

}  // namespace skald::bench
