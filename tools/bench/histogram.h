// Latencies in nanoseconds, to within 0.8 %: 128 linear steps to each power of two, as in HDR
// histograms. Recording is a few instructions; merging is by addition.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace skald::bench {

class Histogram {
 public:
  Histogram() : counts_(kBuckets) {}

  /// Negative values (clocks of two cores may differ by a little) count as 0.
  void record(std::int64_t value_ns) {
    const std::uint64_t value = value_ns > 0 ? static_cast<std::uint64_t>(value_ns) : 0;
    ++counts_[index_of(value < kMost ? value : kMost)];
    ++count_;
    if (value > max_) max_ = value;
    sum_ += value;
  }

  void merge(const Histogram& other);

  std::uint64_t count() const { return count_; }
  std::uint64_t max_ns() const { return max_; }
  double mean_ns() const;
  /// The value that `share` (0 to 1) of the records do not exceed; 0 when there are none.
  std::uint64_t percentile_ns(double share) const;

 private:
  static constexpr int kStepBits = 7;
  static constexpr int kMostBits = 42;  // over an hour
  static constexpr std::uint64_t kMost = (std::uint64_t{1} << kMostBits) - 1;
  static constexpr std::size_t kBuckets = std::size_t{kMostBits - kStepBits + 1} << kStepBits;

  static std::size_t index_of(std::uint64_t value) {
    if (value < (std::uint64_t{1} << kStepBits)) return value;
    const int shift = static_cast<int>(std::bit_width(value)) - kStepBits - 1;
    return (static_cast<std::size_t>(shift) << kStepBits) + (value >> shift);
  }
  static std::uint64_t top_of(std::size_t index);

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
  std::uint64_t sum_ = 0;
};

}  // namespace skald::bench
