// Building blocks of everything Skald stores: records, keys, commands.
//
// Two kinds of pieces. In *keys* the byte order is the sort order: fixed big-endian numbers and
// `put_ordered` strings. In *values* size matters: varints and length-prefixed strings. A stored
// value starts with a version byte (`put_u8`, read by `Reader::version`), so that a newer record is
// refused with a reason and never misread.
//
// Writing appends to a std::string and cannot fail. Reading never trusts the bytes: the first piece
// that does not fit makes the Reader fail for good, every later piece reads as zero or empty, and
// the caller checks once, at the end, with `done()`. Views returned by a Reader point into its
// input.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace skald {

inline void put_u8(std::string& out, std::uint8_t v) { out.push_back(static_cast<char>(v)); }

/// Fixed width, most significant byte first: sorts as the number does.
template <std::unsigned_integral T>
void put_be(std::string& out, T v) {
  for (int shift = static_cast<int>(sizeof(T) - 1) * 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>((v >> shift) & 0xff));
  }
}
inline void put_be16(std::string& out, std::uint16_t v) { put_be(out, v); }
inline void put_be32(std::string& out, std::uint32_t v) { put_be(out, v); }
inline void put_be64(std::string& out, std::uint64_t v) { put_be(out, v); }

/// 7 bits a byte, least significant first; at most 10 bytes. Does not sort.
inline void put_varint(std::string& out, std::uint64_t v) {
  while (v >= 0x80) {
    out.push_back(static_cast<char>((v & 0x7f) | 0x80));
    v >>= 7;
  }
  out.push_back(static_cast<char>(v));
}

/// A varint length, then the bytes. Does not sort.
inline void put_bytes(std::string& out, std::string_view v) {
  put_varint(out, v.size());
  out.append(v);
}

/// A string inside a key: sorts as its bytes do, before anything longer that it begins, whatever
/// follows it in the key. 00 becomes 00 ff, the end is 00 01.
inline void put_ordered(std::string& out, std::string_view v) {
  for (const char c : v) {
    out.push_back(c);
    if (c == '\0') out.push_back('\xff');
  }
  out.push_back('\0');
  out.push_back('\x01');
}

/// The smallest key above every key that begins with `prefix`; empty when there is none (all ff).
inline std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

/// Reads pieces one after the other from `input`, which must outlive it.
class Reader {
 public:
  explicit Reader(std::string_view input) : rest_(input) {}

  /// False from the first piece that did not fit.
  bool ok() const { return ok_; }
  /// True when all pieces fitted and nothing is left: the check at the end of each record.
  bool done() const { return ok_ && rest_.empty(); }
  /// What is not yet read; empty after a failure.
  std::string_view rest() const { return rest_; }
  /// For a value that fits the codec but not its meaning (an unknown enum, a count out of bounds).
  void fail() {
    ok_ = false;
    rest_ = {};
  }

  std::uint8_t u8() { return be<std::uint8_t>(); }
  std::uint16_t be16() { return be<std::uint16_t>(); }
  std::uint32_t be32() { return be<std::uint32_t>(); }
  std::uint64_t be64() { return be<std::uint64_t>(); }

  /// Refuses what is longer than needed or beyond 64 bits: one value, one encoding.
  std::uint64_t varint() {
    std::uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const std::uint8_t byte = u8();
      if (!ok_) return 0;
      const bool too_big = shift == 63 && byte > 1;
      const bool padded = shift > 0 && byte == 0;
      if (too_big || padded) break;
      v |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return v;
    }
    fail();
    return 0;
  }

  /// `n` raw bytes.
  std::string_view raw(std::uint64_t n) {
    if (n > rest_.size()) {
      fail();
      return {};
    }
    const std::string_view v = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return v;
  }

  /// What `put_bytes` wrote.
  std::string_view bytes() { return raw(varint()); }

  /// What `put_ordered` wrote.
  std::string ordered() {
    std::string v;
    for (;;) {
      const std::size_t zero = rest_.find('\0');
      if (zero == std::string_view::npos) break;
      v.append(rest_.substr(0, zero));
      rest_.remove_prefix(zero + 1);
      const std::uint8_t mark = u8();
      if (mark == 0x01 && ok_) return v;
      if (mark != 0xff) break;
      v.push_back('\0');
    }
    fail();
    return {};
  }

  /// The version byte of a record: 1..newest, or fails. After a failure `newer_version()` tells
  /// a record of a later release from a damaged one.
  std::uint8_t version(std::uint8_t newest) {
    const std::uint8_t v = u8();
    if (v > newest) newer_version_ = v;
    if (v == 0 || v > newest) fail();
    return ok_ ? v : std::uint8_t{0};
  }
  /// 0: not that.
  std::uint8_t newer_version() const { return newer_version_; }

 private:
  template <std::unsigned_integral T>
  T be() {
    const std::string_view from = raw(sizeof(T));
    std::uint64_t v = 0;
    for (const char c : from) v = (v << 8) | static_cast<unsigned char>(c);
    return static_cast<T>(v);
  }

  std::string_view rest_;
  bool ok_ = true;
  std::uint8_t newer_version_ = 0;
};

}  // namespace skald
