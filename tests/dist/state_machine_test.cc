// The dist state machine: its rules by table, and seeded scripts against a naive model that keeps
// the stored records only.
#include "mqtt/dist/state_machine.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/base/random.h"
#include "mqtt/dist/keys.h"
#include "mqtt/publication.h"
#include "mqtt/topic/topic.h"

namespace skald::dist {
namespace {

constexpr codec::QoS kQos1 = codec::QoS::at_least_once;

Life life(std::uint64_t node, std::uint64_t number = 1) {
  return {NodeId{node}, LifeNumber{number}};
}

range::ApplyContext context_of(Life proposer) {
  range::ApplyContext context;
  context.index = 1;
  context.lane.life = proposer;
  return context;
}

RouteResult change(StateMachine& machine, RouteChange::Kind kind, const Route& route) {
  const auto applied =
      machine.apply(context_of(life(1)), Command{ChangeRoutes{{RouteChange{kind, route}}}});
  BOOST_REQUIRE_EQUAL(applied.reply.results.size(), 1U);
  BOOST_CHECK_EQUAL(applied.writes.size(), applied.reply.results[0] == RouteResult::done ? 1U : 0U);
  BOOST_CHECK_EQUAL(applied.effects.size(), applied.writes.size());
  return applied.reply.results[0];
}

RouteResult add(StateMachine& machine, const Route& route) {
  return change(machine, RouteChange::Kind::add, route);
}
RouteResult remove(StateMachine& machine, const Route& route) {
  return change(machine, RouteChange::Kind::remove, route);
}

Route inbox(std::uint64_t incarnation, codec::QoS qos = kQos1) {
  return {"t", "a", InboxReceiver{"c", incarnation, qos}};
}
Route session_member(std::uint64_t session, std::uint64_t incarnation) {
  return {"t", "a", GroupReceiver{"g", SessionMember{life(1), session, incarnation, 2, kQos1}}};
}
Route inbox_member(const std::string& name, std::uint64_t incarnation) {
  return {"t", "a", GroupReceiver{"g", InboxMember{{name, incarnation, kQos1}, {}, 0}}};
}

/// "name incarnation qos [rap] #id ..." of each, and what is due of its own publications when that
/// is something else.
std::vector<std::string> texts(const InboxMatches* matches) {
  std::vector<std::string> all;
  if (matches == nullptr) return all;
  const auto text_of = [matches](const InboxMatches::Inbox& inbox) {
    std::string text = " " + std::to_string(inbox.incarnation) + " q" +
                       std::to_string(static_cast<int>(inbox.qos));
    if (inbox.retain_as_published) text += " rap";
    for (const std::uint32_t id : matches->ids_of(inbox)) text += " #" + std::to_string(id);
    return text;
  };
  for (const InboxMatches::Inbox& inbox : matches->inboxes) {
    all.push_back(std::string(inbox.inbox) + text_of(inbox));
  }
  for (const InboxMatches::NoLocal& one : matches->no_local) {
    all[one.inbox] += " own:" + (one.instead ? text_of(*one.instead) : " none");
  }
  return all;
}

BOOST_AUTO_TEST_SUITE(state_machine)

BOOST_AUTO_TEST_CASE(node_routes) {
  StateMachine machine;
  const Route route{"t", "a/+", NodeReceiver{life(1)}};
  BOOST_CHECK(add(machine, route) == RouteResult::done);
  BOOST_CHECK(add(machine, route) == RouteResult::unchanged);
  Matches matches;
  machine.snapshot().match("t", "a/b", matches);
  BOOST_CHECK(matches.nodes == std::vector<Life>{life(1)});
  machine.snapshot().match("u", "a/b", matches);
  BOOST_CHECK(matches.empty());
  BOOST_CHECK(remove(machine, route) == RouteResult::done);
  BOOST_CHECK(remove(machine, route) == RouteResult::unchanged);
  machine.snapshot().match("t", "a/b", matches);
  BOOST_CHECK(matches.empty());
  BOOST_CHECK_EQUAL(machine.snapshot().version("t"), 0U);
}

BOOST_AUTO_TEST_CASE(incarnations) {
  using Make = Route (*)(std::uint64_t);
  for (const Make make : {Make{[](std::uint64_t i) { return inbox(i); }},
                          Make{[](std::uint64_t i) { return session_member(7, i); }},
                          Make{[](std::uint64_t i) { return inbox_member("c", i); }}}) {
    StateMachine machine;
    BOOST_CHECK(remove(machine, make(9)) == RouteResult::unchanged);
    BOOST_CHECK(add(machine, make(5)) == RouteResult::done);
    BOOST_CHECK(add(machine, make(5)) == RouteResult::unchanged);
    BOOST_CHECK(add(machine, make(4)) == RouteResult::newer_present);
    BOOST_CHECK(remove(machine, make(4)) == RouteResult::newer_present);
    BOOST_CHECK(machine.table().find(make(0)) == make(5));
    BOOST_CHECK(add(machine, make(6)) == RouteResult::done);
    BOOST_CHECK(machine.table().find(make(0)) == make(6));
    BOOST_CHECK(remove(machine, make(6)) == RouteResult::done);
    BOOST_CHECK(add(machine, make(6)) == RouteResult::done);
    BOOST_CHECK(remove(machine, make(9)) == RouteResult::done);
    BOOST_CHECK_EQUAL(machine.table().size(), 0U);
  }
  StateMachine machine;
  BOOST_CHECK(add(machine, inbox(5, kQos1)) == RouteResult::done);
  BOOST_CHECK(add(machine, inbox(5, codec::QoS::exactly_once)) == RouteResult::done);
}

BOOST_AUTO_TEST_CASE(members_online) {
  StateMachine machine;
  const auto member = [](std::uint64_t incarnation, Life owner, std::uint64_t attached) {
    return Route{"t", "a", GroupReceiver{"g", InboxMember{{"c", incarnation}, owner, attached}}};
  };
  BOOST_CHECK(add(machine, member(5, life(1), 5)) == RouteResult::done);
  BOOST_CHECK(add(machine, member(5, life(1), 5)) == RouteResult::unchanged);
  BOOST_CHECK(add(machine, member(5, life(2), 6)) == RouteResult::foreign_life);
  BOOST_CHECK(add(machine, member(5, {}, 5)) == RouteResult::done);           // detached
  BOOST_CHECK(add(machine, member(5, life(1), 8)) == RouteResult::done);      // attached again
  BOOST_CHECK(add(machine, member(5, {}, 5)) == RouteResult::newer_present);  // late
  BOOST_CHECK(add(machine, member(4, {}, 9)) == RouteResult::newer_present);
  BOOST_CHECK(add(machine, member(6, life(1), 8)) == RouteResult::done);  // subscribed again
  BOOST_CHECK(remove(machine, member(5, {}, 9)) == RouteResult::newer_present);
  // The end of the owner's life makes it offline; it stays a member.
  BOOST_CHECK(machine.table().has_routes(life(1)));
  const auto applied = machine.apply(context_of(life(9)), Command{EndLife{life(1)}});
  BOOST_CHECK(!applied.reply.more);
  BOOST_REQUIRE_EQUAL(applied.writes.size(), 1U);
  BOOST_CHECK(*decode_route(applied.writes[0].key, applied.writes[0].value) == member(6, {}, 8));
  BOOST_CHECK(machine.table().find(member(0, {}, 0)) == member(6, {}, 8));
  BOOST_CHECK(remove(machine, member(6, {}, 0)) == RouteResult::done);  // whoever is attached
  // No Local on a shared subscription is a protocol error [MQTT-3.8.3-4].
  Route wrong = member(7, {}, 0);
  std::get<InboxMember>(std::get<GroupReceiver>(wrong.receiver).member).inbox.no_local = true;
  BOOST_CHECK(add(machine, wrong) == RouteResult::invalid);
  BOOST_CHECK(add(machine, member(7, {NodeId{1}, LifeNumber{0}}, 0)) == RouteResult::invalid);
}

BOOST_AUTO_TEST_CASE(overlapping_subscriptions_of_an_inbox) {
  StateMachine machine;
  const InboxReceiver exact{"c", 5, codec::QoS::at_most_once, false, true, 7};
  const InboxReceiver plus{"c", 3, codec::QoS::exactly_once, true, false, 5};
  const InboxReceiver hash{"c", 4, kQos1, false, true, 5};
  const InboxReceiver other{"d", 9, kQos1, false, true, 1};
  add(machine, {"t", "a/b", exact});
  add(machine, {"t", "a/+", plus});
  add(machine, {"t", "#", hash});
  add(machine, {"t", "#", other});
  Matches matches;
  const auto at = [&](const char* topic) {
    machine.snapshot().match("t", topic, matches);
    return texts(matches.inboxes.get());
  };
  using Texts = std::vector<std::string>;
  BOOST_TEST(at("a/b") == (Texts{"c 5 q2 rap #5 #5 #7 own: 3 q2 rap #5", "d 9 q1 #1 own: none"}));
  BOOST_CHECK(matches.inboxes->no_local.at(0).publisher == mqtt::persistent_life("t", "c"));
  const Texts got = at("x");
  BOOST_TEST((std::set<std::string>(got.begin(), got.end()) ==
              std::set<std::string>{"c 4 q1 #5 own: none", "d 9 q1 #1 own: none"}));
  machine.snapshot().match("t", "$x", matches);
  BOOST_CHECK(matches.inboxes == nullptr);
}

BOOST_AUTO_TEST_CASE(refusals) {
  StateMachine machine;
  const auto result_of = [&machine](const Route& route) { return add(machine, route); };
  BOOST_CHECK(result_of({"t", "a", NodeReceiver{life(2)}}) == RouteResult::foreign_life);
  BOOST_CHECK(result_of({"t", "a", NodeReceiver{life(1, 2)}}) == RouteResult::foreign_life);
  BOOST_CHECK(result_of({"t", "a", GroupReceiver{"g", SessionMember{life(2), 1, 1, 0, {}}}}) ==
              RouteResult::foreign_life);
  BOOST_CHECK(result_of({"t", "a#", NodeReceiver{life(1)}}) == RouteResult::invalid);
  BOOST_CHECK(result_of({"t", "", NodeReceiver{life(1)}}) == RouteResult::invalid);
  BOOST_CHECK(result_of({std::string(256, 't'), "a", NodeReceiver{life(1)}}) ==
              RouteResult::invalid);
  BOOST_CHECK(result_of({"t", "a", NodeReceiver{}}) == RouteResult::invalid);
  BOOST_CHECK(result_of({"t", "a", InboxReceiver{"", 1, {}}}) == RouteResult::invalid);
  for (const char* group : {"", "a/b", "+", "#"}) {
    BOOST_CHECK(result_of({"t", "a", GroupReceiver{group, InboxMember{{"c", 1, {}}, {}, 0}}}) ==
                RouteResult::invalid);
  }
  machine.boundary_changed({"", route_key({"t", "b", NodeReceiver{life(1)}})});
  BOOST_CHECK(result_of({"t", "b", NodeReceiver{life(1)}}) == RouteResult::wrong_range);
  BOOST_CHECK(result_of({"t", "a", NodeReceiver{life(1)}}) == RouteResult::done);
  BOOST_CHECK_EQUAL(machine.table().size(), 1U);
}

BOOST_AUTO_TEST_CASE(a_group_has_a_limit) {
  StateMachine machine;
  for (std::uint64_t i = 0; i < kMaxGroupMembers; ++i) {
    BOOST_REQUIRE(add(machine, session_member(i, 1)) == RouteResult::done);
  }
  BOOST_CHECK(add(machine, session_member(kMaxGroupMembers, 1)) == RouteResult::full);
  BOOST_CHECK(add(machine, session_member(3, 2)) == RouteResult::done);
  BOOST_CHECK(remove(machine, session_member(0, 1)) == RouteResult::done);
  BOOST_CHECK(add(machine, session_member(kMaxGroupMembers, 1)) == RouteResult::done);
}

BOOST_AUTO_TEST_CASE(an_add_may_ask_for_a_smaller_group) {
  StateMachine machine;
  const auto add_within = [&machine](std::uint32_t most, const Route& route) {
    const RouteChange change{RouteChange::Kind::add, route, most};
    const auto applied = machine.apply(context_of(life(1)), Command{ChangeRoutes{{change}}});
    return applied.reply.results[0];
  };
  BOOST_CHECK(add_within(2, session_member(0, 1)) == RouteResult::done);
  BOOST_CHECK(add_within(2, session_member(1, 1)) == RouteResult::done);
  BOOST_CHECK(add_within(2, session_member(2, 1)) == RouteResult::full);
  BOOST_CHECK(add_within(2, session_member(1, 2)) == RouteResult::done);  // it is in already
  BOOST_CHECK(add_within(2, {"t", "b", NodeReceiver{life(1)}}) == RouteResult::done);
  BOOST_CHECK(add_within(3, session_member(2, 1)) == RouteResult::done);
  BOOST_CHECK(add_within(2, session_member(3, 1)) == RouteResult::full);
  BOOST_CHECK(add_within(UINT32_MAX, session_member(3, 1)) == RouteResult::done);
}

BOOST_AUTO_TEST_CASE(overlapping_filters_give_each_receiver_once) {
  StateMachine machine;
  for (const char* filter : {"a/b", "a/+", "#"}) {
    BOOST_CHECK(add(machine, {"t", filter, NodeReceiver{life(1)}}) == RouteResult::done);
  }
  add(machine, {"t", "a/b", InboxReceiver{"c", 5, codec::QoS::at_most_once}});
  add(machine, {"t", "#", InboxReceiver{"c", 3, codec::QoS::exactly_once}});
  add(machine, {"t", "#", InboxReceiver{"b", 1, kQos1}});
  // The same two the other way round, whatever order the filters match in.
  add(machine, {"t", "#", InboxReceiver{"d", 5, codec::QoS::at_most_once}});
  add(machine, {"t", "a/b", InboxReceiver{"d", 3, codec::QoS::exactly_once}});
  add(machine, {"t", "#", GroupReceiver{"g", InboxMember{{"x", 1, kQos1}, {}, 0}}});
  add(machine, {"t", "a/+", GroupReceiver{"g", InboxMember{{"y", 1, kQos1}, {}, 0}}});
  Matches matches;
  machine.snapshot().match("t", "a/b", matches);
  BOOST_CHECK(matches.nodes == std::vector<Life>{life(1)});
  const std::vector<std::string> want{"b 1 q1", "c 5 q2", "d 5 q2"};
  BOOST_TEST(texts(matches.inboxes.get()) == want);
  // The same name with two filters is two groups [MQTT-4.8.2].
  BOOST_REQUIRE_EQUAL(matches.groups.size(), 2U);
  BOOST_CHECK(matches.groups[0].group->filter != matches.groups[1].group->filter);
}

BOOST_AUTO_TEST_CASE(matches_outlive_the_snapshot) {
  Matches matches;
  {
    StateMachine machine;
    add(machine, inbox_member("some client with a long name", 1));
    add(machine, inbox(1));
    machine.snapshot().match("t", "a", matches);
    remove(machine, inbox_member("some client with a long name", 1));
    remove(machine, inbox(1));
  }
  BOOST_CHECK_EQUAL(matches.inboxes->inboxes.at(0).inbox, "c");
  const Group& group = *matches.groups.at(0).group;
  BOOST_CHECK_EQUAL(std::get<InboxMember>(group[0]).inbox.inbox, "some client with a long name");
}

BOOST_AUTO_TEST_CASE(splits_fall_beside_groups) {
  StateMachine machine;
  const std::string node = route_key({"t", "a", NodeReceiver{life(1)}});
  const std::string member = route_key(inbox_member("c", 1));
  const std::string group = *group_prefix(member);
  BOOST_CHECK(machine.split_key(node) == node);
  BOOST_CHECK(machine.split_key(member) == group);
  BOOST_CHECK(machine.split_key(member.substr(0, member.size() - 2)) == group);
  BOOST_CHECK(!machine.split_key(""));
  machine.boundary_changed({group, std::nullopt});
  const auto behind = machine.split_key(member);
  BOOST_REQUIRE(behind);
  BOOST_CHECK_GT(*behind, route_key(inbox_member("\xf4\x8f\xbf\xbf", 1)));
  BOOST_CHECK_LT(*behind,
                 route_key({"t", "a", GroupReceiver{"h", InboxMember{{"c", 1, {}}, {}, 0}}}));
  machine.boundary_changed({group, *behind});
  BOOST_CHECK(!machine.split_key(member));
  BOOST_CHECK(!machine.split_key(node));
}

/// The stored records, as writes make them, and what follows from them by scanning.
class Model {
 public:
  void write(const std::vector<range::Write>& writes) {
    for (const range::Write& write : writes) {
      if (write.kind == range::Write::Kind::put) {
        records[write.key] = write.value;
      } else {
        BOOST_REQUIRE_EQUAL(records.erase(write.key), 1U);
      }
    }
  }

