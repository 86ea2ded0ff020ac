#include "mqtt/dist/state_machine.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "config/base/assert.h"
#include "config/base/coding.h"
#include "mqtt/dist/keys.h"
#include "mqtt/topic/topic.h"

namespace skald::dist {
namespace {

bool is_valid_name(std::string_view name) { return !name.empty() && name.size() <= kMaxNameBytes; }

bool is_valid(const InboxReceiver& inbox) { return is_valid_name(inbox.inbox); }

bool is_valid(const Life& life) { return life.node && life.number; }

bool is_valid(const GroupReceiver& group) {
  if (!is_valid_name(group.group)) return false;
  if (group.group.find_first_of("/+#") != std::string::npos) return false;
  if (const auto* session = std::get_if<SessionMember>(&group.member)) {
    return is_valid(session->life);
  }
  const auto& member = std::get<InboxMember>(group.member);
  return is_valid(member.inbox) && !member.inbox.no_local &&
         (member.owner == Life{} || is_valid(member.owner));
}

bool is_valid(const NodeReceiver& node) { return is_valid(node.life); }

bool is_valid(const Route& route) {
  return route.tenant.size() <= kMaxTenantBytes &&
         topic::check_plain_filter(route.filter) == topic::Refusal::none &&
         std::visit([](const auto& receiver) { return is_valid(receiver); }, route.receiver);
}

/// Of the subscription, and within that of the attach: what is smaller is older.
struct Age {
  std::uint64_t incarnation = 0;
  std::uint64_t attached = 0;

