// Commands and replies of retain as bytes: round trips, every truncation, bytes that lie, and the
// machine driven by bytes alone. With them the publication codec.
#include "mqtt/retain/codec.h"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "config/base/coding.h"
#include "config/base/random.h"
#include "mqtt/publication_codec.h"
#include "tests/retain/publications.h"

namespace skald::retain {
namespace {

std::vector<mqtt::PublicationRef> samples() {
  mqtt::PublicationInfo info;
  info.publisher = mqtt::persistent_publisher("t", "client", ~0ULL);
  info.trace_id = ~0ULL;
  info.qos = codec::QoS::exactly_once;
  return {make({}), make({.payload = "", .properties = "properties", .expiry_ms = ~0ULL}),
          mqtt::Publication::make(info, "", "topic", "", std::string(1000, 'p'))};
}

bool same_all(const std::vector<mqtt::PublicationRef>& a,
              const std::vector<mqtt::PublicationRef>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return same(*x, *y) && x->info().trace_id == y->info().trace_id;
  });
}

BOOST_AUTO_TEST_SUITE(retain_codec)

BOOST_AUTO_TEST_CASE(publications) {
  for (const mqtt::PublicationRef& publication : samples()) {
    std::string bytes;
    mqtt::put_publication(bytes, *publication);
    Reader reader(bytes);
    const mqtt::PublicationRef read = mqtt::read_publication(reader);
    BOOST_REQUIRE(read && reader.done());
    BOOST_CHECK(same_all({publication}, {read}));
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      Reader part(std::string_view(bytes).substr(0, cut));
      BOOST_CHECK(!mqtt::read_publication(part) && !part.ok());
    }
    for (const char flags : {'\3', '\7', '\x8', '\xff'}) {
      std::string wrong = bytes;
      wrong[0] = flags;
      Reader part(wrong);
      BOOST_CHECK(!mqtt::read_publication(part) && !part.ok());
    }
  }
}

BOOST_AUTO_TEST_CASE(persistent_publishers) {
  const Life life = mqtt::persistent_life("t", "client");
  // Stored and sent: it must never become another.
  BOOST_CHECK_EQUAL(life.node.value, 0xcb3f89f022759519ULL);
  BOOST_CHECK_EQUAL(life.number.value, 0U);
  BOOST_CHECK(life != mqtt::persistent_life("tc", "lient"));
  BOOST_CHECK(life != mqtt::persistent_life("", "tclient"));
  BOOST_CHECK(life != mqtt::persistent_life("u", "client"));
}

BOOST_AUTO_TEST_CASE(commands) {
  for (const Command& command :
       {Command{Store{samples()}}, Command{Store{samples(), {}, {3, 1ULL << 40}}},
        Command{Store{samples(), {{"t", 3, 0}, {"uu", 0, 1ULL << 50}}}}, Command{Store{}},
        Command{Expire{7}}, Command{Expire{UINT32_MAX}}}) {
    const std::string bytes = encode_command(command);
    const Result<Command> read = decode_command(bytes);
    BOOST_REQUIRE(read.ok());
    BOOST_REQUIRE_EQUAL(read->index(), command.index());
    if (const auto* store = std::get_if<Store>(&command)) {
      BOOST_CHECK(same_all(std::get<Store>(*read).publications, store->publications));
      BOOST_CHECK(std::get<Store>(*read).limits == store->limits);
      BOOST_CHECK(std::get<Store>(*read).most == store->most);
    } else {
      BOOST_CHECK_EQUAL(std::get<Expire>(*read).limit, std::get<Expire>(command).limit);
    }
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      BOOST_CHECK(!decode_command(bytes.substr(0, cut)).ok());
    }
    BOOST_CHECK(!decode_command(bytes + '\0').ok());
    std::string newer = bytes;
    newer[0] = 4;
    const Result<Command> refused = decode_command(newer);
    BOOST_REQUIRE(!refused.ok());
    BOOST_CHECK(refused.error().message.find("newer") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(replies) {
  using enum StoreResult;
  Reply big;
  big.results.assign(kMaxPublications, done);
  BOOST_CHECK_LE(encode_reply(big).size(), 5U);
  for (const Reply& reply : {Reply{}, Reply{{done, done}, true},
                             Reply{{quota, done, wrong_range, invalid}, false}, big}) {
    const std::string bytes = encode_reply(reply);
    const Result<Reply> read = decode_reply(bytes);
    BOOST_REQUIRE(read.ok());
    BOOST_CHECK(*read == reply);
    // A shorter one is refused, or says less: never more, and never something else.
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      const Result<Reply> part = decode_reply(bytes.substr(0, cut));
      if (!part.ok()) continue;
      BOOST_REQUIRE_EQUAL(part->results.size(), reply.results.size());
      for (std::size_t i = 0; i < reply.results.size(); ++i) {
        BOOST_REQUIRE(part->results[i] == reply.results[i] || part->results[i] == done);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(bytes_that_lie) {
  const auto reply_of = [](std::initializer_list<std::uint64_t> numbers) {
    std::string bytes;
    for (const std::uint64_t number : numbers) put_varint(bytes, number);
    return decode_reply(bytes).ok();
  };
  BOOST_CHECK(reply_of({1, 0, 4, 1, 1, 3, 1}));
  BOOST_CHECK(!reply_of({1, 2, 4}));
  BOOST_CHECK(!reply_of({1, 0, std::uint64_t{1} << 60}));
  BOOST_CHECK(!reply_of({1, 0, 4, 3, 1, 1, 1}));
  BOOST_CHECK(!reply_of({1, 0, 4, 3, 1, 3, 1}));
  BOOST_CHECK(!reply_of({1, 0, 4, 4, 1}));
  BOOST_CHECK(!reply_of({1, 0, 4, 1, 0}));
  BOOST_CHECK(!reply_of({1, 0, 4, 1, 4}));
  Random random(1);
  const std::string command = encode_command(Store{samples()});
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = command;
    for (std::uint64_t n = random.between(1, 4); n > 0; --n) {
      bytes[random.below(120)] = static_cast<char>(random.below(256));
    }
    const Result<Command> read = decode_command(bytes);
    if (read.ok()) BOOST_REQUIRE(decode_command(encode_command(*read)).ok());
  }
}

BOOST_AUTO_TEST_CASE(a_machine_behind_bytes) {
  Machine machine(std::uint64_t{5});
  machine.boundary_changed({});
  range::ApplyContext context;
  const Store store{{make({.topic = "a", .expiry_ms = 5}), make({.topic = "b"}),
                     make({.topic = "c"}), make({.topic = "b", .payload = ""})},
                    {},
                    {.max_messages = 2}};
  auto applied = machine.apply(context, encode_command(store));
  BOOST_REQUIRE(applied.ok());
  using enum StoreResult;
  BOOST_CHECK(*decode_reply(applied->reply) == (Reply{{done, done, quota, done}, false}));
  BOOST_CHECK_EQUAL(applied->effects.size(), 1U);
  BOOST_CHECK(machine.machine().snapshot().find("t", "a") != nullptr);
  context.stamp_us = 5000;
  applied = machine.apply(context, encode_command(Expire{}));
  BOOST_CHECK(*decode_reply(applied->reply) == Reply{});
  BOOST_CHECK(machine.machine().snapshot().find("t", "a") == nullptr);
  BOOST_CHECK(!machine.apply(context, "\1").ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::retain
