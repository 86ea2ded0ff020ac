// Topic filters, written for the checker alone: it must not share a bug with the broker.
//
// Rules: [MQTT-4.7.1-1] `#` takes the rest and its parent, [MQTT-4.7.1-3] `+` takes one level,
// [MQTT-4.7.2-1] a wildcard first level does not take topics that start with `$`.
#pragma once

#include <string_view>

namespace skald::checker {

/// `filter` without a `$share/<group>/` prefix.
inline bool topic_matches(std::string_view filter, std::string_view topic) {
  if (!topic.empty() && topic[0] == '$' && !filter.empty() &&
      (filter[0] == '+' || filter[0] == '#')) {
    return false;
  }
  for (;;) {
    const std::size_t filter_end = filter.find('/');
    const std::string_view level = filter.substr(0, filter_end);
    if (level == "#") return true;
    const std::size_t topic_end = topic.find('/');
    if (level != "+" && level != topic.substr(0, topic_end)) return false;
    const bool filter_ends = filter_end == std::string_view::npos;
    if (topic_end == std::string_view::npos) {
      return filter_ends || filter.substr(filter_end + 1) == "#";
    }
    if (filter_ends) return false;
    filter.remove_prefix(filter_end + 1);
    topic.remove_prefix(topic_end + 1);
  }
}

/// The group of a shared subscription, empty when it is none.
inline std::string_view share_group(std::string_view filter) {
  constexpr std::string_view kPrefix = "$share/";
  if (!filter.starts_with(kPrefix)) return {};
  filter.remove_prefix(kPrefix.size());
  const std::size_t slash = filter.find('/');
  return slash == std::string_view::npos ? std::string_view() : filter.substr(0, slash);
}

/// What a filter matches: without the group.
inline std::string_view share_filter(std::string_view filter) {
  const std::string_view group = share_group(filter);
  return group.empty() ? filter : filter.substr(7 + group.size() + 1);
}

}  // namespace skald::checker
