// What one receiver got of one publisher: loss, duplicates and disorder, exactly.
//
// A flow costs a compare and two increments a message while all is in order. Once a message is
// missing or early, a bitmap from the first gap on remembers what came; it grows by one bit a
// message and is given back when the gap closes.
#pragma once

#include <cstdint>
#include <vector>

namespace skald::bench {

class Flow {
 public:
  /// For a receiver that joins midway: what came before the first message does not count as lost.
  void begin_anywhere() { begins_anywhere_ = true; }

  /// Takes note of a message. Returns true when it is the first with this sequence.
  bool take(std::uint64_t sequence) {
    if (sequence == contiguous_ && contiguous_ == end_) [[likely]] {
      ++contiguous_;
      ++end_;
      return true;
    }
    return take_slowly(sequence);
  }

  std::uint64_t unique() const { return contiguous_ - first_ + ahead_; }
  std::uint64_t duplicates() const { return duplicates_; }
  /// Messages that came after one with a higher sequence.
  std::uint64_t disordered() const { return disordered_; }
  /// One past the highest sequence seen.
  std::uint64_t end() const { return end_; }
  /// How many of [first, sent) are missing.
  std::uint64_t lost(std::uint64_t sent) const {
    const std::uint64_t expected = sent > first_ ? sent - first_ : 0;
    return expected > unique() ? expected - unique() : 0;
  }

 private:
  bool take_slowly(std::uint64_t sequence) {
    if (begins_anywhere_ && unique() == 0) {
      first_ = sequence;
      contiguous_ = end_ = sequence + 1;
      return true;
    }
    if (sequence < contiguous_) {
      ++duplicates_;
      return false;
    }
    if (bits_.empty()) base_ = contiguous_ & ~std::uint64_t{63};
    const std::uint64_t word = (sequence - base_) >> 6;
    const std::uint64_t bit = std::uint64_t{1} << (sequence & 63);
    if (word >= bits_.size()) bits_.resize(word + 1 + word / 2);
    if ((bits_[word] & bit) != 0) {
      ++duplicates_;
      return false;
    }
    bits_[word] |= bit;
    ++ahead_;
    if (sequence < end_) {
      ++disordered_;
    } else {
      end_ = sequence + 1;
    }
    if (sequence == contiguous_) close_gap();
    return true;
  }

  void close_gap() {
    while (contiguous_ < end_) {
      const std::uint64_t offset = contiguous_ - base_;
      if ((bits_[offset >> 6] >> (offset & 63) & 1) == 0) break;
      ++contiguous_;
      --ahead_;
    }
    if (contiguous_ == end_) {
      bits_.clear();
      return;
    }
    const std::uint64_t done = (contiguous_ - base_) >> 6;  // words that hold nothing more
    if (done < 1024 || done < bits_.size() / 2) return;
    bits_.erase(bits_.begin(), bits_.begin() + static_cast<std::ptrdiff_t>(done));
    base_ += done << 6;
  }

  std::uint64_t first_ = 0;
  std::uint64_t contiguous_ = 0;  // all of [first, contiguous) came
  std::uint64_t end_ = 0;
  std::uint64_t ahead_ = 0;  // came at or above contiguous
  std::uint64_t duplicates_ = 0;
  std::uint64_t disordered_ = 0;
  bool begins_anywhere_ = false;
  std::uint64_t base_ = 0;  // sequence of bits_[0]'s lowest bit; a multiple of 64
  std::vector<std::uint64_t> bits_;
};

}  // namespace skald::bench