  auto operator<=>(const Age&) const = default;
};

/// Zero for node routes, which have none: a node's route ends with its life.
Age age_of(const Receiver& receiver) {
  if (const auto* inbox = std::get_if<InboxReceiver>(&receiver)) return {inbox->incarnation, 0};
  const auto* group = std::get_if<GroupReceiver>(&receiver);
  if (group == nullptr) return {};
  if (const auto* session = std::get_if<SessionMember>(&group->member)) {
    return {session->incarnation, 0};
  }
  const auto& member = std::get<InboxMember>(group->member);
  return {member.inbox.incarnation, member.attached};
}

InboxMember* persistent_member(Receiver& receiver) {
  auto* group = std::get_if<GroupReceiver>(&receiver);
  return group == nullptr ? nullptr : std::get_if<InboxMember>(&group->member);
}

/// A removal takes away what it may, whoever is attached by then.
bool is_newer(const Receiver& present, const RouteChange& change) {
  const Age age = age_of(present);
  const Age wanted = age_of(change.route.receiver);
  if (change.kind == RouteChange::Kind::remove) return age.incarnation > wanted.incarnation;
  return age > wanted;
}

std::size_t most_members(const RouteChange& change) {
  if (change.max_members == 0) return kMaxGroupMembers;
  return std::min(kMaxGroupMembers, std::size_t{change.max_members});
}

}  // namespace

const char* to_string(RouteResult result) {
  switch (result) {
    case RouteResult::done:
      return "done";
    case RouteResult::unchanged:
      return "unchanged";
    case RouteResult::newer_present:
      return "a newer route is present";
    case RouteResult::wrong_range:
      return "outside the range";
    case RouteResult::invalid:
      return "invalid route";
    case RouteResult::foreign_life:
      return "route of another life";
    case RouteResult::full:
      return "group is full";
  }
  return "unknown";
}

StateMachine::Applied StateMachine::apply(const range::ApplyContext& context,
                                          const Command& command) {
  SKALD_ASSERT(!rebuilding_);
  if (const auto* change = std::get_if<ChangeRoutes>(&command)) {
    return change_routes(context, *change);
  }
  return end_life(std::get<EndLife>(command));
}

StateMachine::Applied StateMachine::change_routes(const range::ApplyContext& context,
                                                  const ChangeRoutes& command) {
  Applied applied;
  applied.reply.results.reserve(command.changes.size());
  for (const RouteChange& change : command.changes) {
    applied.reply.results.push_back(change_route(context, change, applied.writes));
  }
  if (!applied.writes.empty()) {
    applied.effects.emplace_back(range::EffectScope::every_replica, PublishSnapshot{});
  }
  return applied;
}

RouteResult StateMachine::change_route(const range::ApplyContext& context,
                                       const RouteChange& change,
                                       std::vector<range::Write>& writes) {
  const Route& route = change.route;
  if (!is_valid(route)) return RouteResult::invalid;
  const std::optional<Life> life = life_of(route.receiver);
  if (life && *life != context.lane.life) return RouteResult::foreign_life;
  std::string key = route_key(route);
  if (!boundary_.contains(key)) return RouteResult::wrong_range;

  const std::optional<Route> present = table_.find(route);
  if (present && is_newer(present->receiver, change)) return RouteResult::newer_present;
  if (change.kind == RouteChange::Kind::remove) {
    if (!present) return RouteResult::unchanged;
    table_.remove(route);
    writes.push_back({range::Write::Kind::erase, std::move(key), {}});
    return RouteResult::done;
  }
  if (present && present->receiver == route.receiver) return RouteResult::unchanged;
  const auto* group = std::get_if<GroupReceiver>(&route.receiver);
  if (!present && group != nullptr &&
      table_.group_size(route.tenant, route.filter, group->group) >= most_members(change)) {
    return RouteResult::full;
  }
  table_.put(route);
  writes.push_back({range::Write::Kind::put, std::move(key), route_value(route)});
  return RouteResult::done;
}

StateMachine::Applied StateMachine::end_life(const EndLife& command) {
  Applied applied;
  const std::uint32_t limit = std::clamp(command.limit, 1U, kMaxSweep);
  for (std::string& key : table_.keys_of(command.life, limit)) {
    const Result<Route> named = decode_route_key(key);
    SKALD_ASSERT(named.ok());
    std::optional<Route> route = table_.find(*named);
    SKALD_ASSERT(route);
    if (InboxMember* member = persistent_member(route->receiver)) {
      member->owner = {};
      table_.put(*route);
      applied.writes.push_back({range::Write::Kind::put, std::move(key), route_value(*route)});
    } else {
      table_.remove(*route);
      applied.writes.push_back({range::Write::Kind::erase, std::move(key), {}});
    }
  }
  applied.reply.more = table_.has_routes(command.life);
  if (!applied.writes.empty()) {
    applied.effects.emplace_back(range::EffectScope::every_replica, PublishSnapshot{});
  }
  return applied;
}

void StateMachine::boundary_changed(const range::Boundary& boundary) {
  boundary_ = boundary;
  for (const Route& route : table_.routes()) {
    if (!boundary_.contains(route_key(route))) table_.remove(route);
  }
}

// Routes need no leader to drive them: what repeats EndLife is the leader of the meta range.
StateMachine::Effects StateMachine::leader_started(std::uint64_t, std::uint64_t) { return {}; }

void StateMachine::leader_stopped() {}

std::optional<std::string> StateMachine::split_key(std::string_view hint) const {
  const auto is_inside = [this](std::string_view key) {
    return key > boundary_.start && boundary_.contains(key);
  };
  const std::optional<std::string> group = group_prefix(hint);
  std::string key(group ? *group : hint);
  if (group && !is_inside(key)) key = prefix_end(*group);
  if (!is_inside(key)) return std::nullopt;
  return key;
}

void StateMachine::rebuild_start() {
  table_.clear();
  rebuilding_ = true;
}

Status StateMachine::rebuild_chunk(std::span<const range::Record> records) {
  SKALD_ASSERT(rebuilding_);
  for (const range::Record& record : records) {
    Result<Route> route = decode_route(record.key, record.value);
    if (!route.ok()) return route.error();
    if (!is_valid(*route) || !boundary_.contains(record.key)) {
      return Error{"dist: a stored route is not valid, or not of this range"};
    }
    table_.put(*route);
  }
  return {};
}

void StateMachine::rebuild_finish() {
  SKALD_ASSERT(rebuilding_);
  rebuilding_ = false;
}

}  // namespace skald::dist
