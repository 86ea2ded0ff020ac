// Commands and replies of dist as bytes: round trips, every truncation, bytes that lie, and the
// machine driven by bytes alone.
#include "mqtt/dist/codec.h"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "config/base/coding.h"
#include "config/base/random.h"
#include "mqtt/dist/keys.h"

namespace skald::dist {
namespace {

constexpr Life kLife{NodeId{3}, LifeNumber{77}};

Command changes() {
  const InboxReceiver inbox{"client", 1ULL << 60, codec::QoS::exactly_once, true, true, 9};
  const SessionMember session{kLife, ~0ULL, 5, 63, codec::QoS::at_least_once};
  const InboxMember member{{"client", 8, codec::QoS::at_least_once}, kLife, 4};
  using enum RouteChange::Kind;
  return ChangeRoutes{{{add, {"t", "a/+/#", NodeReceiver{kLife}}},
                       {remove, {"", "#", inbox}},
                       {add, {"t", "$SYS/x", GroupReceiver{"group", session}}},
                       {add, {"t", "b", GroupReceiver{"group", session}}, 200},
                       {add, {"t", "c", GroupReceiver{"group", session}}, UINT32_MAX},
                       {remove, {"t", "a", GroupReceiver{"g", member}}}}};
}

BOOST_AUTO_TEST_SUITE(dist_codec)

BOOST_AUTO_TEST_CASE(commands) {
  for (const Command& command :
       {changes(), Command{ChangeRoutes{}}, Command{EndLife{kLife, 7}},
        Command{EndLife{{NodeId{~0ULL}, LifeNumber{~0ULL}}, UINT32_MAX}}}) {
    const std::string bytes = encode_command(command);
    const Result<Command> read = decode_command(bytes);
    BOOST_REQUIRE(read.ok());
    BOOST_CHECK(*read == command);
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      BOOST_CHECK(!decode_command(bytes.substr(0, cut)).ok());
    }
    BOOST_CHECK(!decode_command(bytes + '\0').ok());
    std::string newer = bytes;
    newer[0] = 2;
    const Result<Command> refused = decode_command(newer);
    BOOST_REQUIRE(!refused.ok());
    BOOST_CHECK(refused.error().message.find("newer") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(replies) {
  using enum RouteResult;
  Reply big;
  big.results.assign(kMaxChanges, done);
  BOOST_CHECK_LE(encode_reply(big).size(), 5U);
  big.results[300] = full;
  for (const Reply& reply :
       {Reply{}, Reply{{done, done, done}, true},
        Reply{{done, unchanged, newer_present, wrong_range, done, invalid, foreign_life, full},
              false},
        big}) {
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
  BOOST_CHECK(!reply_of({1, 2, 4}));                       // `more` is not a bool
  BOOST_CHECK(!reply_of({1, 0, std::uint64_t{1} << 60}));  // too many
  BOOST_CHECK(!reply_of({1, 0, 4, 3, 1, 1, 1}));           // not ascending
  BOOST_CHECK(!reply_of({1, 0, 4, 3, 1, 3, 1}));           // twice
  BOOST_CHECK(!reply_of({1, 0, 4, 4, 1}));                 // out of bounds
  BOOST_CHECK(!reply_of({1, 0, 4, 1, 0}));                 // done is not listed
  BOOST_CHECK(!reply_of({1, 0, 4, 1, 7}));                 // unknown
  std::string many("\1\1", 2);
  put_varint(many, std::uint64_t{1} << 60);
  BOOST_CHECK(!decode_command(many).ok());
  BOOST_CHECK(!decode_command("\1\3").ok());
  const Command within =
      ChangeRoutes{{{RouteChange::Kind::add, {"t", "a", NodeReceiver{kLife}}, 1}}};
  std::string unlimited = encode_command(within);
  BOOST_CHECK(decode_command(unlimited).ok());
  unlimited[4] = 0;  // an add with a limit that says none is written otherwise
  BOOST_CHECK(!decode_command(unlimited).ok());
  // Anything may come; nothing but an answer may happen.
  Random random(1);
  const std::string command = encode_command(changes());
  const std::string reply = encode_reply({{RouteResult::full, RouteResult::done}, true});
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = random.one_in(2) ? command : reply;
    for (std::uint64_t n = random.between(1, 4); n > 0; --n) {
      bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
    }
    const Result<Command> read = decode_command(bytes);
    if (read.ok()) BOOST_REQUIRE(*decode_command(encode_command(*read)) == *read);
    const Result<Reply> answer = decode_reply(bytes);
    if (answer.ok()) BOOST_REQUIRE(*decode_reply(encode_reply(*answer)) == *answer);
  }
}

/// As the range does: the end of a life as EndLife's bytes, the rest by commands on lane zero.
BOOST_AUTO_TEST_CASE(a_machine_behind_bytes) {
  Machine machine(std::uint64_t{5});
  machine.boundary_changed({});
  range::ApplyContext context;
  context.lane.life = kLife;
  ChangeRoutes adds;
  for (int i = 0; i < 25; ++i) {
    adds.changes.push_back(
        {RouteChange::Kind::add, {"t", "f" + std::to_string(i), NodeReceiver{kLife}}});
  }
  auto applied = machine.apply(context, encode_command(adds));
  BOOST_REQUIRE(applied.ok());
  BOOST_CHECK_EQUAL(applied->writes.size(), 25U);
  BOOST_CHECK_LE(applied->reply.size(), 3U);
  BOOST_REQUIRE_EQUAL(applied->effects.size(), 1U);
  BOOST_CHECK(applied->effects[0].first == range::EffectScope::every_replica);
  BOOST_CHECK_EQUAL(machine.machine().table().size(), 25U);
  std::vector<bool> more;
  context.lane = {};
  do {
    applied = machine.apply(context, encode_command(EndLife{kLife, 10}));
    BOOST_REQUIRE(applied.ok());
    more.push_back(decode_reply(applied->reply)->more);
  } while (more.back());
  BOOST_CHECK(more == (std::vector<bool>{true, true, false}));
  BOOST_CHECK_EQUAL(machine.machine().table().size(), 0U);
  // Nobody's lane can bring one back.
  applied = machine.apply(context, encode_command(adds));
  const Result<Reply> refused = decode_reply(applied->reply);
  BOOST_REQUIRE(refused.ok());
  for (const RouteResult result : refused->results) {
    BOOST_CHECK(result == RouteResult::foreign_life);
  }
  BOOST_CHECK(!machine.apply(context, "\1").ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::dist
