// The table that describes every key; all that handles keys is derived from it.
//
// Pure data. The default of a key is its field's initial value in config/options.h, its type that
// of the field. Numbers are integers in [min, max]; text may be any UTF-8 of at most `max` bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "config/options.h"

namespace skald::config {

/// A choice is stored as its place in Key::choices, in an enum of one byte.
struct ChoiceField {
  unsigned char* value = nullptr;
};

/// Where a key's value lives in an Options.
using Field =
    std::variant<bool*, std::uint16_t*, std::uint32_t*, std::uint64_t*, std::string*, ChoiceField>;

struct Key {
  std::string_view section;
  std::string_view name;
  /// `listener` is which one, for keys of `[[listener]]`; else ignored.
  Field (*field)(Options& options, std::size_t listener);
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::string_view unit;
  std::string_view doc;
  std::span<const std::string_view> choices;
};

inline constexpr std::string_view kListenerSection = "listener";
/// Not in the table: config/accounts.h.
inline constexpr std::string_view kUserSection = "user";
inline constexpr std::string_view kTenantSection = "tenant";

/// All keys, section by section.
std::span<const Key> keys();

/// Null when there is none.
const Key* find_key(std::string_view section, std::string_view name);
bool is_section(std::string_view section);

/// "integer", "boolean", "string" or "choice".
std::string_view type_name(const Key& key);
/// "an integer from 1 to 65535 (ms)", as it stands in errors and in the reference.
std::string allowed(const Key& key);
/// The key's value in `options`, written as TOML.
std::string value_text(const Key& key, const Options& options, std::size_t listener);
/// The reference of all keys: one Markdown table a section (README.md holds it between markers).
std::string reference();

/// `text` with control characters as \u00XX: one line whatever it holds.
std::string escaped(std::string_view text);
/// `text` as a TOML basic string.
std::string quoted(std::string_view text);

}  // namespace skald::config
