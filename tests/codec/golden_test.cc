// Golden frames as they are, cut at every byte, shortened inside, and with every length changed.
#include "tests/codec/golden.h"

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <set>
#include <string>

#include "mqtt/codec/decoder.h"
#include "mqtt/codec/encoder.h"

namespace skald::codec {
namespace {

std::string to_hex(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (!out.empty()) out += ' ';
    out += {kHex[byte >> 4], kHex[byte & 15]};
  }
  return out;
}

/// Golden files stay readable: a long line keeps its beginning and its length.
std::string elided(const std::string& text) {
  if (text.size() <= 600) return text;
  return text.substr(0, 100) + "... (" + std::to_string(text.size()) + " characters)";
}

std::string decoded_line(const Verdict& verdict) {
  return verdict.decoded.empty() ? "not complete" : elided(verdict.decoded);
}

std::string encoded_line(const GoldenCase& golden, const Verdict& verdict) {
  if (verdict.reencoded.empty()) return "";
  return verdict.reencoded == golden.bytes ? "same" : to_hex(verdict.reencoded);
}

bool complete(const GoldenCase& golden) {
  return next_frame(golden.bytes, kMaxVarint).status == FrameStatus::complete;
}

template <class Check>
void for_each_whole_frame(const Check& check) {
  for (const GoldenFile& file : load_golden_files()) {
    for (const GoldenCase& golden : file.cases) {
      if (complete(golden)) check(golden);
    }
  }
}

BOOST_AUTO_TEST_SUITE(golden_frames)

BOOST_AUTO_TEST_CASE(decode_and_encode_as_written) {
  const bool update = std::getenv("UPDATE_GOLDEN") != nullptr;
  std::size_t cases = 0;
  std::set<std::string> names;
  for (GoldenFile& file : load_golden_files()) {
    for (GoldenCase& golden : file.cases) {
      ++cases;
      BOOST_TEST_CONTEXT(golden.where) {
        BOOST_TEST(names.insert(golden.where).second, "named twice");
        const Verdict verdict = judge(golden.bytes, golden.version, golden.side);
        BOOST_TEST(verdict.fault == "");
        if (update) {
          golden.decoded = decoded_line(verdict);
          golden.encoded = encoded_line(golden, verdict);
        }
        BOOST_TEST(decoded_line(verdict) == golden.decoded);
        BOOST_TEST(encoded_line(golden, verdict) == golden.encoded);
      }
    }
    if (update) save_golden_file(file);
  }
  BOOST_TEST(cases > 700);
}

BOOST_AUTO_TEST_CASE(every_prefix_needs_more) {
  for_each_whole_frame([](const GoldenCase& golden) {
    BOOST_TEST_CONTEXT(golden.where) { BOOST_TEST(judge_prefixes(golden.bytes) == ""); }
  });
}

/// The packet cut at every byte, with the Remaining Length of what is left: an error, or (a
/// payload, a 3.1 user name, ...) another whole packet, for which all that judge() checks must
/// hold.
BOOST_AUTO_TEST_CASE(every_shortened_body) {
  for_each_whole_frame([](const GoldenCase& golden) {
    const Frame frame = next_frame(golden.bytes, kMaxVarint).frame;
    if (frame.body.size() > 1000) return;
    for (std::size_t size = 0; size < frame.body.size(); ++size) {
      std::string cut(1, static_cast<char>(frame.first));
      put_varint(static_cast<std::uint32_t>(size), cut);
      cut += frame.body.substr(0, size);
      for (const Version version : {Version::v31, Version::v311, Version::v5}) {
        const Verdict verdict = judge(cut, version, golden.side);
        BOOST_TEST_CONTEXT(golden.where << " cut to " << size) {
          BOOST_TEST(verdict.fault == "");
          BOOST_TEST(verdict.decoded != "");
        }
      }
    }
  });
}

/// Every byte of the body as a length that is too short or too long, on every version and side.
BOOST_AUTO_TEST_CASE(every_changed_length) {
  for_each_whole_frame([](const GoldenCase& golden) {
    if (golden.bytes.size() > 1000) return;
    const std::size_t header =
        golden.bytes.size() - next_frame(golden.bytes, kMaxVarint).frame.body.size();
    for (std::size_t i = header; i < golden.bytes.size(); ++i) {
      const auto old = static_cast<unsigned char>(golden.bytes[i]);
      for (const int value : {old - 1, old + 1, old / 2, 0, 0x7F, 0x80, 0xFF}) {
        std::string changed = golden.bytes;
        changed[i] = static_cast<char>(value);
        for (const Side side : {Side::client, Side::server}) {
          const Verdict verdict = judge(changed, golden.version, side);
          if (verdict.fault.empty() && !verdict.decoded.empty()) continue;
          BOOST_TEST_CONTEXT(golden.where << " byte " << i << " = " << value) {
            BOOST_TEST(verdict.fault == "");
            BOOST_TEST(verdict.decoded != "");
          }
        }
      }
    }
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::codec
