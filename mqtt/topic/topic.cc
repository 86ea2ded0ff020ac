#include "mqtt/topic/topic.h"

#include <algorithm>

namespace skald::topic {
namespace {

constexpr std::string_view kShare = "$share/";
constexpr std::string_view kOrderedShare = "$oshare/";

/// What names and filters have in common.
Refusal check_text(std::string_view text, const Limits& limits) {
  if (text.empty()) return Refusal::empty;
  if (text.size() > limits.max_bytes) return Refusal::too_long;
  if (text.find('\0') != std::string_view::npos) return Refusal::null_character;
  return Refusal::none;
}

bool too_many_levels(std::string_view text, const Limits& limits) {
  const auto slashes = static_cast<std::size_t>(std::count(text.begin(), text.end(), '/'));
  return slashes + 1 > std::min(limits.max_levels, kMaxLevels);
}

Refusal check_filter_level(std::string_view level, bool last) {
  if (level.find('#') != std::string_view::npos) {
    if (level.size() != 1) return Refusal::hash_not_alone;
    if (!last) return Refusal::hash_not_last;
  }
  if (level.find('+') != std::string_view::npos && level.size() != 1) {
    return Refusal::plus_not_alone;
  }
  return Refusal::none;
}

}  // namespace

const char* to_string(Refusal refusal) {
  switch (refusal) {
    case Refusal::none:
      return "valid";
    case Refusal::empty:
      return "empty";
    case Refusal::null_character:
      return "holds a null character";
    case Refusal::too_long:
      return "too long";
    case Refusal::too_many_levels:
      return "too many levels";
    case Refusal::wildcard_in_name:
      return "a topic name may not hold + or #";
    case Refusal::plus_not_alone:
      return "+ must be a whole level";
    case Refusal::hash_not_alone:
      return "# must be a whole level";
    case Refusal::hash_not_last:
      return "# must be the last level";
    case Refusal::share_without_group:
      return "$share/ needs a group name";
    case Refusal::share_group_wildcard:
      return "the group of $share/ may not hold + or #";
    case Refusal::share_without_filter:
      return "$share/<group>/ needs a filter";
    case Refusal::ordered_share:
      return "$oshare/ is not supported";
  }
  return "unknown";
}

Refusal check_name(std::string_view name, const Limits& limits) {
  if (const Refusal refusal = check_text(name, limits); refusal != Refusal::none) return refusal;
  if (name.find_first_of("+#") != std::string_view::npos) return Refusal::wildcard_in_name;
  return too_many_levels(name, limits) ? Refusal::too_many_levels : Refusal::none;
}

Refusal check_plain_filter(std::string_view filter, const Limits& limits) {
  if (const Refusal refusal = check_text(filter, limits); refusal != Refusal::none) return refusal;
  if (too_many_levels(filter, limits)) return Refusal::too_many_levels;
  for (bool more = true; more;) {
    const std::string_view level = next_level(filter, more);
    const Refusal refusal = check_filter_level(level, !more);
    if (refusal != Refusal::none) return refusal;
  }
  return Refusal::none;
}

Filter parse_filter(std::string_view text, const Limits& limits) {
  if (const Refusal refusal = check_text(text, limits); refusal != Refusal::none) {
    return {.refusal = refusal, .group = {}, .filter = {}};
  }
  if (text.starts_with(kOrderedShare)) {
    return {.refusal = Refusal::ordered_share, .group = {}, .filter = {}};
  }
  Filter result{.refusal = Refusal::none, .group = {}, .filter = text};
  if (text.starts_with(kShare)) {
    const std::string_view rest = text.substr(kShare.size());
    const std::size_t slash = rest.find('/');
    result.group = rest.substr(0, slash);
    result.filter = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
    if (result.group.empty()) {
      result.refusal = Refusal::share_without_group;
    } else if (result.group.find_first_of("+#") != std::string_view::npos) {
      result.refusal = Refusal::share_group_wildcard;
    } else if (result.filter.empty()) {
      result.refusal = Refusal::share_without_filter;
    }
  }
  if (result.ok()) result.refusal = check_plain_filter(result.filter, limits);
  return result;
}

bool matches(std::string_view filter, std::string_view name) {
  if (name.starts_with('$') && (filter.starts_with('+') || filter.starts_with('#'))) return false;
  for (bool more_filter = true, more_name = true;;) {
    const std::string_view want = next_level(filter, more_filter);
    if (want == "#") return true;
    const std::string_view level = next_level(name, more_name);
    if (want != "+" && want != level) return false;
    if (!more_name) return !more_filter || filter == "#";
    if (!more_filter) return false;
  }
}

}  // namespace skald::topic
