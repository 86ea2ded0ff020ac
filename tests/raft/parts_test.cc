// The parts of the Raft core alone: majority arithmetic against brute force, the log, flow control,
// configurations and their codec.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>

#include "config/base/random.h"
#include "kv/raft/config.h"
#include "kv/raft/log.h"
#include "kv/raft/memory_log.h"
#include "kv/raft/progress.h"
#include "kv/raft/quorum.h"
#include "kv/raft/raft.h"

namespace skald::raft {
namespace {

std::vector<ReplicaId> ids(std::initializer_list<std::uint64_t> numbers) {
  std::vector<ReplicaId> result;
  for (std::uint64_t number : numbers) result.push_back(ReplicaId{number});
  return result;
}

Entry entry(Index index, Term term, std::size_t size = 0) {
  return {term, index, EntryKind::kCommand, make_payload(std::string(size, 'x'))};
}

Config random_config(Random& random) {
  Config config;
  for (std::uint64_t id = 1; id <= 7; ++id) {
    if (random.one_in(2)) config.voters.push_back(ReplicaId{id});
    if (random.one_in(3)) config.outgoing.push_back(ReplicaId{id});
  }
  if (config.voters.empty()) config.voters.push_back(ReplicaId{1});
  return config;
}

/// The definition: how many of `voters` reached `value`, more than half of them?
bool majority_at(const std::vector<ReplicaId>& voters,
                 const std::map<ReplicaId, std::uint64_t>& reached, std::uint64_t value) {
  const auto count = std::count_if(voters.begin(), voters.end(), [&reached, value](ReplicaId id) {
    return reached.at(id) >= value;
  });
  return voters.empty() || 2 * static_cast<std::size_t>(count) > voters.size();
}

}  // namespace

BOOST_AUTO_TEST_CASE(quorum_reached_is_the_brute_force_answer) {
  Random random(1);
  for (int round = 0; round < 5000; ++round) {
    const Config config = random_config(random);
    std::map<ReplicaId, std::uint64_t> reached;
    for (std::uint64_t id = 1; id <= 7; ++id) reached[ReplicaId{id}] = random.below(10);
    std::uint64_t want = 0;
    for (std::uint64_t value = 1; value < 10; ++value) {
      if (majority_at(config.voters, reached, value) &&
          majority_at(config.outgoing, reached, value)) {
        want = value;
      }
    }
    BOOST_REQUIRE_EQUAL(quorum_reached(config, [&reached](ReplicaId id) { return reached.at(id); }),
                        want);
  }
}

BOOST_AUTO_TEST_CASE(quorum_vote_is_won_lost_or_open_for_every_completion) {
  Random random(2);
  for (int round = 0; round < 2000; ++round) {
    const Config config = random_config(random);
    std::map<ReplicaId, std::optional<bool>> votes;
    for (std::uint64_t id = 1; id <= 7; ++id) {
      const std::uint64_t draw = random.below(3);
      votes[ReplicaId{id}] = draw == 0 ? std::nullopt : std::optional<bool>(draw == 1);
    }
    // Won if it is won when all who are silent refuse, lost if it is when all of them agree.
    const auto wins = [&config, &votes](bool silent) {
      std::map<ReplicaId, std::uint64_t> yes;
      for (const auto& [id, vote] : votes) yes[id] = vote.value_or(silent) ? 1 : 0;
      return majority_at(config.voters, yes, 1) && majority_at(config.outgoing, yes, 1);
    };
    const VoteResult want = wins(false)  ? VoteResult::kWon
                            : wins(true) ? VoteResult::kPending
                                         : VoteResult::kLost;
    BOOST_REQUIRE(quorum_vote(config, [&votes](ReplicaId id) { return votes.at(id); }) == want);
  }
}

BOOST_AUTO_TEST_CASE(log_finds_terms_on_both_sides_of_what_is_stable) {
  MemoryLog disk(4, 2);
  disk.append({entry(5, 2), entry(6, 3)});
  Log log(disk);
  log.append({entry(7, 3), entry(8, 5)});
  const std::vector<std::pair<Index, std::optional<Term>>> cases = {
      {3, std::nullopt}, {4, 2}, {5, 2}, {6, 3}, {7, 3}, {8, 5}, {9, std::nullopt}};
  for (const auto& [index, term] : cases) BOOST_TEST((log.term(index) == term), index);
  BOOST_TEST(log.last_not_after(8, 5) == 8u);
  BOOST_TEST(log.last_not_after(8, 4) == 7u);
  BOOST_TEST(log.last_not_after(8, 2) == 5u);
  BOOST_TEST(log.last_not_after(8, 1) == 4u);  // never before the first known term
  BOOST_TEST(log.last_not_after(100, 9) == 8u);
  BOOST_TEST(log.up_to_date(8, 5));
  BOOST_TEST(log.up_to_date(1, 6));
  BOOST_TEST(!log.up_to_date(7, 5));
  BOOST_TEST(!log.up_to_date(100, 4));
  BOOST_TEST((log.entries(4, 6, 1000).status == Fetch::Status::kCompacted));
  BOOST_TEST(log.entries(5, 9, 1000).entries.size() == 4u);
  BOOST_TEST(log.entries(5, 9, 1).entries.size() == 1u);
  BOOST_TEST(log.entries(6, 9, 2 * kEntryOverheadBytes).entries.size() == 2u);
}

BOOST_AUTO_TEST_CASE(log_counts_nothing_on_the_strength_of_replaced_entries) {
  MemoryLog disk;
  Log log(disk);
  const auto write = [&log] {
    (void)log.take_unwritten();
    log.write_issued(log.last_issued() + 1, 0);
  };
  log.append({entry(1, 1), entry(2, 1), entry(3, 1)});
  write();                                 // #1: 1..3 of term 1
  log.append({entry(2, 2)});               // replaced from 2 on
  write();                                 // #2
  log.append({entry(2, 1), entry(3, 1)});  // and equal to the first again: the ABA race
  write();                                 // #3
  disk.append({entry(1, 1), entry(2, 1), entry(3, 1)});
  (void)log.write_done(1);
  BOOST_TEST(log.stable() == 1u);
  disk.append({entry(2, 2)});
  (void)log.write_done(2);
  BOOST_TEST(log.stable() == 1u);
  disk.append({entry(2, 1), entry(3, 1)});
  (void)log.write_done(3);
  BOOST_TEST(log.stable() == 3u);
}

BOOST_AUTO_TEST_CASE(log_restored_from_a_snapshot_is_stable_when_that_is_installed) {
  MemoryLog disk;
  disk.append({entry(1, 1), entry(2, 1)});
  Log log(disk);
  log.append({entry(3, 1)});
  (void)log.take_unwritten();
  log.write_issued(1, 0);
  log.restore({10, 4, Config{ids({1}), {}, {}}});
  BOOST_TEST(log.last_index() == 10u);
  BOOST_TEST((log.term(10) == 4u));
  BOOST_TEST(!log.term(2).has_value());
  log.append({entry(11, 4)});
  disk.append({entry(3, 1)});
  BOOST_TEST(!log.write_done(1).has_value());
  BOOST_TEST(log.stable() == 0u);
  BOOST_TEST(log.take_unwritten_snapshot().has_value());
  BOOST_TEST(log.take_unwritten().size() == 1u);
  log.write_issued(2, 0);
  disk.reset(10, 4);
  disk.append({entry(11, 4)});
  BOOST_TEST(log.write_done(2).has_value());
  BOOST_TEST(log.stable() == 11u);
}

/// The log against a plain vector, with writes that finish late and appends that conflict.
BOOST_AUTO_TEST_CASE(log_equals_a_naive_model) {
  Random random(3);
  for (int run = 0; run < 200; ++run) {
    MemoryLog disk;
    Log log(disk);
    std::vector<Term> model;  // term of index i + 1
    std::deque<std::vector<Entry>> queue;
    for (int step = 0; step < 100; ++step) {
      const std::uint64_t what = random.below(4);
      if (what <= 1) {
        const Index first = random.between(1, model.size() + 1);
        const Term term = (model.empty() ? 0 : model.back()) + random.below(2) + 1;
        std::vector<Entry> added;
        for (Index i = 0; i <= random.below(3); ++i) added.push_back(entry(first + i, term, 5));
        model.resize(first - 1);
        model.insert(model.end(), added.size(), term);
        log.append(std::move(added));
      } else if (what == 2 && log.has_unwritten()) {
        queue.push_back(log.take_unwritten());
        log.write_issued(log.last_issued() + 1, 0);
      } else if (!queue.empty()) {
        disk.append(queue.front());
        queue.pop_front();
        (void)log.write_done(log.last_done() + 1);
      }
      BOOST_REQUIRE_EQUAL(log.last_index(), model.size());
      for (Index i = 1; i <= log.stable(); ++i) BOOST_REQUIRE(disk.term(i) == model[i - 1]);
      if (model.empty()) continue;
      const Fetch fetch = log.entries(1, model.size() + 1, 1 << 20);
      BOOST_REQUIRE_EQUAL(fetch.entries.size(), model.size());
      for (const Entry& e : fetch.entries) BOOST_REQUIRE_EQUAL(e.term, model[e.index - 1]);
    }
  }
}

BOOST_AUTO_TEST_CASE(progress_obeys_its_flow) {
  Options options;
  options.inflight_messages_max = 2;
  options.inflight_bytes_max = 100;
  Progress progress;
  progress.become_probe(11);
  BOOST_TEST(progress.may_send(options));
  progress.sent(12, 64);
  BOOST_TEST(!progress.may_send(options));  // one probe at a time
  BOOST_TEST(!progress.rejected(7, 3));     // not the answer to it
  BOOST_TEST(progress.rejected(10, 3));
  BOOST_TEST(progress.next == 4u);
  BOOST_TEST(progress.acked(5));
  progress.become_replicate();
  BOOST_TEST(progress.next == 6u);
  progress.sent(6, 40);
  progress.sent(7, 40);
  BOOST_TEST(!progress.may_send(options));  // two messages
  BOOST_TEST(!progress.acked(5));           // old news
  BOOST_TEST(progress.acked(6));
  BOOST_TEST(progress.may_send(options));
  progress.sent(8, 90);
  BOOST_TEST(progress.acked(7));
  progress.sent(9, 90);
  BOOST_TEST(progress.inflights.bytes() == 180u);
  BOOST_TEST(progress.acked(8));
  BOOST_TEST(!progress.rejected(7, 2));  // overtaken by the ack
  BOOST_TEST(progress.rejected(9, 9));
  BOOST_TEST(progress.next == 9u);
  progress.become_snapshot();
  BOOST_TEST(!progress.may_send(options));
  BOOST_TEST(!progress.rejected(9, 1));
}

BOOST_AUTO_TEST_CASE(configurations_survive_their_codec_and_nothing_else_does) {
  const ConfigEntry joint{{ids({1, 2, 4}), ids({1, 2, 3}), ids({3, 9})}, "stores: a b"};
  const std::string bytes = encode(joint);
  const Result<ConfigEntry> decoded = decode_config_entry(bytes);
  BOOST_REQUIRE(decoded.ok());
  BOOST_TEST((decoded->config == joint.config));
  BOOST_TEST(decoded->context == joint.context);
  for (std::size_t size = 0; size + joint.context.size() < bytes.size(); ++size) {
    BOOST_TEST(!decode_config_entry(bytes.substr(0, size)).ok());
  }
  const std::vector<Config> bad = {
      {{}, {}, ids({1})}, {ids({2, 1}), {}, {}}, {ids({1, 1}), {}, {}}, {ids({0, 1}), {}, {}}};
  for (const Config& config : bad) BOOST_TEST(!decode_config_entry(encode({config, ""})).ok());
  Random random(4);
  for (int i = 0; i < 20000; ++i) {
    std::string noise = bytes;
    noise[random.below(noise.size())] = static_cast<char>(random.below(256));
    const Result<ConfigEntry> any = decode_config_entry(noise);
    if (any.ok()) BOOST_REQUIRE(encode(*any) == noise);
  }
}

BOOST_AUTO_TEST_CASE(changes_are_checked_and_go_through_joint) {
  BOOST_TEST(!validate({{}, ids({1}), ""}).ok());
  BOOST_TEST(!validate({ids({1, 2}), ids({2}), ""}).ok());
  BOOST_TEST(!validate({ids({0, 2}), {}, ""}).ok());
  BOOST_TEST(validate(normalised({ids({3, 1, 3}), ids({2}), ""})).ok());
  const Config now{ids({1, 2, 3}), {}, {}};
  const Config joint = first_step(now, {ids({1, 2, 4}), ids({3}), ""});
  BOOST_TEST(joint.joint());
  BOOST_TEST(joint.is_voter(ReplicaId{3}));  // a voter until the joint phase ends
  BOOST_TEST(!without_outgoing(joint).is_voter(ReplicaId{3}));
  BOOST_TEST(without_outgoing(joint).is_member(ReplicaId{3}));
  BOOST_TEST(!first_step(now, {now.voters, ids({9}), ""}).joint());
}

/// Two followers that lose their leader at the same moment: how often do both stand at once?
BOOST_AUTO_TEST_CASE(random_timeouts_rarely_collide) {
  const Config config{ids({1, 2, 3}), {}, {}};
  Options options;
  Random random(5);
  int collisions = 0;
  const int runs = 10000;
  for (int run = 0; run < runs; ++run) {
    std::vector<std::uint64_t> stood;
    for (std::uint64_t id = 2; id <= 3; ++id) {
      MemoryLog disk;
      options.id = ReplicaId{id};
      Raft raft(options, disk, {{}, 0, config}, random.fork());
      std::uint64_t ticks = 0;
      while (raft.role() == Role::kFollower) raft.tick(++ticks);
      BOOST_REQUIRE(ticks >= options.election_ticks && ticks < 2 * options.election_ticks);
      stood.push_back(ticks);
    }
    collisions += stood[0] == stood[1] ? 1 : 0;
  }
  BOOST_TEST(collisions < runs * 15 / 100);
}

/// A follower with 100,000 entries of its own, of five terms, that a new leader knows nothing of.
BOOST_AUTO_TEST_CASE(a_long_divergent_tail_is_repaired_in_few_messages) {
  const Config config{ids({1, 2}), {}, {}};
  const auto log_with = [](Term first, Term last) {
    MemoryLog log;
    std::vector<Entry> entries;
    for (Index index = 1; index <= 100000; ++index) {
      entries.push_back(entry(index, index <= 10 ? 1 : first + (index * (last - first)) / 100001));
    }
    log.append(entries);
    return log;
  };
  MemoryLog leader_log = log_with(7, 12);
  MemoryLog follower_log = log_with(2, 6);
  Options options;
  options.id = ReplicaId{1};
  Raft leader(options, leader_log, {{12, {}, 0}, 0, config}, Random(1));
  options.id = ReplicaId{2};
  Raft follower(options, follower_log, {{12, {}, 0}, 0, config}, Random(2));
  leader.campaign();
  int messages = 0;
  for (int round = 0; round < 100; ++round) {
    for (const auto& [from, log, to] : {std::tuple(&leader, &leader_log, &follower),
                                        std::tuple(&follower, &follower_log, &leader)}) {
      Ready ready = from->take_ready();
      if (ready.write) {
        log->append(ready.write->entries);
        from->written(ready.write->number);
      }
      for (const Message& message : ready.messages) {
        ++messages;
        to->step(message);
      }
    }
  }
  BOOST_TEST(leader.leads());
  BOOST_TEST(leader.commit() == 100001u);
  BOOST_TEST(follower.last_index() == 100001u);
  BOOST_TEST(messages < 50, messages << " messages");
}

/// A lease counts from the tick before the last round that a quorum answered, of a leader that has
/// committed in its term and is not handing over.
BOOST_AUTO_TEST_CASE(lease_anchor_is_the_time_of_an_answered_round) {
  const Config config{ids({1, 2, 3}), {}, {}};
  MemoryLog disk(1, 1);
  Options options;
  options.id = ReplicaId{1};
  Raft raft(options, disk, {{1, {}, 1}, 1, config}, Random(1));
  const auto run = [&raft, &disk] {
    for (Ready ready = raft.take_ready(); !ready.empty(); ready = raft.take_ready()) {
      if (!ready.write) continue;
      disk.append(ready.write->entries);
      raft.written(ready.write->number);
    }
  };
  const auto hear = [&raft](Term term, Body body) {
    raft.step({ReplicaId{2}, ReplicaId{1}, term, std::move(body)});
  };
  raft.tick(1000);
  raft.campaign();
  run();
  hear(2, VoteResponse{.pre = true, .granted = true});
  run();
  hear(2, VoteResponse{.granted = true});
  run();
  BOOST_REQUIRE(raft.leads());
  hear(2, HeartbeatResponse{.round = 1});
  run();
  BOOST_TEST(!raft.lease_anchor().has_value());  // nothing of its term is committed
  hear(2, AppendResponse{.index = 2});
  run();
  BOOST_TEST((raft.lease_anchor() == 1000u));
  raft.tick(1050);
  raft.tick(1100);  // round 2
  run();
  raft.tick(1150);
  raft.tick(1200);  // round 3
  run();
  BOOST_TEST((raft.lease_anchor() == 1000u));
  hear(2, HeartbeatResponse{.round = 2, .index = 2});
  run();
  BOOST_TEST((raft.lease_anchor() == 1100u));
  hear(2, HeartbeatResponse{.round = 3, .index = 2});
  BOOST_TEST((raft.transfer(ReplicaId{2}) == Refusal::kNone));
  run();
  BOOST_TEST(!raft.lease_anchor().has_value());
  hear(3, AppendResponse{.rejected = true});
  run();
  BOOST_TEST(!raft.leads());
  BOOST_TEST(!raft.lease_anchor().has_value());
}

/// Whatever peers send, nothing breaks; and a stalled disk holds few promises.
BOOST_AUTO_TEST_CASE(noise_from_peers_breaks_nothing) {
  Random random(6);
  const Config config{ids({1, 2, 3}), {}, {}};
  for (int run = 0; run < 300; ++run) {
    MemoryLog disk(1, 1);
    Options options;
    options.id = ReplicaId{1};
    Raft raft(options, disk, {{1, {}, 1}, 1, config}, random.fork());
    for (int step = 0; step < 200; ++step) {
      const auto small = [&random] { return random.below(6); };
      const Index prev = small();
      std::vector<Entry> entries;
      for (std::uint64_t i = 0; i < small() / 2; ++i) {
        entries.push_back({small(), prev + 1 + i + (random.one_in(20) ? 1 : 0),
                           random.one_in(5) ? EntryKind::kConfig : EntryKind::kCommand,
                           random.one_in(2) ? make_payload("x") : nullptr});
      }
      const std::vector<Body> bodies = {
          VoteRequest{random.one_in(2), random.one_in(2), small(), small()},
          VoteResponse{random.one_in(2), random.one_in(2)},
          AppendResponse{random.one_in(2), small(), small(), small(), small()},
          HeartbeatResponse{small(), small()},
          ReadRequest{small()},
          ReadResponse{small(), small()},
          TimeoutNow{},
          Removed{small()}};
      // Commit indexes of leaders are believed, as they must be: here they stay at 0.
      const Body body = random.one_in(3)   ? Body(Append{prev, small(), 0, entries})
                        : random.one_in(5) ? Body(Heartbeat{small(), 0})
                                           : bodies[random.below(bodies.size())];
      raft.step({ReplicaId{random.between(0, 4)}, ReplicaId{random.between(1, 2)}, small(), body});
      if (random.one_in(4)) raft.tick(0);
      const Ready ready = raft.take_ready();
      raft.check_invariants();
    }
  }
}

}  // namespace skald::raft
