#include "tools/bench/histogram.h"

#include <algorithm>
#include <cmath>

namespace skald::bench {

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
}

double Histogram::mean_ns() const {
  return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

std::uint64_t Histogram::top_of(std::size_t index) {
  if (index < (std::size_t{2} << kStepBits)) return index;
  const std::size_t shift = (index >> kStepBits) - 1;
  const std::uint64_t step = index - (shift << kStepBits);
  return ((step + 1) << shift) - 1;
}

std::uint64_t Histogram::percentile_ns(double share) const {
  if (count_ == 0) return 0;
  const auto rank = std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= rank) return std::min(top_of(i), max_);
  }
  return max_;
}

}  // namespace skald::bench
