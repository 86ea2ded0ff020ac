#include "mqtt/codec/utf8.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace skald::codec {
namespace {

constexpr std::uint64_t kOnes = 0x0101'0101'0101'0101;
constexpr std::uint64_t kHighs = 0x8080'8080'8080'8080;

enum class Refuse { nothing, nul, nul_and_wildcards };

/// Nonzero when some byte of `word` is zero. Exact as a whole, though not for each byte.
constexpr std::uint64_t zero_byte(std::uint64_t word) { return (word - kOnes) & ~word & kHighs; }

/// True when the eight bytes are ASCII and none of them is refused.
template <Refuse kRefuse>
bool plain(const char* at) {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  std::uint64_t bad = word & kHighs;
  if constexpr (kRefuse != Refuse::nothing) bad |= zero_byte(word);
  if constexpr (kRefuse == Refuse::nul_and_wildcards) {
    bad |= zero_byte(word ^ (kOnes * '#')) | zero_byte(word ^ (kOnes * '+'));
  }
  return bad == 0;
}

template <Refuse kRefuse>
bool refused(unsigned char byte) {
  if constexpr (kRefuse == Refuse::nothing) return false;
  if constexpr (kRefuse == Refuse::nul) return byte == 0;
  return byte == 0 || byte == '#' || byte == '+';
}

bool continuation(const char* at) { return (static_cast<unsigned char>(*at) & 0xC0) == 0x80; }

/// Length of the well-formed sequence of two to four bytes at `at`, or 0. Requires: at < end.
/// The bounds of the second byte are those of Unicode table 3-7.
std::size_t sequence(const char* at, const char* end) {
  const auto lead = static_cast<unsigned char>(*at);
  if (lead < 0xC2 || lead > 0xF4) return 0;  // stray, overlong, or above U+10FFFF
  const auto left = static_cast<std::size_t>(end - at);
  if (lead < 0xE0) return left >= 2 && continuation(at + 1) ? 2 : 0;
  if (left < 3 || !continuation(at + 2)) return 0;
  const auto second = static_cast<unsigned char>(at[1]);
  if (lead < 0xF0) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;   // E0 80..9F is overlong
    const unsigned high = lead == 0xED ? 0x9F : 0xBF;  // ED A0..BF is a surrogate
    return second >= low && second <= high ? 3 : 0;
  }
  if (left < 4 || !continuation(at + 3)) return 0;
  const unsigned low = lead == 0xF0 ? 0x90 : 0x80;   // F0 80..8F is overlong
  const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;  // F4 90..BF is above U+10FFFF
  return second >= low && second <= high ? 4 : 0;
}

template <Refuse kRefuse>
bool check(std::string_view bytes) {
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  while (at != end) {
    if (end - at >= 8 && plain<kRefuse>(at)) {
      at += 8;
      // The tail, read again together with bytes already known to be plain.
      if (end - at < 8 && plain<kRefuse>(end - 8)) return true;
      continue;
    }
    const auto byte = static_cast<unsigned char>(*at);
    if (byte < 0x80) {
      if (refused<kRefuse>(byte)) return false;
      ++at;
      continue;
    }
    const std::size_t length = sequence(at, end);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

}  // namespace

bool is_utf8(std::string_view bytes) { return check<Refuse::nothing>(bytes); }

bool is_mqtt_string(std::string_view bytes) { return check<Refuse::nul>(bytes); }

bool is_topic_name(std::string_view bytes) { return check<Refuse::nul_and_wildcards>(bytes); }

}  // namespace skald::codec
