#include "mqtt/auth/password.h"

#include <boost/test/unit_test.hpp>

#include "mqtt/auth/base64.h"

namespace skald::auth {
namespace {

using Match = PasswordHash::Match;

/// Cheap, for tests only.
constexpr Argon2Cost kCheap{.memory_kib = 64, .passes = 1, .lanes = 1};
constexpr std::string_view kSalt = "sixteen bytes ok";

// Made by mosquitto_passwd 2.0.11 (-H sha512; its default) and by libargon2's own encoder, for
// "sesame".
constexpr std::string_view kForeign[] = {
    "$6$e4DI8FLDXpXldb/"
    "R$NZW8C7x7v2P6oyjKYkZnP5ul5eccIEVAM+cPnMRTZFoiozmVhmXM3JhfRcfj4g0GV3amcs8rvQ/7AQrxp/TZ6g==",
    "$7$101$HsBAvOGMPSTEsNsY$"
    "KpsDxtx9iwYTQJoJoMJ7P1W2CeqAt4YWsqkHTigBwsKQTDCvkBOdYncgB4IfdA7enG0xvynhbXcQ9rjMncsnow==",
    "$argon2id$v=19$m=256,t=2,p=2"
    "$c2l4dGVlbiBieXRlcyBvaw$foeGkAPMcBMeNhwdoPv9qUTR8VDcxyryFa5xivtGQmw",
};

BOOST_AUTO_TEST_CASE(hashes_of_other_programs) {
  for (const std::string_view text : kForeign) {
    BOOST_TEST_CONTEXT(text) {
      const Result<PasswordHash> hash = PasswordHash::parse(text);
      BOOST_REQUIRE(hash.ok());
      BOOST_TEST((hash->matches("sesame") == Match::yes));
      BOOST_TEST((hash->matches("sesame ") == Match::no));
      BOOST_TEST((hash->matches("") == Match::no));
      BOOST_TEST(hash->text() == text);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_is_made_can_be_read) {
  for (const std::string_view password :
       {std::string_view("p\0q", 3), std::string_view("x"), std::string_view("pa$$:w\xc3\xb6rd"),
        std::string_view()}) {
    for (const bool argon : {true, false}) {
      const Result<PasswordHash> made = argon ? PasswordHash::argon2id(password, kSalt, kCheap)
                                              : PasswordHash::pbkdf2(password, kSalt, 10);
      BOOST_REQUIRE(made.ok());
      const Result<PasswordHash> read = PasswordHash::parse(made->text());
      BOOST_REQUIRE(read.ok());
      BOOST_TEST((*read == *made));
      BOOST_TEST((read->matches(password) == Match::yes));
      BOOST_TEST((read->matches(std::string(password) + "x") == Match::no));
    }
  }
  const auto one = PasswordHash::argon2id("x", kSalt, kCheap);
  const auto other = PasswordHash::argon2id("x", "another salt 16b", kCheap);
  BOOST_TEST(one->text() != other->text());
}

BOOST_AUTO_TEST_CASE(what_is_no_hash) {
  const std::string salt = base64(kSalt, false);
  const std::string hash = base64(std::string(32, 'h'), false);
  const std::string long_hash = base64(std::string(64, 'h'), true);
  const std::string bad[] = {
      "",
      "sesame",
      "$",
      "$$$$$$",
      "$5$" + salt + "$" + long_hash,
      "$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + hash,
      "$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + hash,
      "$argon2id$v=19$m=64,t=1$" + salt + "$" + hash,
      "$argon2id$v=19$m=64,t=0,p=1$" + salt + "$" + hash,
      "$argon2id$v=19$m=64,t=1,p=99$" + salt + "$" + hash,
      "$argon2id$v=19$m=4,t=1,p=1$" + salt + "$" + hash,
      "$argon2id$v=19$m=4294967296,t=1,p=1$" + salt + "$" + hash,
      "$argon2id$v=19$m=1048577,t=1,p=1$" + salt + "$" + hash,
      "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$",
      "$argon2id$v=19$m=64,t=1,p=1$$" + hash,
      "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + hash + "$",
      "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + base64("short", false),
      "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$!!!!" + hash,
      "$7$0$" + salt + "$" + long_hash,
      "$7$-1$" + salt + "$" + long_hash,
      "$7$99999999999$" + salt + "$" + long_hash,
      "$7$101$" + salt + "$",
      "$7$101$$" + long_hash,
      "$7$101$" + salt + "$" + hash,
      "$6$" + salt + "$" + hash,
      "$6$" + salt,
  };
  for (const std::string& text : bad) {
    BOOST_TEST_CONTEXT(text) {
      const Result<PasswordHash> hash_read = PasswordHash::parse(text);
      BOOST_REQUIRE(!hash_read.ok());
      // Never repeats what it was given.
      BOOST_TEST((text.size() < 8 || hash_read.error().message.find(text.substr(text.size() / 2)) ==
                                         std::string::npos));
    }
  }
  BOOST_TEST((PasswordHash().matches("") == Match::failed));  // of nothing: matches nothing
}

BOOST_AUTO_TEST_CASE(base64_both_ways) {
  // RFC 4648 section 10.
  const std::pair<std::string_view, std::string_view> cases[] = {{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : cases) {
    BOOST_TEST(base64(plain, true) == text);
    BOOST_TEST(from_base64(text).value_or("?") == plain);
    const std::string unpadded = base64(plain, false);
    BOOST_TEST(unpadded.find('=') == std::string::npos);
    BOOST_TEST(from_base64(unpadded).value_or("?") == plain);
  }
  for (const std::string_view bad : {"Z", "Zg=", "Z===", "Zg==Zg==", "Zh==", "Z g=", "Zm9v\n"}) {
    BOOST_TEST(!from_base64(bad).has_value());
  }
}

}  // namespace
}  // namespace skald::auth
