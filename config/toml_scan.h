// A look at a TOML file before the parser sees it: refuses the bytes that TOML allows nowhere, or
// only in strings and comments.
//
// toml++ 3.3 and 3.4 refuse these too, but by way of undefined behaviour: their table of white
// space ends in __builtin_unreachable for most characters beyond ASCII (found by
// tests/fuzz/config_fuzz).
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace skald::config {

struct ScanProblem {
  std::size_t line = 0;
  std::string_view what;
};

/// The first offending byte. Does not otherwise judge the syntax.
std::optional<ScanProblem> scan_toml(std::string_view text);

}  // namespace skald::config
