// One value that some source gives to some key, not yet checked: what passes between the readers of
// sources and config::load.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace skald::config {

/// From the environment or the command line: the key's type says how it is read.
struct Untyped {
  std::string text;
};
/// A TOML value of a type that no key has.
struct Unusable {
  std::string shown;
};
/// Of a `[[user]]` or `[tenant.<name>]` table only.
using StringList = std::vector<std::string>;
using SettingValue = std::variant<std::int64_t, bool, std::string, Untyped, Unusable, StringList>;

struct Setting {
  std::string origin;  // "node.toml:12"
  std::string section;
  std::string name;
  std::size_t listener = 0;  // which `[[listener]]`, `[[user]]` or `[tenant.<name>]`
  SettingValue value;
  std::uint32_t line = 0;  // in a file: errors come in its order
};

struct Settings {
  std::vector<Setting> all;
  /// How many `[[listener]]` tables the source has; 0 when it says nothing about listeners.
  std::size_t listeners = 0;
  std::vector<std::string> users;    // where each `[[user]]` stands
  std::vector<std::string> tenants;  // names, by their place in the file
  std::vector<std::string> errors;
};

/// In config/toml_file.cc. Syntax errors and what cannot be a setting at all land in `errors`.
Settings read_toml(const std::string& file_name, const std::string& text);

}  // namespace skald::config