  std::set<std::string> match(const std::string& tenant, const std::string& topic) const {
    std::set<std::string> found;
    std::map<std::string, Overlapping> inboxes;
    for (const auto& [key, value] : records) {
      const Result<Route> route = decode_route(key, value);
      if (route->tenant != tenant || !topic::matches(route->filter, topic)) continue;
      if (const auto* inbox = std::get_if<InboxReceiver>(&route->receiver)) {
        inboxes[inbox->inbox].push_back(*inbox);
      } else {
        found.insert(receiver_text(route->filter, route->receiver));
      }
    }
    for (const auto& [name, overlapping] : inboxes) {
      std::string text = "inbox " + name + merged_text(overlapping, false);
      const bool any_no_local = std::any_of(overlapping.begin(), overlapping.end(),
                                            [](const InboxReceiver& one) { return one.no_local; });
      if (any_no_local) text += " own:" + merged_text(overlapping, true);
      found.insert(text);
    }
    return found;
  }

  /// What the overlapping subscriptions of one inbox come to.
  using Overlapping = std::vector<InboxReceiver>;
  static std::string merged_text(const Overlapping& overlapping, bool without_no_local) {
    InboxReceiver merged;
    std::multiset<std::uint32_t> ids;
    bool any = false;
    for (const InboxReceiver& one : overlapping) {
      if (one.no_local && without_no_local) continue;
      any = true;
      merged.incarnation = std::max(merged.incarnation, one.incarnation);
      merged.qos = std::max(merged.qos, one.qos);
      merged.retain_as_published |= one.retain_as_published;
      if (one.subscription_id != 0) ids.insert(one.subscription_id);
    }
    if (!any) return " none";
    std::string text = " " + std::to_string(merged.incarnation) + " q" +
                       std::to_string(static_cast<int>(merged.qos));
    if (merged.retain_as_published) text += " rap";
    for (const std::uint32_t id : ids) text += " #" + std::to_string(id);
    return text;
  }

