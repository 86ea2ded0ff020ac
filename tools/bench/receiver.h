// What a receiver got, judged message by message: whose it is, whether it is whole, and whether it
// came once and in its place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tools/bench/flow.h"
#include "tools/bench/payload.h"
#include "tools/bench/plan.h"

namespace skald::bench {

class Receiver {
 public:
  enum class Verdict : std::uint8_t { fresh, duplicate, corrupt, foreign };

  /// `topics` and `format` must outlive it. Without a run id (mode sub) the first message's counts.
  Receiver(const ReceiverPlan& plan, const std::vector<std::string>& topics,
           const PayloadFormat& format, std::uint32_t run_id)
      : topics_(topics),
        format_(format),
        first_publisher_(plan.first_publisher),
        learns_(plan.learns),
        run_id_(run_id),
        flows_(plan.publishers) {}

  /// `head` is set unless the verdict is corrupt or foreign.
  Verdict take(std::string_view topic, std::string_view payload, PayloadHead& head) {
    const PayloadFormat::Verdict verdict = format_.read(payload, head);
    if (verdict == PayloadFormat::Verdict::bad_head) {
      ++corrupt_;
      return Verdict::corrupt;
    }
    const std::uint64_t index = std::uint64_t{head.publisher} - first_publisher_;
    if (learns_ && index >= flows_.size()) learn(head);
    const bool expected = head.run_id == run_id_ && index < flows_.size() &&
                          (learns_ || topic == topics_[head.publisher]);
    if (!expected) {
      ++foreign_;
      return Verdict::foreign;
    }
    // A message whose filler is damaged did arrive: it is corrupt, but not lost as well.
    const bool fresh = flows_[index].take(head.sequence);
    if (verdict != PayloadFormat::Verdict::good) {
      ++corrupt_;
      return Verdict::corrupt;
    }
    return fresh ? Verdict::fresh : Verdict::duplicate;
  }

  const std::vector<Flow>& flows() const { return flows_; }
  std::uint32_t first_publisher() const { return first_publisher_; }
  std::uint64_t corrupt() const { return corrupt_; }
  /// Whole, but not for this receiver: another run's, another publisher's or another topic's.
  std::uint64_t foreign() const { return foreign_; }

 private:
  static constexpr std::uint32_t kLearnedMax = 1'000'000;  // publishers; beyond: foreign

  void learn(const PayloadHead& head) {
    if (run_id_ == 0) run_id_ = head.run_id;
    if (head.run_id != run_id_ || head.publisher >= kLearnedMax) return;
    const std::size_t known = flows_.size();
    flows_.resize(head.publisher + std::size_t{1});
    // Each flow begins with its first message; until then it is one that expects nothing.
    for (std::size_t i = known; i < flows_.size(); ++i) flows_[i].begin_anywhere();
  }

  const std::vector<std::string>& topics_;
  const PayloadFormat& format_;
  std::uint32_t first_publisher_;
  bool learns_;
  std::uint32_t run_id_;
  std::uint64_t corrupt_ = 0;
  std::uint64_t foreign_ = 0;
  std::vector<Flow> flows_;
};

}  // namespace skald::bench
