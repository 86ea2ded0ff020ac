#include "kv/range/load.h"

#include <algorithm>
#include <cmath>

namespace skald::range {
namespace {

/// A sum that halves every kHalfLifeUs stands for this many seconds of a steady rate.
constexpr double kSecondsOfSum = static_cast<double>(kHalfLifeUs) / 1e6 / 0.6931471805599453;

std::uint64_t rate(double sum) {
  return static_cast<std::uint64_t>(std::llround(sum / kSecondsOfSum));
}

}  // namespace

void LoadMeter::decay(std::uint64_t now_us) {
  if (now_us <= at_us_) return;
  if (at_us_ != 0) {
    const double factor =
        std::exp2(-static_cast<double>(now_us - at_us_) / static_cast<double>(kHalfLifeUs));
    for (double* sum : {&commands_, &reads_, &bytes_, &applied_, &apply_us_, &apply_us_max_}) {
      *sum *= factor;
    }
  }
  at_us_ = now_us;
}

/// Each new key takes the place of a random old one: the sample is of what happened lately.
void LoadMeter::sample(std::string_view key) {
  std::string kept(key.substr(0, kSampleKeyBytes));
  if (samples_.size() < kSamples) {
    samples_.push_back(std::move(kept));
  } else if (random_.one_in(16)) {
    samples_[random_.below(kSamples)] = std::move(kept);
  }
}

void LoadMeter::on_command(std::string_view key, std::size_t bytes, std::uint64_t now_us) {
  decay(now_us);
  commands_ += 1;
  bytes_ += static_cast<double>(bytes);
  sample(key);
}

void LoadMeter::on_read(std::string_view key, std::uint64_t now_us) {
  decay(now_us);
  reads_ += 1;
  sample(key);
}

void LoadMeter::on_applied(std::uint64_t commands, std::uint64_t took_us, std::uint64_t now_us) {
  decay(now_us);
  const auto took = static_cast<double>(took_us);
  applied_ += static_cast<double>(commands);
  apply_us_ += took * static_cast<double>(commands);
  apply_us_max_ = std::max(apply_us_max_, took);
}

void LoadMeter::boundary_changed(const Boundary& boundary) {
  std::erase_if(samples_, [&boundary](const std::string& key) { return !boundary.contains(key); });
}

LoadReport LoadMeter::report(std::uint64_t now_us) {
  decay(now_us);
  LoadReport report;
  report.commands_per_s = rate(commands_);
  report.reads_per_s = rate(reads_);
  report.bytes_per_s = rate(bytes_);
  if (applied_ >= 1) {
    report.apply_us_average = static_cast<std::uint64_t>(std::llround(apply_us_ / applied_));
  }
  report.apply_us_max = static_cast<std::uint64_t>(std::llround(apply_us_max_));
  if (samples_.size() < kSamples / 2) return report;
  std::vector<std::string> sorted = samples_;
  std::sort(sorted.begin(), sorted.end());
  const std::string& middle = sorted[sorted.size() / 2];
  if (middle > sorted.front()) report.median = middle;
  return report;
}

std::optional<std::string> split_hint(const LoadReport& load, const SplitPolicy& policy) {
  const bool slow = load.apply_us_average > policy.apply_us_max &&
                    load.commands_per_s > policy.commands_per_s_min;
  const bool busy = load.commands_per_s > policy.commands_per_s_max ||
                    load.reads_per_s > policy.reads_per_s_max ||
                    load.bytes_per_s > policy.bytes_per_s_max;
  return slow || busy ? load.median : std::nullopt;
}

}  // namespace skald::range