  static std::string life_text(Life life) {
    return std::to_string(life.node.value) + "." + std::to_string(life.number.value);
  }
  static std::string receiver_text(const std::string& filter, const Receiver& receiver) {
    if (const auto* node = std::get_if<NodeReceiver>(&receiver)) return life_text(node->life);
    const auto& group = std::get<GroupReceiver>(receiver);
    const std::string text = group.group + " of " + filter + ": ";
    if (const auto* member = std::get_if<InboxMember>(&group.member)) {
      const InboxReceiver& inbox = member->inbox;
      return text + inbox.inbox + " " + std::to_string(inbox.incarnation) + " " +
             std::to_string(member->attached) + " " + life_text(member->owner);
    }
    const auto& session = std::get<SessionMember>(group.member);
    return text + life_text(session.life) + " session " + std::to_string(session.session) + " " +
           std::to_string(session.incarnation);
  }

  std::map<std::string, std::string> records;
};

std::set<std::string> match(const RouteSnapshot& snapshot, const std::string& tenant,
                            const std::string& topic) {
  Matches matches;
  snapshot.match(tenant, topic, matches);
  std::set<std::string> found;
  for (const Life& node : matches.nodes) {
    BOOST_REQUIRE(found.insert(Model::life_text(node)).second);
  }
  for (const std::string& inbox : texts(matches.inboxes.get())) {
    BOOST_REQUIRE(found.insert("inbox " + inbox).second);
  }
  for (const auto& shared : matches.groups) {
    BOOST_REQUIRE_GT(shared.group->size(), 0U);
    for (std::size_t i = 0; i < shared.group->size(); ++i) {
      const Receiver receiver = GroupReceiver{std::string(shared.name), (*shared.group)[i]};
      BOOST_REQUIRE(found.insert(Model::receiver_text(shared.group->filter, receiver)).second);
    }
  }
  return found;
}

const std::vector<std::string> kTenants{"", "t", "u"};
const std::vector<std::string> kFilters{"a", "a/b", "a/+", "+/b", "#", "a/#", "$x", "$x/#"};
const std::vector<std::string> kTopics{"a", "a/b", "b", "b/b", "$x", "$x/b", "a/b/c"};

template <class T>
const T& pick(Random& random, const std::vector<T>& from) {
  return from[random.below(from.size())];
}

Route random_route(Random& random, Life proposer) {
  const std::string name(1, static_cast<char>('a' + random.below(3)));
  InboxReceiver inbox{name, random.between(1, 5), static_cast<codec::QoS>(random.below(3))};
  inbox.retain_as_published = random.one_in(3);
  inbox.subscription_id = static_cast<std::uint32_t>(random.below(4));
  Receiver receiver = NodeReceiver{proposer};
  if (random.one_in(3)) {
    InboxReceiver own = inbox;
    own.no_local = random.one_in(3);
    receiver = own;
  }
  if (random.one_in(3)) {
    const SessionMember session{proposer, random.below(3), random.between(1, 5), 0, kQos1};
    const bool online = random.one_in(2);
    GroupMember member = InboxMember{inbox, online ? proposer : Life{}, random.between(1, 3)};
    if (random.one_in(2)) member = session;
    receiver = GroupReceiver{random.one_in(2) ? "g" : "h", member};
  }
  return {pick(random, kTenants), pick(random, kFilters), receiver};
}

/// Rebuilds a machine from the model's records, in chunks of random size.
void rebuild(StateMachine& machine, const Model& model, Random& random) {
  std::vector<range::Record> records;
  for (const auto& [key, value] : model.records) records.push_back({key, value});
  machine.rebuild_start();
  for (std::size_t at = 0; at < records.size();) {
    const std::size_t size = std::min<std::size_t>(random.between(1, 5), records.size() - at);
    BOOST_REQUIRE(machine.rebuild_chunk(std::span(records).subspan(at, size)).ok());
    at += size;
  }
  machine.rebuild_finish();
}

void check_same(const RouteSnapshot& snapshot, const Model& model) {
  for (const std::string& tenant : kTenants) {
    for (const std::string& topic : kTopics) {
      BOOST_REQUIRE(match(snapshot, tenant, topic) == model.match(tenant, topic));
    }
  }
}

/// One random command; checks which tenants' versions change.
void step(StateMachine& machine, Model& model, Random& random) {
  std::map<std::string, std::uint64_t> versions;
  const RouteSnapshot before = machine.snapshot();
  const Model then = model;
  const Life proposer = life(random.between(1, 3), random.between(1, 2));
  Command command = EndLife{proposer, static_cast<std::uint32_t>(random.between(1, 4))};
  if (!random.one_in(8)) {
    ChangeRoutes changes;
    for (std::uint64_t i = random.between(1, 4); i > 0; --i) {
      const bool is_add = !random.one_in(3);
      changes.changes.push_back({is_add ? RouteChange::Kind::add : RouteChange::Kind::remove,
                                 random_route(random, proposer)});
    }
    command = changes;
  }
  const auto applied = machine.apply(context_of(proposer), command);
  model.write(applied.writes);
  if (std::holds_alternative<EndLife>(command)) {
    BOOST_REQUIRE_EQUAL(applied.reply.more, machine.table().has_routes(proposer));
  }
  std::set<std::string> written;
  for (const range::Write& write : applied.writes) {
    written.insert(decode_route_key(write.key)->tenant);
  }
  for (const std::string& tenant : kTenants) {
    const bool same = before.version(tenant) == machine.snapshot().version(tenant);
    BOOST_REQUIRE(same || written.contains(tenant));
    if (same) BOOST_REQUIRE(!written.contains(tenant) || machine.snapshot().version(tenant) == 0);
  }
  const std::string& tenant = pick(random, kTenants);
  const std::string& topic = pick(random, kTopics);
  BOOST_REQUIRE(match(machine.snapshot(), tenant, topic) == model.match(tenant, topic));
  BOOST_REQUIRE(match(before, tenant, topic) == then.match(tenant, topic));
}

BOOST_AUTO_TEST_CASE(random_scripts_against_stored_records) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Random random(seed);
      StateMachine machine(random.next());
      Model model;
      std::vector<std::pair<RouteSnapshot, Model>> old;
      for (int i = 0; i < 400; ++i) {
        step(machine, model, random);
        if (random.one_in(40)) old.emplace_back(machine.snapshot(), model);
        if (random.one_in(100)) rebuild(machine, model, random);
        BOOST_REQUIRE_EQUAL(machine.table().size(), model.records.size());
      }
      check_same(machine.snapshot(), model);
      for (const auto& [snapshot, then] : old) check_same(snapshot, then);

