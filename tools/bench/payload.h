// What a message of the load generator carries, and how it is checked when it comes back.
//
//   0 run id u32 | 4 publisher u32 | 8 sequence u64 | 16 stamp u64 | 24 check u32 | 28 filler ...
//
// Little endian. The stamp is CLOCK_MONOTONIC in nanoseconds: when the message was sent, or when a
// paced one should have been. `check` covers the fields before it and the length. The filler is cut
// from a noise buffer at a place that depends on publisher and sequence, so that a broker that
// joins the head of one message with the tail of another is found out too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "config/base/random.h"

namespace skald::bench {

inline constexpr std::uint32_t kPayloadHeadBytes = 28;

struct PayloadHead {
  std::uint32_t run_id = 0;
  std::uint32_t publisher = 0;
  std::uint64_t sequence = 0;
  std::uint64_t stamp_ns = 0;
};

class PayloadFormat {
 public:
  /// Messages above `bytes_max` cannot be written, and are found corrupt when read.
  explicit PayloadFormat(std::size_t bytes_max) {
    Random random(0x5ca1d);
    noise_.resize(bytes_max + kOffsets);
    for (char& c : noise_) c = static_cast<char>(random.next());
  }

  /// Requires: kPayloadHeadBytes <= bytes <= bytes_max, and that much room at `to`.
  void write(const PayloadHead& head, std::size_t bytes, char* to) const {
    const std::uint32_t check = check_of(head, bytes);
    std::memcpy(to, &head.run_id, 4);
    std::memcpy(to + 4, &head.publisher, 4);
    std::memcpy(to + 8, &head.sequence, 8);
    std::memcpy(to + 16, &head.stamp_ns, 8);
    std::memcpy(to + 24, &check, 4);
    std::memcpy(to + kPayloadHeadBytes, noise_.data() + offset_of(head), bytes - kPayloadHeadBytes);
  }

  enum class Verdict : std::uint8_t { good, bad_head, bad_filler };

  /// Reads `head` and says whether the bytes are as written; with bad_filler, `head` is right.
  Verdict read(std::string_view payload, PayloadHead& head) const {
    if (payload.size() < kPayloadHeadBytes) return Verdict::bad_head;
    std::uint32_t check = 0;
    std::memcpy(&head.run_id, payload.data(), 4);
    std::memcpy(&head.publisher, payload.data() + 4, 4);
    std::memcpy(&head.sequence, payload.data() + 8, 8);
    std::memcpy(&head.stamp_ns, payload.data() + 16, 8);
    std::memcpy(&check, payload.data() + 24, 4);
    if (check != check_of(head, payload.size())) return Verdict::bad_head;
    const std::size_t filler = payload.size() - kPayloadHeadBytes;
    if (filler + kOffsets > noise_.size()) return Verdict::bad_filler;
    const bool same = std::memcmp(payload.data() + kPayloadHeadBytes,
                                  noise_.data() + offset_of(head), filler) == 0;
    return same ? Verdict::good : Verdict::bad_filler;
  }

 private:
  static constexpr std::size_t kOffsets = 1024;  // a power of two

  static std::size_t offset_of(const PayloadHead& head) {
    return (head.sequence * 37 + head.publisher * std::uint64_t{101}) & (kOffsets - 1);
  }

  static std::uint32_t check_of(const PayloadHead& head, std::size_t bytes) {
    const std::uint64_t who = (std::uint64_t{head.publisher} << 32) | head.run_id;
    std::uint64_t x = who * 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 29) ^ head.sequence) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 31) ^ head.stamp_ns ^ bytes) * 0x94d049bb133111ebULL;
    return static_cast<std::uint32_t>(x >> 32);
  }

  std::string noise_;
};

}  // namespace skald::bench
