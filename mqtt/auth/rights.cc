#include "mqtt/auth/rights.h"

#include <algorithm>

#include "mqtt/auth/filters.h"
#include "mqtt/topic/topic.h"

namespace skald::auth {

namespace {

using namespace std::string_view_literals;

constexpr std::string_view kClient = "%c";
constexpr std::string_view kUser = "%u";

bool is_placeholder(std::string_view text) {
  return text.starts_with(kClient) || text.starts_with(kUser);
}

/// A name that is one piece of a level and nothing else.
bool is_harmless(std::string_view name, bool at_start) {
  if (name.empty() || name.find_first_of("+#/\0"sv) != std::string_view::npos) return false;
  return !at_start || !name.starts_with('$');
}

/// The filter with its names; nothing when one of them cannot be taken, `bad_at` then says where.
std::optional<std::string> substituted(std::string_view filter, std::string_view user,
                                       std::string_view client_id, std::size_t& bad_at) {
  std::string out;
  for (std::size_t at = 0; at < filter.size();) {
    const std::string_view rest = filter.substr(at);
    if (!is_placeholder(rest)) {
      out.push_back(rest.front());
      ++at;
      continue;
    }
    const std::string_view name = rest.starts_with(kClient) ? client_id : user;
    if (!is_harmless(name, out.empty())) {
      bad_at = at;
      return std::nullopt;
    }
    out.append(name);  // what it holds is not looked at again
    at += kClient.size();
  }
  return out;
}

/// All that a filter could match from the level on that holds position `at`. What comes before may
/// hold a placeholder that can be taken; it is replaced by + so that the rule stays broad enough.
std::string widened(std::string_view filter, std::size_t at) {
  const std::size_t slash = filter.substr(0, at).rfind('/');
  if (slash == std::string_view::npos) return "#";
  std::string out;
  std::string_view rest = filter.substr(0, slash);
  for (bool more = true; more;) {
    const std::string_view level = topic::next_level(rest, more);
    out.append(level.find('%') == std::string_view::npos ? level : "+"sv).append("/");
  }
  return out + "#";
}

}  // namespace

std::string_view rule_problem(std::string_view filter) {
  std::string plain(filter);
  for (std::size_t at = 0; (at = plain.find('%', at)) != std::string::npos; ++at) {
    if (is_placeholder(std::string_view(plain).substr(at))) plain.replace(at, kClient.size(), "x");
  }
  if (plain.starts_with("$share/")) return "rules are about topics: leave $share/<group>/ out";
  const topic::Refusal refusal = topic::check_plain_filter(plain);
  return refusal == topic::Refusal::none ? std::string_view{} : topic::to_string(refusal);
}

bool names_client(const RuleSet& rules) {
  for (const auto* list : {&rules.publish, &rules.subscribe, &rules.receive}) {
    for (const Rule& rule : *list) {
      if (rule.filter.find(kClient) != std::string::npos) return true;
    }
  }
  return false;
}

Rights::Rights(std::span<const RuleSet* const> rules, std::string_view user,
               std::string_view client_id, std::uint64_t version, std::uint64_t serial)
    : version_(version), serial_(serial) {
  for (const RuleSet* set : rules) {
    everything_ |= set->everything;
    subscribe_by_overlap_ |= set->subscribe_by_overlap;
    add(set->publish, user, client_id, publish_);
    add(set->subscribe, user, client_id, subscribe_);
    add(set->receive, user, client_id, receive_);
  }
  // A subscription may be wider than what is denied; its messages may not.
  receive_.deny.insert(receive_.deny.end(), subscribe_.deny.begin(), subscribe_.deny.end());
}

void Rights::add(const std::vector<Rule>& rules, std::string_view user, std::string_view client_id,
                 Filters& to) {
  for (const Rule& rule : rules) {
    std::size_t bad_at = 0;
    std::optional<std::string> filter = substituted(rule.filter, user, client_id, bad_at);
    if (!filter && !rule.deny) continue;
    if (!filter) filter = widened(rule.filter, bad_at);
    (rule.deny ? to.deny : to.allow).push_back(std::move(*filter));
  }
}

bool Rights::matched(const Filters& filters, std::string_view topic) {
  const auto matches = [topic](const std::string& filter) { return topic::matches(filter, topic); };
  return std::none_of(filters.deny.begin(), filters.deny.end(), matches) &&
         std::any_of(filters.allow.begin(), filters.allow.end(), matches);
}

/// What is wholly denied is refused; what is denied in part is granted, and the denied part is not
/// delivered. What is allowed must cover the filter, or by Mosquitto's meaning share a topic with
/// it: then only what may be received is delivered.
bool Rights::may_subscribe(std::string_view filter) const {
  for (const std::string& deny : subscribe_.deny) {
    if (covers(deny, filter)) return false;
  }
  return std::any_of(
      subscribe_.allow.begin(), subscribe_.allow.end(), [this, filter](const std::string& allow) {
        return subscribe_by_overlap_ ? overlaps(allow, filter) : covers(allow, filter);
      });
}

bool Rights::allows(Action action, std::string_view topic) const {
  if (everything_) return true;
  switch (action) {
    case Action::publish:
      return matched(publish_, topic);
    case Action::subscribe:
      return may_subscribe(topic);
    case Action::receive:
      return matched(receive_, topic);
  }
  return false;
}

}  // namespace skald::auth
