// A TOML file made fit for the parser: the same file in ASCII, or why it is refused.
//
// toml++ 3.3 and 3.4 meet characters beyond ASCII with undefined behaviour wherever they do not
// expect them: their table of white space ends in __builtin_unreachable (found by
// tests/fuzz/config_fuzz). So the parser never sees one: in "..." they become escapes, in comments
// question marks, elsewhere they are refused. Lines stay where they are.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace skald::config {

struct ScanProblem {
  std::size_t line = 0;
  std::string_view what;
};

struct ScannedToml {
  std::optional<ScanProblem> problem;  // the first offending byte
  std::string ascii;                   // without a problem: for the parser
};

/// Does not otherwise judge the syntax.
ScannedToml scan_toml(std::string_view text);

}  // namespace skald::config
