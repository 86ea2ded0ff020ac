// What a range has to do, and where it might be split: counted by its leader's shell.
//
// A pure value. Counters decay by half every kHalfLifeUs, so a report tells of the last minute or
// so. The median key is that of a sample of the keys written and read lately.
//
// Bound: kSamples keys of at most kSampleKeyBytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/base/random.h"
#include "kv/range/state_machine.h"

namespace skald::range {

inline constexpr std::uint64_t kHalfLifeUs = 20'000'000;
inline constexpr std::size_t kSamples = 128;
inline constexpr std::size_t kSampleKeyBytes = 256;

struct LoadReport {
  std::uint64_t commands_per_s = 0;
  std::uint64_t reads_per_s = 0;
  std::uint64_t bytes_per_s = 0;       ///< of commands
  std::uint64_t apply_us_average = 0;  ///< from its commit to its end, of a command
  std::uint64_t apply_us_max = 0;      ///< lately
  std::optional<std::string> median;   ///< half of what happens lately is below it

  bool operator==(const LoadReport&) const = default;
};

class LoadMeter {
 public:
  explicit LoadMeter(Random random) : random_(random) {}

  void on_command(std::string_view key, std::size_t bytes, std::uint64_t now_us);
  void on_read(std::string_view key, std::uint64_t now_us);
  void on_applied(std::uint64_t commands, std::uint64_t took_us, std::uint64_t now_us);
  /// Samples outside are another range's.
  void boundary_changed(const Boundary& boundary);
  LoadReport report(std::uint64_t now_us);

 private:
  void decay(std::uint64_t now_us);
  void sample(std::string_view key);

  Random random_;
  std::uint64_t at_us_ = 0;
  double commands_ = 0;
  double reads_ = 0;
  double bytes_ = 0;
  double applied_ = 0;
  double apply_us_ = 0;
  double apply_us_max_ = 0;
  std::vector<std::string> samples_;
};

/// When a range is to be split for what it has to do, and where the machine may be asked to.
struct SplitPolicy {
  std::uint64_t commands_per_s_max = 20'000;
  std::uint64_t reads_per_s_max = 200'000;
  std::uint64_t bytes_per_s_max = 32 << 20;
  std::uint64_t apply_us_max = 50'000;
  std::uint64_t commands_per_s_min = 1'000;  ///< a slow disk alone splits nothing that is idle
};
std::optional<std::string> split_hint(const LoadReport& load, const SplitPolicy& policy);

}  // namespace skald::range
