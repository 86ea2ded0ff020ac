// Random commands to the machine, to machines rebuilt from its records, to halves of it, and to the
// model.
#include "tests/inbox/model.h"

#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>
#include <vector>

#include "config/base/random.h"
#include "tests/inbox/harness.h"

namespace skald::inbox {
namespace {

/// Operations that mostly make sense to the sessions that there are.
class Source {
 public:
  Source(std::uint64_t seed, const Model& model) : random_(seed), model_(model) {}

  Random& random() { return random_; }

  Name name() {
    const std::uint64_t i = random_.below(8);
    return {i % 2 == 0 ? "t" : "u", "c" + std::to_string(i / 2)};
  }

  Command command(std::size_t most, std::uint64_t stamp_us) {
    stamp_us_ = stamp_us;
    Command command;
    for (std::uint64_t n = random_.between(1, most); n > 0; --n) {
      command.operations.push_back(operation(command));
    }
    return command;
  }

  std::vector<std::uint64_t> intents;  // that the machine has told of

 private:
  Operation operation(Command& command) {
    const std::uint64_t kind = random_.below(100);
    if (kind < 14) return attach();
    if (kind < 22) return detach();
    if (kind < 28) return subscribe();
    if (kind < 30) return fed();
    if (kind < 34) return Unsubscribe{name_ = name(), incarnation(), filter()};
    if (kind < 39) return Accept{name_ = name(), incarnation(), packet_id(), random_.below(9)};
    if (kind < 42) return HandedOut{name_ = name(), incarnation(), packet_id(), random_.below(9)};
    if (kind < 45) return Release{name_ = name(), incarnation(), packet_id()};
    if (kind < 74) return insert(command);
    if (kind < 82) return Finish{name_ = name(), incarnation(), {seq(), seq(), seq()}};
    if (kind < 87) return Received{name_ = name(), incarnation(), seq()};
    if (kind < 96) return Tick{10'000};
    if (kind < 98) return end_life();
    OutboxDone done{std::move(intents)};
    intents.clear();
    return done;
  }

  Attach attach() {
    Attach one;
    one.name = name();
    const std::uint64_t node = random_.between(1, 3);
    one.owner = {.life = life(node, first_life_[node] + random_.below(3)),
                 .session = random_.between(1, 50)};
    one.user = random_.one_in(10) ? "other" : "me";
    one.take_from_others = random_.one_in(2);
    one.clean_start = random_.one_in(4);
    const std::uint32_t expiries[] = {0, 5, 40, 40, 300, kNeverExpires};
    one.expiry_s = expiries[random_.below(6)];
    if (random_.one_in(2)) {
      const mqtt::PublicationInfo info = expiring(random_.one_in(2) ? 0 : 7000);
      one.will = Will{publication("w" + std::to_string(++made_), one.name.tenant, info),
                      random_.one_in(2) ? 0 : number(60)};
    }
    one.quota.max_messages = number(8);
    one.quota.max_bytes = random_.between(100, 600);
    one.quota.max_subscriptions = 3;
    one.quota.overflow = random_.one_in(2) ? Overflow::drop_oldest : Overflow::drop_newest;
    return one;
  }

  Detach detach() {
    Detach one{name_ = name(), incarnation(), Detach::Why::broken, {}, 0};
    const Detach::Why whys[] = {Detach::Why::clean, Detach::Why::broken, Detach::Why::drain};
    one.why = whys[random_.below(3)];
    if (random_.one_in(4)) one.expiry_s = random_.one_in(3) ? 0 : number(50);
    one.sent_up_to = seq();
    return one;
  }

  Subscribe subscribe() {
    Subscribe one{name_ = name(), incarnation(), filter(), {}, number(9)};
    one.options.retain_handling = static_cast<codec::RetainHandling>(random_.below(3));
    return one;
  }

  Fed fed() {
    Fed one{name_ = name(), incarnation(), filter(), 1};
    const auto found = model_.sessions().find(name_);
    if (found == model_.sessions().end()) return one;
    const auto subscription = found->second.subscriptions.find(one.filter);
    if (subscription == found->second.subscriptions.end()) return one;
    one.route = subscription->second.incarnation - (random_.one_in(5) ? 1 : 0);
    return one;
  }

  // Commands of lives that have ended do not come to the machine.
  EndLife end_life() {
    const std::uint64_t node = random_.between(1, 3);
    const std::uint64_t number = first_life_[node] + random_.below(2);
    first_life_[node] = number + 1;
    return {life(node, number)};
  }

  Insert insert(Command& command) {
    Insert one;
    one.publication = static_cast<std::uint32_t>(command.publications.size());
    one.once = random_.one_in(2);
    one.retained_feed = random_.one_in(8);
    mqtt::PublicationInfo info;
    info.publisher = {life(random_.between(1, 3), 0), random_.between(1, 2)};
    info.sequence = random_.below(20) + made_ / 10;
    one.done_below = info.sequence - std::min<std::uint64_t>(info.sequence, random_.below(9));
    if (random_.one_in(4)) info.expiry_ms = stamp_us_ / 1000 + random_.below(20'000);
    const std::string payload = "p" + std::to_string(++made_) +
                                std::string(random_.one_in(5) ? random_.below(200) : 0, '.');
    const std::string tenant = random_.one_in(2) ? "t" : "u";
    command.publications.push_back(publication(payload, tenant, info));
    for (std::uint64_t n = random_.between(1, 5); n > 0; --n) {
      Insert::Target target;
      target.name = name_ = name();
      if (!random_.one_in(20)) target.name.tenant = tenant;
      if (random_.one_in(3)) target.route = incarnation();
      one.targets.push_back(target);
    }
    return one;
  }

  Incarnation incarnation() {
    const auto found = model_.sessions().find(name_);
    if (found == model_.sessions().end()) return 1;
    return random_.one_in(15) ? found->second.birth - random_.below(2) : found->second.incarnation;
  }
  Seq seq() {
    const auto found = model_.sessions().find(name_);
    const Seq last = found == model_.sessions().end() ? 3 : found->second.last;
    return last - std::min(last, random_.below(8)) + (random_.one_in(9) ? 1 : 0);
  }
  std::uint32_t number(std::uint64_t most) {
    return static_cast<std::uint32_t>(random_.between(1, most));
  }
  std::uint16_t packet_id() { return static_cast<std::uint16_t>(random_.between(1, 5)); }
  std::string filter() { return "f" + std::to_string(random_.below(5)); }

  Random random_;
  const Model& model_;
  Name name_;
  std::uint64_t first_life_[4] = {1, 1, 1, 1};  // of a node, that has not ended
  std::uint64_t stamp_us_ = 0;
  std::uint64_t made_ = 0;
};

void compare(const Model& model, const StateMachine& machine, const Records& records) {
  BOOST_REQUIRE_EQUAL(machine.outbox_size(), model.outbox);
  for (int i = 0; i < 8; ++i) {
    const Name name{i % 2 == 0 ? "t" : "u", "c" + std::to_string(i / 2)};
    const auto state = machine.session_state(name);
    const auto found = model.sessions().find(name);
    const bool present = found != model.sessions().end();
    BOOST_REQUIRE(machine.owner(name) == (present ? found->second.owner : std::nullopt));
    BOOST_REQUIRE(state.has_value() == (present && found->second.persistent));
    if (!state) continue;
    const Model::One& one = found->second;
    BOOST_REQUIRE_EQUAL(state->incarnation, one.incarnation);
    BOOST_REQUIRE_EQUAL(state->birth, one.birth);
    BOOST_REQUIRE_EQUAL(state->subscriptions.size(), one.subscriptions.size());
    for (const auto& [filter, subscription] : state->subscriptions) {
      BOOST_REQUIRE(one.subscriptions.at(filter) == subscription);
    }
    BOOST_REQUIRE(state->received == std::vector<Seq>(one.received.begin(), one.received.end()));
    BOOST_REQUIRE_EQUAL(state->accepted.size(), one.accepted.size());
    for (const Accepted& accepted : state->accepted) {
      const Accepted& wanted = one.accepted.at(accepted.packet_id);
      BOOST_REQUIRE_EQUAL(accepted.sequence, wanted.sequence);
      BOOST_REQUIRE_EQUAL(accepted.handed_out, wanted.handed_out);
    }
    BOOST_REQUIRE_EQUAL(state->last, one.last);
    BOOST_REQUIRE_EQUAL(state->sent_up_to, one.sent_up_to);
    BOOST_REQUIRE_EQUAL(state->head, one.queue.empty() ? one.last + 1 : one.queue.front().seq);
    auto at = records.lower_bound(message_key(name, state->head));
    for (const Model::Entry& entry : one.queue) {
      BOOST_REQUIRE(at != records.end());
      const auto message = decode_message({at->first, at->second});
      BOOST_REQUIRE(message.ok());
      BOOST_REQUIRE_EQUAL(message->seq, entry.seq);
      BOOST_REQUIRE_EQUAL(message->publication->payload(), entry.payload);
      ++at;
    }
    BOOST_REQUIRE(at == records.end() || at->first >= messages_end(name));
  }
}

void compare_gauges(const StateMachine& a, const StateMachine& b) {
  for (const auto& [tenant, usage] : a.usages()) {
    const auto found = b.usages().find(tenant);
    const Usage other = found == b.usages().end() ? Usage{} : found->second;
    BOOST_REQUIRE_EQUAL(usage.sessions, other.sessions);
    BOOST_REQUIRE_EQUAL(usage.online, other.online);
    BOOST_REQUIRE_EQUAL(usage.persistent, other.persistent);
    BOOST_REQUIRE_EQUAL(usage.subscriptions, other.subscriptions);
    BOOST_REQUIRE_EQUAL(usage.shared, other.shared);
    BOOST_REQUIRE_EQUAL(usage.messages, other.messages);
    BOOST_REQUIRE_EQUAL(usage.bytes, other.bytes);
  }
}

void print_difference(const Model::Told& got, const Model::Told& wanted) {
  const auto print = [](const char* who, const Model::Told& told) {
    for (const OperationResult& one : told.results) {
      BOOST_TEST_MESSAGE(who << " operation " << one.operation << "/" << one.target << " result "
                             << static_cast<int>(one.result) << " present " << one.session_present
                             << " incarnation " << one.incarnation << " birth " << one.birth);
    }
    for (const std::string& line : told.hints) BOOST_TEST_MESSAGE(who << " " << line);
    for (const std::string& line : told.intents) BOOST_TEST_MESSAGE(who << " " << line);
  };
  if (got.results == wanted.results && got.hints == wanted.hints && got.intents == wanted.intents) {
    return;
  }
  print("machine", got);
  print("model", wanted);
}

std::uint64_t pass_time(Random& random, std::uint64_t stamp_us) {
  if (random.one_in(3)) return stamp_us + 1;
  return stamp_us + random.between(1, random.one_in(10) ? 100 * kSecond : 3 * kSecond);
}

void run_against_the_model(std::uint64_t seed, int steps) {
  Model model;
  Source source(seed, model);
  StateMachine machine;
  auto other = std::make_unique<StateMachine>();
  Records records;
  std::uint64_t stamp_us = kStart;
  for (int step = 0; step < steps; ++step) {
    BOOST_TEST_INFO("seed " << seed << ", step " << step);
    stamp_us = pass_time(source.random(), stamp_us);
    const auto command = decode_command(encode_command(source.command(4, stamp_us)));
    BOOST_REQUIRE(command.ok());
    const range::ApplyContext context{.stamp_us = stamp_us, .lane = {}};
    const auto applied = machine.apply(context, *command);
    store(records, applied.writes);
    for (const auto& [scope, effect] : applied.effects) {
      if (const auto* will = std::get_if<PublishWill>(&effect)) {
        source.intents.push_back(will->intent);
      } else if (const auto* routes = std::get_if<RemoveRoutes>(&effect)) {
        source.intents.push_back(routes->intent);
      }
    }
    const Model::Told wanted = model.apply(stamp_us, *command, applied.reply);
    const Model::Told got = lines_of(applied);
    print_difference(got, wanted);
    BOOST_REQUIRE(got.results == wanted.results);
    BOOST_REQUIRE(got.hints == wanted.hints);
    BOOST_REQUIRE(got.intents == wanted.intents);
    compare(model, machine, records);

    const auto same = other->apply(context, *command);
    BOOST_REQUIRE(same.writes == applied.writes);
    BOOST_REQUIRE(same.reply == applied.reply);
    BOOST_REQUIRE(lines_of(same).hints == got.hints);
    BOOST_REQUIRE(other->next_due_us() == machine.next_due_us());
    compare_gauges(machine, *other);
    if (source.random().one_in(20)) {
      other = std::make_unique<StateMachine>();
      BOOST_REQUIRE(rebuild(*other, {}, records, source.random().between(1, 20)).ok());
    }
  }
}

/// Without intents, whose numbers depend on what else a command did.
Records without_intents(const Records& records) {
  Records rest;
  for (const auto& [key, value] : records) {
    const auto parsed = parse_key(key);
    if (parsed->is_ended_life || parsed->tag != Tag::intent) rest.emplace(key, value);
  }
  return rest;
}

void run_in_halves(std::uint64_t seed, int steps) {
  Model model;
  Source source(seed, model);
  StateMachine whole;
  Records records;
  Records half_records[2];
  std::unique_ptr<StateMachine> halves[2];
  std::uint64_t stamp_us = kStart;
  for (int step = 0; step < steps; ++step) {
    if (step == steps / 4) {
      const auto key = whole.split_key("\x80");
      BOOST_REQUIRE(key.has_value());
      const range::Boundary boundaries[2] = {{"", key}, {*key, std::nullopt}};
      halves[0] = std::make_unique<StateMachine>();
      BOOST_REQUIRE(rebuild(*halves[0], {}, records).ok());
      halves[0]->boundary_changed(boundaries[0]);  // the one that stays
      halves[1] = std::make_unique<StateMachine>();
      BOOST_REQUIRE(rebuild(*halves[1], boundaries[1], records).ok());
      for (const auto& [key_of, value] : records) {
        half_records[boundaries[0].contains(key_of) ? 0 : 1][key_of] = value;
      }
    }
    stamp_us = pass_time(source.random(), stamp_us);
    const Command command = source.command(1, stamp_us);
    const range::ApplyContext context{.stamp_us = stamp_us, .lane = {}};
    const auto applied = whole.apply(context, command);
    store(records, applied.writes);
    model.apply(stamp_us, command, applied.reply);
    if (!halves[0]) continue;
    for (int i = 0; i < 2; ++i) store(half_records[i], halves[i]->apply(context, command).writes);
    Records joined = half_records[0];
    joined.insert(half_records[1].begin(), half_records[1].end());
    BOOST_REQUIRE_EQUAL(joined.size(), half_records[0].size() + half_records[1].size());
    BOOST_REQUIRE(without_intents(joined) == without_intents(records));
    BOOST_REQUIRE_EQUAL(whole.outbox_size(), halves[0]->outbox_size() + halves[1]->outbox_size());
  }
  BOOST_TEST(half_records[0].size() > 0U);
  BOOST_TEST(half_records[1].size() > 0U);
}

BOOST_AUTO_TEST_SUITE(against_the_model)

BOOST_AUTO_TEST_CASE(random_commands) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) run_against_the_model(seed, 4000);
}

BOOST_AUTO_TEST_CASE(two_halves_behave_as_the_whole) {
  for (std::uint64_t seed = 100; seed < 106; ++seed) run_in_halves(seed, 3000);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::inbox
