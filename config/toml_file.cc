// toml++ 3.3 and 3.4 assert on some malformed files (`[[(`) that they go on to refuse in good
// order; with NDEBUG they would tell the compiler that there are none.
#undef NDEBUG
#define TOML_ASSERT(condition) static_cast<void>(0)
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "config/keys.h"
#include "config/limits.h"
#include "config/setting.h"
#include "config/toml_scan.h"

namespace skald::config {
namespace {

std::string place(const std::string& file, const toml::source_region& region) {
  return file + ":" + std::to_string(region.begin.line);
}

/// The value as it might stand in the file.
std::string shown(const toml::node& node) {
  if (node.is_table()) return "a table";
  if (node.is_array()) return "an array";
  std::ostringstream out;
  node.visit([&out](const auto& value) {
    if constexpr (toml::is_value<decltype(value)>) out << value.get();
  });
  return out.str();
}

/// An array of strings as a list; nothing for other arrays.
std::optional<StringList> list_of(const toml::node& node) {
  const toml::array* array = node.as_array();
  if (array == nullptr) return std::nullopt;
  StringList list;
  for (const toml::node& element : *array) {
    const auto* text = element.as_string();
    if (text == nullptr) return std::nullopt;
    list.push_back(text->get());
  }
  return list;
}

SettingValue value_of(const toml::node& node) {
  if (const auto* v = node.as_integer()) return v->get();
  if (const auto* v = node.as_boolean()) return v->get();
  if (const auto* v = node.as_string()) return v->get();
  return Unusable{shown(node)};
}

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r") - first + 1));
}

/// What a syntax error is about. TOML has no value for a number beyond 64 bits, so the parser
/// knows neither the key nor its limits; its line does.
std::string about_line(const std::string& text, std::uint32_t line_number) {
  std::istringstream lines(text);
  std::string line;
  std::string section;
  for (std::uint32_t i = 1; i <= line_number && std::getline(lines, line); ++i) {
    line = trimmed(line);
    if (i == line_number || line.empty() || line.front() != '[') continue;
    const std::size_t first = line.find_first_not_of('[');
    section = line.substr(std::min(first, line.size()));
    section = section.substr(0, section.find(']'));
  }
  if (line.empty()) return {};
  if (line.starts_with("password")) return " in a password";  // which may be a plain one
  std::string about = " in: " + line.substr(0, kMaxShownBytes);
  const std::size_t equals = line.find('=');
  const Key* key =
      equals == std::string::npos ? nullptr : find_key(section, trimmed(line.substr(0, equals)));
  if (key != nullptr) about += "; " + std::string(key->name) + " must be " + allowed(*key);
  return about;
}

class Collector {
 public:
  explicit Collector(const std::string& file) : file_(file) {}

  void root(const toml::table& root) {
    for (const auto& [name, node] : root) {
      const std::string section(name.str());
      if (section == kListenerSection) {
        listeners(node);
      } else if (section == kUserSection) {
        users(node);
      } else if (section == kTenantSection) {
        tenants(node);
      } else if (const toml::table* table = node.as_table()) {
        section_of(section, *table, 0);
      } else if (node.is_array_of_tables()) {
        fail(node, "[[" + section + "]]: only [[listener]] and [[user]] may stand more than once");
      } else {
        fail(node, section + ": a key must stand in a [section]");
      }
    }
  }

  Settings take() {
    std::stable_sort(settings_.all.begin(), settings_.all.end(),
                     [](const Setting& a, const Setting& b) { return a.line < b.line; });
    return std::move(settings_);
  }

 private:
  void listeners(const toml::node& node) {
    const toml::array* array = node.as_array();
    if (array == nullptr || !node.is_array_of_tables()) {
      fail(node, "listener: write [[listener]], once for each address");
      return;
    }
    if (array->size() > kMaxListeners) {
      fail(node, "listener: at most " + std::to_string(kMaxListeners) + " are possible");
      return;
    }
    for (std::size_t i = 0; i < array->size(); ++i) {
      section_of(std::string(kListenerSection), *array->get_as<toml::table>(i), i);
    }
    settings_.listeners = array->size();
  }

  void users(const toml::node& node) {
    const toml::array* array = node.as_array();
    if (array == nullptr || !node.is_array_of_tables()) {
      fail(node, "user: write [[user]], once for each");
      return;
    }
    for (std::size_t i = 0; i < array->size(); ++i) {
      const toml::table& table = *array->get_as<toml::table>(i);
      settings_.users.push_back(place(file_, table.source()));
      account(kUserSection, table, i);
    }
  }

  void tenants(const toml::node& node) {
    const toml::table* tables = node.as_table();
    if (tables == nullptr) {
      fail(node, "tenant: write [tenant.<name>], once for each");
      return;
    }
    for (const auto& [name, one] : *tables) {
      const toml::table* table = one.as_table();
      if (table == nullptr) {
        fail(one, "tenant: " + std::string(name.str()) + " must be a [tenant.<name>]");
        continue;
      }
      account(kTenantSection, *table, settings_.tenants.size());
      settings_.tenants.emplace_back(name.str());
    }
  }

  void account(std::string_view section, const toml::table& table, std::size_t which) {
    for (const auto& [name, node] : table) {
      std::optional<StringList> list = list_of(node);
      add(name.source(), std::string(section), std::string(name.str()), which,
          list ? SettingValue(std::move(*list)) : value_of(node));
    }
  }

  void section_of(const std::string& section, const toml::table& table, std::size_t listener) {
    if (table.empty() && !is_section(section)) {
      add(table.source(), section, "", listener, Unusable{});
    }
    for (const auto& [name, node] : table) {
      add(name.source(), section, std::string(name.str()), listener, value_of(node));
    }
  }

  void add(const toml::source_region& region, const std::string& section, const std::string& name,
           std::size_t listener, SettingValue value) {
    settings_.all.push_back(
        {place(file_, region), section, name, listener, std::move(value), region.begin.line});
  }

  void fail(const toml::node& node, const std::string& what) {
    settings_.errors.push_back(place(file_, node.source()) + ": " + what);
  }

  const std::string& file_;
  Settings settings_;
};

}  // namespace

Settings read_toml(const std::string& file_name, const std::string& text) {
  Settings failed;
  const ScannedToml scanned = scan_toml(text);
  if (scanned.problem) {
    failed.errors.push_back(file_name + ":" + std::to_string(scanned.problem->line) + ": " +
                            std::string(scanned.problem->what));
    return failed;
  }
  const toml::parse_result parsed = toml::parse(scanned.ascii);
  if (!parsed) {
    const toml::source_region& source = parsed.error().source();
    failed.errors.push_back(place(file_name, source) + ": " +
                            std::string(parsed.error().description()) +
                            about_line(text, source.begin.line));
    return failed;
  }
  Collector collector(file_name);
  collector.root(parsed.table());
  return collector.take();
}

}  // namespace skald::config
