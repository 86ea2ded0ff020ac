// The fast UTF-8 checks against the reference: all sequences of up to four bytes from the bounds of
// every class, behind and before runs of ASCII of every length, and random strings.
#include "mqtt/codec/utf8.h"

#include <array>
#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>

#include "config/base/random.h"
#include "tests/codec/utf8_reference.h"

namespace skald::codec {
namespace {

/// Every bound of RFC 3629's ranges with its neighbours, and the characters MQTT singles out.
constexpr std::array<unsigned char, 44> kBytes = {
    0x00, 0x01, '#',  '$',  '*',  '+',  ',',  '/',  'a',  0x7F, 0x80, 0x81, 0x8F, 0x90, 0x91,
    0x9F, 0xA0, 0xA1, 0xAF, 0xB0, 0xBE, 0xBF, 0xC0, 0xC1, 0xC2, 0xC3, 0xDF, 0xE0, 0xE1, 0xEC,
    0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF7, 0xF8, 0xFB, 0xFC, 0xFE, 0xFF};

/// True when all three checks agree with the reference. Of an exact copy, for the sanitizer.
bool agrees(std::string_view bytes) {
  const std::unique_ptr<char[]> block(new char[bytes.size()]);
  bytes.copy(block.get(), bytes.size());
  const std::string_view view(block.get(), bytes.size());
  return is_utf8(view) == reference_utf8(view, true, true) &&
         is_mqtt_string(view) == reference_utf8(view, false, true) &&
         is_topic_name(view) == reference_utf8(view, false, false);
}

/// `bytes` alone, and inside ASCII so that it meets every place of an eight byte word.
void check_embedded(const std::string& bytes, std::size_t before, std::size_t behind) {
  const std::string whole = std::string(before, 'x') + bytes + std::string(behind, 'y');
  if (!agrees(whole)) BOOST_ERROR("disagree on " << before << " ASCII + sequence + " << behind);
}

std::string sequence(std::size_t number, std::size_t length) {
  std::string bytes;
  for (std::size_t i = 0; i < length; ++i, number /= kBytes.size()) {
    bytes += static_cast<char>(kBytes[number % kBytes.size()]);
  }
  return bytes;
}

BOOST_AUTO_TEST_SUITE(utf8)

BOOST_AUTO_TEST_CASE(known_answers) {
  BOOST_TEST(is_utf8(""));
  BOOST_TEST(is_mqtt_string(""));
  BOOST_TEST(is_topic_name(""));
  BOOST_TEST(is_mqtt_string("\xEF\xBB\xBF"));      // U+FEFF
  BOOST_TEST(is_mqtt_string("\xEF\xBF\xBF"));      // U+FFFF, a non-character
  BOOST_TEST(is_mqtt_string("\xF4\x8F\xBF\xBF"));  // U+10FFFF
  BOOST_TEST(!is_mqtt_string("\xF4\x90\x80\x80"));
  BOOST_TEST(!is_mqtt_string("\xED\xA0\x80"));  // U+D800
  BOOST_TEST(!is_mqtt_string("\xC0\x80"));      // U+0000 as Java writes it
  BOOST_TEST(is_utf8(std::string_view("\0", 1)));
  BOOST_TEST(!is_mqtt_string(std::string_view("\0", 1)));
  BOOST_TEST(is_mqtt_string("a/+/#"));
  BOOST_TEST(!is_topic_name("a/+"));
  BOOST_TEST(!is_topic_name("#"));
}

BOOST_AUTO_TEST_CASE(all_sequences_of_the_bounds) {
  std::size_t count = 1;
  for (std::size_t length = 1; length <= 4; ++length) {
    count *= kBytes.size();
    for (std::size_t number = 0; number < count; ++number) {
      const std::string bytes = sequence(number, length);
      check_embedded(bytes, 0, 0);
      if (length <= 3) check_embedded(bytes, number % 17, number % 13);
    }
  }
}

BOOST_AUTO_TEST_CASE(every_place_in_a_word) {
  const std::string pieces[] = {
      std::string(1, '\0'), "#",    "+",        "\xC3\xA9",    "\xE2\x82\xAC",
      "\xF0\x9F\x98\x80",   "\x80", "\xE2\x82", "\xED\xA0\x80"};
  for (const std::string& piece : pieces) {
    for (std::size_t before = 0; before < 40; ++before) {
      for (std::size_t behind = 0; behind < 40; ++behind) check_embedded(piece, before, behind);
    }
  }
}

BOOST_AUTO_TEST_CASE(random_bytes) {
  Random random(20240611);
  for (int round = 0; round < 200000; ++round) {
    std::string bytes;
    const std::size_t size = random.below(40);
    while (bytes.size() < size) {
      if (random.chance(2, 3)) {
        bytes.append(random.below(12), static_cast<char>('a' + random.below(26)));
      } else {
        bytes += static_cast<char>(kBytes[random.below(kBytes.size())]);
      }
    }
    if (!agrees(bytes)) BOOST_ERROR("disagree in round " << round);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::codec
