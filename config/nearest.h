// What someone who misspelt a key or a section probably meant.
#pragma once

#include <string>
#include <string_view>

namespace skald::config {

/// "; did you mean max_inflight?", or where the key does exist, or empty when nothing is near.
std::string nearest_key(std::string_view section, std::string_view name);
/// The nearest section, or all of them when none is near.
std::string nearest_section(std::string_view section);

}  // namespace skald::config
