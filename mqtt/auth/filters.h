// How two topic filters relate: whether one covers the other, or shares a topic with it.
//
// Pure. Both filters are valid and without $share/. Wildcards at the first level do not reach
// topics that begin with `$` [MQTT-4.7.2-1].
#pragma once

#include <string_view>

namespace skald::auth {

/// Every topic that `narrow` matches is matched by `wide`.
bool covers(std::string_view wide, std::string_view narrow);
/// Some topic is matched by both.
bool overlaps(std::string_view a, std::string_view b);

}  // namespace skald::auth