      // A machine rebuilt from the records, with other hashes, is the same and goes on the same.
      StateMachine other(random.next());
      rebuild(other, model, random);
      BOOST_REQUIRE(other.table().routes() == machine.table().routes());

      // A split: each half keeps what is its own.
      const auto key =
          model.records.empty()
              ? std::nullopt
              : machine.split_key(std::next(model.records.begin(),
                                            static_cast<long>(random.below(model.records.size())))
                                      ->first);
      if (key) {
        const std::size_t all = machine.table().size();
        machine.boundary_changed({"", *key});
        other.boundary_changed({*key, std::nullopt});
        BOOST_REQUIRE_EQUAL(machine.table().size() + other.table().size(), all);
        for (const Route& route : machine.table().routes()) BOOST_REQUIRE(route_key(route) < *key);
      }

      // Ended lives leave nothing.
      for (StateMachine* half : {&machine, &other}) {
        for (std::uint64_t node = 1; node <= 3; ++node) {
          for (std::uint64_t number = 1; number <= 2; ++number) {
            while (half->apply(context_of(life(9)), Command{EndLife{life(node, number), 3}})
                       .reply.more) {
            }
          }
        }
        for (const Route& route : half->table().routes()) {
          BOOST_REQUIRE(!life_of(route.receiver));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(versions_go_on_after_a_rebuild) {
  StateMachine machine(1, 100);
  add(machine, inbox(1));
  const std::uint64_t version = machine.snapshot().version("t");
  BOOST_CHECK_GT(version, 100U);
  machine.rebuild_start();
  const std::string key = route_key(inbox(2));
  const std::string value = route_value(inbox(2));
  const std::vector<range::Record> records{{key, value}};
  BOOST_REQUIRE(machine.rebuild_chunk(records).ok());
  machine.rebuild_finish();
  BOOST_CHECK_GT(machine.snapshot().version("t"), version);
  machine.rebuild_start();
  const std::vector<range::Record> damaged{{key, std::string_view(value).substr(1)}};
  BOOST_CHECK(!machine.rebuild_chunk(damaged).ok());
}

BOOST_AUTO_TEST_CASE(many_tenants) {
  StateMachine machine(1);
  for (int i = 0; i < 100'000; ++i) {
    const Route route{"tenant " + std::to_string(i), "a", NodeReceiver{life(1)}};
    machine.apply(context_of(life(1)), Command{ChangeRoutes{{{RouteChange::Kind::add, route}}}});
  }
  const RouteSnapshot snapshot = machine.snapshot();
  BOOST_CHECK_NE(snapshot.version("tenant 99999"), 0U);
  std::uint32_t commands = 1;
  while (machine.apply(context_of(life(2)), Command{EndLife{life(1)}}).reply.more) ++commands;
  BOOST_CHECK_EQUAL(commands, 10U);
  BOOST_CHECK_EQUAL(machine.table().size(), 0U);
  BOOST_CHECK_EQUAL(machine.snapshot().version("tenant 5"), 0U);
  Matches matches;
  snapshot.match("tenant 5", "a", matches);
  BOOST_CHECK_EQUAL(matches.nodes.size(), 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace skald::dist
