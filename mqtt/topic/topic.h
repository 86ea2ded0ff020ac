// Topic names and topic filters: what is valid, and which filter matches which name.
//
// Names and filters reach this file as well-formed UTF-8 (the codec checks that); the rules here
// are those of MQTT 5.0 sections 4.7 and 4.8.2, applied to every version of the protocol. `matches`
// is the plain definition that every faster matcher is tested against.
#pragma once

#include <cstdint>
#include <string_view>

namespace skald::topic {

/// No filter is deeper, whatever the limits of a tenant say: matching recurses once a level.
inline constexpr std::uint32_t kMaxLevels = 200;

struct Limits {
  std::uint32_t max_bytes = 65535;        // of the whole name or filter, `$share/<group>/` included
  std::uint32_t max_levels = kMaxLevels;  // of the name, or of the filter after `$share/<group>/`
};

/// Why a name or a filter is not accepted.
enum class Refusal : std::uint8_t {
  none,
  empty,                 // [MQTT-4.7.3-1]
  null_character,        // [MQTT-4.7.3-2]
  too_long,              // [MQTT-4.7.3-3], or the tenant's limit
  too_many_levels,       // the tenant's limit
  wildcard_in_name,      // [MQTT-4.7.0-1]
  plus_not_alone,        // [MQTT-4.7.1-2]
  hash_not_alone,        // [MQTT-4.7.1-1]
  hash_not_last,         // [MQTT-4.7.1-1]
  share_without_group,   // [MQTT-4.8.2-1]
  share_group_wildcard,  // [MQTT-4.8.2-2]
  share_without_filter,  // [MQTT-4.8.2-2]
  ordered_share,         // `$oshare/`: an extension of other brokers that this one does not have
};

/// For logs and reason strings; never null.
const char* to_string(Refusal refusal);

/// A subscription's filter taken apart. The views point into the text that was parsed.
struct Filter {
  Refusal refusal = Refusal::none;
  std::string_view group;   // of `$share/<group>/<filter>`; empty: not shared
  std::string_view filter;  // what is matched against topics

  bool ok() const { return refusal == Refusal::none; }
  bool shared() const { return !group.empty(); }
};

/// Checks the topic of a PUBLISH or a will.
Refusal check_name(std::string_view name, const Limits& limits = {});

/// Checks a filter without `$share/`: to this function that prefix is ordinary text.
Refusal check_plain_filter(std::string_view filter, const Limits& limits = {});

/// Parses the filter of a SUBSCRIBE or UNSUBSCRIBE, `$share/` included.
Filter parse_filter(std::string_view text, const Limits& limits = {});

/// True when `filter` matches `name`. Requires: both are valid, `filter` without `$share/`.
/// A leading wildcard does not match a name that begins with `$` [MQTT-4.7.2-1]; `sport/#` also
/// matches `sport`.
bool matches(std::string_view filter, std::string_view name);

/// Takes the first level off `rest`. `more` turns false with the last one; levels may be empty.
inline std::string_view next_level(std::string_view& rest, bool& more) {
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos) {
    more = false;
    return rest;
  }
  const std::string_view level = rest.substr(0, slash);
  rest.remove_prefix(slash + 1);
  return level;
}

}  // namespace skald::topic
