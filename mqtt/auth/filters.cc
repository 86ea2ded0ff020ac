#include "mqtt/auth/filters.h"

#include "mqtt/topic/topic.h"

namespace skald::auth {

namespace {

bool begins_wild(std::string_view filter) {
  return filter.starts_with('+') || filter.starts_with('#');
}

}  // namespace

bool covers(std::string_view wide, std::string_view narrow) {
  if (narrow.starts_with('$') && begins_wild(wide)) return false;
  for (bool more_wide = true, more_narrow = true;;) {
    const std::string_view want = topic::next_level(wide, more_wide);
    if (want == "#") return true;
    const std::string_view level = topic::next_level(narrow, more_narrow);
    if (level == "#" || (want != "+" && want != level)) return false;
    if (!more_narrow) return !more_wide || wide == "#";
    if (!more_wide) return false;
  }
}

bool overlaps(std::string_view a, std::string_view b) {
  if ((a.starts_with('$') && begins_wild(b)) || (b.starts_with('$') && begins_wild(a))) {
    return false;
  }
  for (bool more_a = true, more_b = true;;) {
    const std::string_view one = topic::next_level(a, more_a);
    const std::string_view other = topic::next_level(b, more_b);
    if (one == "#" || other == "#") return true;
    if (one != "+" && other != "+" && one != other) return false;
    if (!more_a) return !more_b || b == "#";
    if (!more_b) return a == "#";
  }
}

}  // namespace skald::auth
