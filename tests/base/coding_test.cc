// config/base/coding.h: round trips, sort order, refusal of every truncation and of odd encodings.
#define BOOST_TEST_MODULE base
#include "config/base/coding.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <vector>

#include "config/base/random.h"

namespace skald {
namespace {

const std::vector<std::uint64_t> kNumbers = {
    0, 1, 127, 128, 255, 256, 16383, 16384, 0xffffffffULL, 0x100000000ULL, ~0ULL - 1, ~0ULL};

std::string random_key(Random& random) {
  std::string s(random.below(6), '\0');
  const std::string_view alphabet(
      "\0\1\xfe\xff"
      "ab",
      6);
  for (char& c : s) c = alphabet[random.below(alphabet.size())];
  return s;
}

BOOST_AUTO_TEST_CASE(pieces_come_back) {
  for (const std::uint64_t n : kNumbers) {
    std::string out;
    put_u8(out, static_cast<std::uint8_t>(n));
    put_be16(out, static_cast<std::uint16_t>(n));
    put_be32(out, static_cast<std::uint32_t>(n));
    put_be64(out, n);
    put_varint(out, n);
    put_bytes(out, std::string_view("a\0b", 3));
    put_ordered(out, std::string_view("\0x\0", 3));
    const auto read = [n](std::string_view in) {
      Reader r(in);
      const bool same =
          r.u8() == static_cast<std::uint8_t>(n) && r.be16() == static_cast<std::uint16_t>(n) &&
          r.be32() == static_cast<std::uint32_t>(n) && r.be64() == n && r.varint() == n &&
          r.bytes() == std::string_view("a\0b", 3) && r.ordered() == std::string_view("\0x\0", 3);
      return same && r.done();
    };
    BOOST_TEST(read(out));
    for (std::size_t cut = 0; cut < out.size(); ++cut) BOOST_TEST(!read(out.substr(0, cut)));
    BOOST_TEST(!read(out + '\0'));
  }
}

BOOST_AUTO_TEST_CASE(a_failure_is_for_good) {
  Reader r(
      "\x05"
      "abc");
  BOOST_TEST(r.bytes().empty());
  BOOST_TEST(!r.ok());
  BOOST_TEST(r.u8() == 0);
  BOOST_TEST(r.rest().empty());
  BOOST_TEST(!r.done());
}

BOOST_AUTO_TEST_CASE(one_value_has_one_varint) {
  for (const std::string_view bad :
       {std::string_view("\x80\x00", 2),
        std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
        std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        std::string_view("\x80")}) {
    Reader r(bad);
    r.varint();
    BOOST_TEST(!r.ok());
  }
}

BOOST_AUTO_TEST_CASE(versions) {
  Reader good("\x02");
  BOOST_TEST(good.version(2) == 2);
  Reader newer("\x03");
  BOOST_TEST(newer.version(2) == 0);
  BOOST_TEST(newer.newer_version() == 3);
  for (const std::string_view bad : {std::string_view("\0", 1), std::string_view()}) {
    Reader r(bad);
    BOOST_TEST(r.version(2) == 0);
    BOOST_TEST(!r.ok());
    BOOST_TEST(r.newer_version() == 0);
  }
}

BOOST_AUTO_TEST_CASE(keys_sort_as_their_parts) {
  Random random(1);
  for (int i = 0; i < 20000; ++i) {
    const std::string a1 = random_key(random), a2 = random_key(random);
    const std::uint64_t n1 = random.below(3), n2 = random.below(3) << 40;
    std::string k1, k2;
    put_ordered(k1, a1);
    put_be64(k1, n1);
    put_ordered(k2, a2);
    put_be64(k2, n2);
    BOOST_TEST((k1 < k2) == (std::pair(a1, n1) < std::pair(a2, n2)));
  }
}

BOOST_AUTO_TEST_CASE(prefix_end_is_the_bound) {
  BOOST_TEST(prefix_end("a") == "b");
  BOOST_TEST(prefix_end("a\xff\xff") == "b");
  BOOST_TEST(prefix_end("\xff\xff").empty());
  BOOST_TEST(prefix_end("").empty());
  Random random(2);
  for (int i = 0; i < 20000; ++i) {
    const std::string prefix = random_key(random), key = random_key(random);
    const std::string end = prefix_end(prefix);
    const bool inside = key >= prefix && (end.empty() || key < end);
    BOOST_TEST(inside == key.starts_with(prefix));
  }
}

}  // namespace
}  // namespace skald
