// Keys, commands, replies and records as bytes.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "config/base/random.h"
#include "tests/inbox/harness.h"

namespace skald::inbox {
namespace {

std::string random_bytes(Random& random) {
  std::string bytes(random.below(4), '\0');
  for (char& c : bytes) c = static_cast<char>(random.one_in(3) ? 0 : random.below(256));
  return bytes;
}

Command every_operation() {
  const Name name{"t", "c"};
  mqtt::PublicationInfo info{.publisher = {life(9, 8), 7},
                             .sequence = 300,
                             .trace_id = 5,
                             .stamp_ms = 1'700'000'000'000,
                             .expiry_ms = 1'700'000'000'500,
                             .qos = codec::QoS::exactly_once,
                             .retain = true};
  Command command;
  command.publications = {mqtt::Publication::make(info, "t", "a/b", "pp", "payload"),
                          publication("")};
  Insert insert{.publication = 1,
                .once = true,
                .done_below = 200,
                .retained_feed = true,
                .targets = {{name, 5, codec::QoS::exactly_once, true, {1, 300}, "g", "f/#"},
                            {name, 0, codec::QoS::at_least_once, false, {}, "", ""}}};
  command.operations = {
      Attach{name, owner(1, 770), "user", true, true, kNeverExpires, will("w", 9),
             Quota{.max_messages = 3, .overflow = Overflow::drop_oldest}},
      Attach{name, owner(2, 3), "", false, false, 0, {}, {}},
      Detach{name, 1ULL << 60, Detach::Why::drain, 77, 5},
      Detach{name, 6, Detach::Why::clean, {}, 0},
      Subscribe{name,
                7,
                "$share/g/a/+",
                {codec::QoS::exactly_once, true, true, codec::RetainHandling::do_not_send},
                268'435'455},
      Unsubscribe{name, 7, "a/+"},
      Accept{name, 7, 65535, 1ULL << 50},
      HandedOut{name, 7, 1, 1ULL << 50},
      Release{name, 7, 2},
      insert,
      Finish{name, 7, {1, 2, 1ULL << 40}},
      Received{name, 7, 9},
      Tick{5},
      EndLife{life(1, 2)},
      OutboxDone{{1, 2, 3}},
      Fed{name, 7, "a/+", 1ULL << 60},
  };
  return command;
}

BOOST_AUTO_TEST_SUITE(keys)

BOOST_AUTO_TEST_CASE(keys_of_a_session_lie_together_and_are_read_back) {
  Random random(1);
  std::vector<std::pair<std::string, Name>> keys;
  for (int i = 0; i < 2000; ++i) {
    const Name name{random_bytes(random), random_bytes(random)};
    const std::string prefix = inbox_prefix(name);
    BOOST_REQUIRE(name_of(prefix) == name);
    const Seq seq = random.next();
    for (const std::string& key :
         {session_key(prefix), queue_key(prefix), subscription_key(prefix, random_bytes(random)),
          message_key(prefix, seq), accepted_key(prefix, 7), received_key(prefix, seq),
          publisher_key(prefix, {life(1), 2}), intent_key(prefix, seq)}) {
      const auto parsed = parse_key(key);
      BOOST_REQUIRE(parsed.ok());
      BOOST_REQUIRE(!parsed->is_ended_life);
      BOOST_REQUIRE_EQUAL(parsed->prefix, prefix);
      BOOST_REQUIRE_EQUAL(parsed->hash, name_hash(name));
      BOOST_REQUIRE(key > ended_life_key(hash_byte(parsed->hash), life(~0ULL, ~0ULL)));
      keys.emplace_back(key, name);
    }
    BOOST_REQUIRE(message_key(name, ~0ULL) < messages_end(name));
    BOOST_REQUIRE(accepted_key(prefix, 0) >= messages_end(name));
  }
  std::sort(keys.begin(), keys.end());
  std::vector<Name> seen;
  for (const auto& [key, name] : keys) {
    if (seen.empty() || seen.back() != name) seen.push_back(name);
  }
  std::sort(seen.begin(), seen.end());
  BOOST_TEST((std::adjacent_find(seen.begin(), seen.end()) == seen.end()));
}

// Stored and routed by: never to change.
BOOST_AUTO_TEST_CASE(the_hash_is_for_ever) {
  BOOST_TEST(name_hash({"", ""}) == name_hash("", ""));
  BOOST_TEST(name_hash("ab", "c") != name_hash("a", "bc"));
  BOOST_TEST(name_hash("tenant", "client-1") == 0x66863958f31d90fcULL);
  BOOST_TEST(name_hash("", "") == 0x25fc6dd36ce04b20ULL);
}

BOOST_AUTO_TEST_CASE(the_key_space_is_cut_evenly) {
  for (const std::size_t n : {1, 2, 3, 8, 256}) {
    const auto boundaries = initial_boundaries(n);
    BOOST_REQUIRE_EQUAL(boundaries.size(), n);
    BOOST_TEST(boundaries.front().start.empty());
    BOOST_TEST(!boundaries.back().end.has_value());
    for (std::size_t i = 1; i < n; ++i) {
      BOOST_TEST(*boundaries[i - 1].end == boundaries[i].start);
    }
    std::vector<std::size_t> names(n);
    for (int i = 0; i < 20'000; ++i) {
      const std::string key = inbox_prefix({"t", "client" + std::to_string(i)});
      for (std::size_t r = 0; r < n; ++r) names[r] += boundaries[r].contains(key) ? 1U : 0U;
    }
    const auto [least, most] = std::minmax_element(names.begin(), names.end());
    if (n <= 8) BOOST_TEST(*most < *least * 6 / 5);
    BOOST_TEST(*least > 0U);
  }
}

BOOST_AUTO_TEST_CASE(splits_fall_between_hash_bytes) {
  struct {
    const char* start;
    const char* end;
    std::string_view hint;
    const char* key;
  } const cases[] = {
      {"", nullptr, "\x40zzz", "\x40"},
      {"", nullptr, "", "\x01"},
      {"", nullptr, std::string_view("\0a", 2), "\x01"},
      {"\x20", "\x30", "\x20zz", "\x21"},
      {"\x20", "\x22", "\x21zz", "\x21"},
      {"\x20", "\x21", "\x20zz", nullptr},
      {"\x20", "\x30", "\x40", nullptr},
      {"\xff", nullptr, "\xffz", nullptr},
      {"\xfe", nullptr, "\xfez", "\xff"},
  };
  for (const auto& one : cases) {
    StateMachine machine;
    range::Boundary boundary{.start = one.start, .end = {}};
    if (one.end != nullptr) boundary.end = one.end;
    machine.boundary_changed(boundary);
    const auto key = machine.split_key(one.hint);
    BOOST_TEST(key.has_value() == (one.key != nullptr));
    if (key && one.key != nullptr) BOOST_TEST(*key == one.key);
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(bytes)

BOOST_AUTO_TEST_CASE(commands_come_back) {
  const Command command = every_operation();
  const std::string encoded = encode_command(command);
  const auto decoded = decode_command(encoded);
  BOOST_REQUIRE(decoded.ok());
  BOOST_TEST(encode_command(*decoded) == encoded);
  BOOST_REQUIRE_EQUAL(decoded->operations.size(), command.operations.size());
  const auto& attach = std::get<Attach>(decoded->operations[0]);
  BOOST_TEST((attach.owner == owner(1, 770)));
  BOOST_TEST((attach.quota == std::get<Attach>(command.operations[0]).quota));
  BOOST_TEST(attach.will->publication->payload() == "w");
  BOOST_TEST(attach.will->delay_s == 9U);
  BOOST_TEST(attach.take_from_others);
  BOOST_TEST(attach.expiry_s == kNeverExpires);
  const auto& detach = std::get<Detach>(decoded->operations[2]);
  BOOST_TEST((detach.why == Detach::Why::drain));
  BOOST_TEST(*detach.expiry_s == 77U);
  BOOST_TEST(detach.sent_up_to == 5U);
  const auto& subscribe = std::get<Subscribe>(decoded->operations[4]);
  BOOST_TEST((subscribe.options == std::get<Subscribe>(command.operations[4]).options));
  const auto& insert = std::get<Insert>(decoded->operations[9]);
  BOOST_TEST(insert.once);
  BOOST_TEST(insert.retained_feed);
  BOOST_TEST(insert.targets[0].subscription_ids[1] == 300U);
  BOOST_TEST(insert.targets[0].shared_filter == "f/#");
  BOOST_TEST(decoded->publications[0]->info().sequence == 300U);
}

BOOST_AUTO_TEST_CASE(replies_come_back) {
  const Reply reply{{{.operation = 3,
                      .target = 5,
                      .result = Result::invalid,
                      .session_present = true,
                      .replaced = true,
                      .incarnation = 1ULL << 63,
                      .birth = 5,
                      .previous = owner(3, 4)},
                     {.operation = 1, .result = Result::full, .previous = {}}}};
  const std::string encoded = encode_reply(reply);
  const auto decoded = decode_reply(encoded);
  BOOST_REQUIRE(decoded.ok());
  BOOST_TEST((*decoded == reply));
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    BOOST_TEST(!decode_reply(encoded.substr(0, size)).ok());
  }
  BOOST_TEST(!decode_reply(encoded + "x").ok());
}

BOOST_AUTO_TEST_CASE(no_beginning_of_a_command_is_a_command) {
  const std::string encoded = encode_command(every_operation());
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    BOOST_TEST(!decode_command(encoded.substr(0, size)).ok());
  }
  BOOST_TEST(!decode_command(encoded + std::string(1, '\0')).ok());
  std::string newer = encoded;
  newer[0] = 3;
  const auto refused = decode_command(newer);
  BOOST_REQUIRE(!refused.ok());
  BOOST_TEST(refused.error().message.find("newer release") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_there_is_room_for) {
  const Name name{"t", "c"};
  Attach attach{.name = name, .owner = owner(1, 2), .user = {}, .will = {}, .quota = {}};
  Subscribe subscribe{.name = name, .incarnation = 7, .filter = "a", .options = {}};
  Insert insert{.targets = {{name, 5, codec::QoS::at_least_once, false, {}, "", ""}}};
  for (const bool room : {true, false}) {
    attach.may_begin = subscribe.may_add = insert.has_room = room;
    const auto read = decode_command(
        encode_command({.publications = {}, .operations = {attach, subscribe, insert}}));
    BOOST_REQUIRE(read.ok());
    BOOST_TEST(std::get<Attach>(read->operations[0]).may_begin == room);
    BOOST_TEST(std::get<Subscribe>(read->operations[1]).may_add == room);
    BOOST_TEST(std::get<Insert>(read->operations[2]).has_room == room);
  }
  for (const Operation& last : {Operation(attach), Operation(subscribe)}) {
    std::string older = encode_command({.publications = {}, .operations = {last}});
    older[0] = 1;
    older.pop_back();
    const auto read = decode_command(older);
    BOOST_REQUIRE(read.ok());
    std::visit(
        [](const auto& one) {
          if constexpr (requires { one.may_begin; }) BOOST_TEST(one.may_begin);
          if constexpr (requires { one.may_add; }) BOOST_TEST(one.may_add);
        },
        read->operations[0]);
  }
}

BOOST_AUTO_TEST_CASE(damaged_commands_have_one_encoding_or_none) {
  Random random(7);
  const std::string encoded = encode_command(every_operation());
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = encoded;
    for (std::uint64_t n = random.between(1, 3); n > 0; --n) {
      damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
    }
    const auto decoded = decode_command(damaged);
    if (damaged[0] == 1) continue;  // an older form
    if (decoded.ok()) BOOST_REQUIRE(encode_command(*decoded) == damaged);
  }
}

/// Everything that a machine stores, at least once.
Records every_record() {
  Range range;
  const Name name{"t", "c"};
  const Attach attach{name, owner(1, 1), "user", false, false, 60, will("w", 5), {}};
  Incarnation me = range(attach).incarnation;
  range(Subscribe{name, me, "a/b", {}, 5});
  range(Accept{name, me, 3, 44});
  range.insert(name, "one");
  mqtt::PublicationInfo info{.publisher = {life(3), 5}, .sequence = 9};
  range.insert(name, publication("two", "t", info), false, true, 7);
  range(Received{name, me, 2});
  range(Attach{{"t", "d"}, owner(1, 2), "", false, false, 9, will("x"), {}});
  range(EndLife{life(1)});
  const Attach other{{"t", "e"}, owner(2, 2), "", false, false, 9, will("y"), {}};
  me = range(other).incarnation;
  range(Subscribe{{"t", "e"}, me, "f", {}, 0});
  range(Detach{{"t", "e"}, me, Detach::Why::broken, 0, 0});
  return range.records;
}

BOOST_AUTO_TEST_CASE(every_truncated_record_is_refused) {
  const Records records = every_record();
  BOOST_REQUIRE(records.size() >= 12);
  {
    StateMachine machine;
    BOOST_REQUIRE(rebuild(machine, {}, records).ok());
    BOOST_TEST(machine.outbox_size() == 2U);
  }
  for (const auto& [key, value] : records) {
    for (std::size_t size = 0; size < value.size(); ++size) {
      Records damaged = records;
      damaged[key].resize(size);
      StateMachine machine;
      BOOST_TEST(!rebuild(machine, {}, damaged).ok());
    }
    const auto parsed = parse_key(key);
    BOOST_REQUIRE(parsed.ok());
    const bool has_open_end = !parsed->is_ended_life && parsed->tag == Tag::subscription;
    for (std::size_t size = 0; size < key.size() && !has_open_end; ++size) {
      Records damaged = records;
      damaged.erase(key);
      damaged[key.substr(0, size)] = value;
      StateMachine machine;
      BOOST_TEST(!rebuild(machine, {}, damaged).ok());
    }
  }
}

BOOST_AUTO_TEST_CASE(queued_messages_come_back) {
  Range range;
  const Name name{"t", "c"};
  range(Attach{name, owner(1, 1), "", false, false, 60, {}, {}});
  mqtt::PublicationInfo info{.publisher = {life(3), 5}, .sequence = 9, .stamp_ms = 6};
  Insert insert;
  insert.targets = {{name, 0, codec::QoS::exactly_once, true, {7}, "g", "x/+"}};
  range.apply(Command{{publication("p", "t", info)}, {insert}});
  const auto record = range.records.find(message_key(name, 1));
  BOOST_REQUIRE(record != range.records.end());
  const auto message = decode_message({record->first, record->second});
  BOOST_REQUIRE(message.ok());
  BOOST_TEST(message->seq == 1U);
  BOOST_TEST(message->publication->payload() == "p");
  BOOST_TEST(message->publication->info().sequence == 9U);
  BOOST_TEST((message->qos == codec::QoS::exactly_once));
  BOOST_TEST(message->retain);
  BOOST_TEST((message->subscription_ids == std::vector<std::uint32_t>{7}));
  BOOST_TEST(message->shared_group == "g");
  BOOST_TEST(message->shared_filter == "x/+");
  BOOST_TEST(!decode_message({session_key(inbox_prefix(name)), record->second}).ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::inbox
