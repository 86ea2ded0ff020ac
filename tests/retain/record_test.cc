// Stored records: there and back, and every damage told instead of believed or asserted.
#include "mqtt/retain/record.h"

#include <boost/test/unit_test.hpp>
#include <string>

#include "config/base/coding.h"
#include "config/base/random.h"
#include "tests/retain/publications.h"

namespace skald::retain {
namespace {

BOOST_AUTO_TEST_SUITE(record)

std::string random_bytes(Random& random, std::uint64_t most) {
  std::string bytes(random.below(most + 1), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.below(256));
  return bytes;
}

BOOST_AUTO_TEST_CASE(round_trip) {
  Random random(1);
  for (int i = 0; i < 500; ++i) {
    mqtt::PublicationInfo info;
    info.publisher = {{NodeId{random.next()}, LifeNumber{random.next()}}, random.next()};
    info.sequence = random.next() >> random.below(64);
    info.stamp_ms = random.next() >> random.below(64);
    info.expiry_ms = random.one_in(3) ? 0 : random.next() >> random.below(64);
    info.qos = static_cast<codec::QoS>(random.below(3));
    info.retain = true;
    const std::string tenant = random_bytes(random, 12);
    const std::string topic = "a/" + std::to_string(random.next());
    const auto wanted = mqtt::Publication::make(info, tenant, topic, random_bytes(random, 300),
                                                "p" + random_bytes(random, 5000));
    const auto got = decode_record(record_key(tenant, topic), record_value(*wanted));
    BOOST_REQUIRE(got.ok());
    BOOST_REQUIRE(same(**got, *wanted));
  }
}

BOOST_AUTO_TEST_CASE(keys_sort_by_tenant_then_topic) {
  const char* const names[] = {"", "a", "a/", "a/b", "aa", "b"};
  for (const char* tenant : names) {
    for (const char* topic : names) {
      for (const char* other_tenant : names) {
        for (const char* other : names) {
          const auto plain = std::pair(std::string(tenant), std::string(topic));
          const auto other_plain = std::pair(std::string(other_tenant), std::string(other));
          BOOST_REQUIRE_EQUAL(record_key(tenant, topic) < record_key(other_tenant, other),
                              plain < other_plain);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(every_cut_and_every_addition_is_damage) {
  const auto publication = make({.payload = "payload", .properties = "props", .expiry_ms = 77});
  const std::string key = record_key("t", "a");
  const std::string value = record_value(*publication);
  BOOST_REQUIRE(decode_record(key, value).ok());
  for (std::size_t size = 0; size < value.size(); ++size) {
    BOOST_REQUIRE(!decode_record(key, value.substr(0, size)).ok());
  }
  for (std::size_t size = 0; size < key.size(); ++size) {
    BOOST_REQUIRE(!decode_record(key.substr(0, size), value).ok());
  }
  BOOST_CHECK(!decode_record(key, value + "x").ok());
  BOOST_CHECK(!decode_record(key + "x", value).ok());
}

BOOST_AUTO_TEST_CASE(version) {
  std::string value = record_value(*make({}));
  const std::string key = record_key("t", "a");
  value[0] = 2;
  BOOST_CHECK_NE(decode_record(key, value).error().message.find("newer"), std::string::npos);
  value[0] = 0;
  BOOST_CHECK_NE(decode_record(key, value).error().message.find("damaged"), std::string::npos);
  BOOST_CHECK_NE(decode_record(key, "").error().message.find("damaged"), std::string::npos);
}

/// What no command could have stored must not reach the memory of a replica.
BOOST_AUTO_TEST_CASE(impossible_contents) {
  const std::string value = record_value(*make({}));
  std::string deep;
  for (int i = 0; i < 300; ++i) deep += "a/";
  for (const std::string& topic : {std::string(), std::string("+"), std::string("a/#"),
                                   std::string("a\0b", 3), deep, std::string(65536, 'a')}) {
    BOOST_CHECK(!decode_record(record_key("t", topic), value).ok());
  }
  BOOST_CHECK(!decode_record(record_key(std::string(65536, 't'), "a"), value).ok());
  BOOST_CHECK(!decode_record(record_key("t", "a"), record_value(*make({.payload = ""}))).ok());
  std::string bad_qos = value;
  bad_qos[1 + 2 + 1] = 3;  // behind version, two bytes of stamp, one of expiry
  BOOST_CHECK(!decode_record(record_key("t", "a"), bad_qos).ok());
}

BOOST_AUTO_TEST_CASE(random_damage_never_asserts) {
  Random random(2);
  const std::string key = record_key("t", "a/b");
  const std::string value =
      record_value(*make({.topic = "a/b", .payload = "payload", .properties = "props"}));
  for (int i = 0; i < 20000; ++i) {
    std::string damaged_key = key;
    std::string damaged = value;
    std::string& target = random.one_in(3) ? damaged_key : damaged;
    for (std::uint64_t left = random.between(1, 3); left > 0; --left) {
      target[random.below(target.size())] = static_cast<char>(random.below(256));
    }
    const auto got = decode_record(damaged_key, damaged);
    if (!got) continue;
    BOOST_REQUIRE(record_key((*got)->tenant(), (*got)->topic()) == damaged_key);
    BOOST_REQUIRE(record_value(**got) == damaged);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::retain
