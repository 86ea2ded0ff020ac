#include "config/load.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>

#include "config/accounts.h"
#include "config/keys.h"
#include "config/limits.h"
#include "config/nearest.h"
#include "config/setting.h"

namespace skald::config {
namespace {

constexpr std::string_view kEnvironmentPrefix = "SKALD_";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string cut(std::string_view text) {
  return std::string(text.substr(0, kMaxShownBytes)) + (text.size() > kMaxShownBytes ? "..." : "");
}

std::string shown(const SettingValue& value) {
  if (const auto* v = std::get_if<std::int64_t>(&value)) return std::to_string(*v);
  if (const auto* v = std::get_if<bool>(&value)) return *v ? "true" : "false";
  if (const auto* v = std::get_if<std::string>(&value)) return quoted(cut(*v));
  if (const auto* v = std::get_if<Untyped>(&value)) return quoted(cut(v->text));
  if (std::holds_alternative<StringList>(value)) return "an array";
  return cut(std::get<Unusable>(value).shown);
}

/// Strings go into logs, file names and printed TOML: well-formed UTF-8 without control characters.
bool is_clean_text(std::string_view text) {
  // The smallest character that needs as many following bytes: a smaller one is not well-formed.
  constexpr std::uint32_t kSmallest[] = {0x20, 0x80, 0x800, 0x1'0000};
  while (!text.empty()) {
    const auto lead = static_cast<unsigned char>(text.front());
    const std::size_t following = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if ((lead >= 0x80 && lead < 0xc0) || lead > 0xf4 || text.size() <= following) return false;
    std::uint32_t character = following == 0 ? lead : lead & (0x3fU >> following);
    for (std::size_t i = 1; i <= following; ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      if ((byte & 0xc0) != 0x80) return false;
      character = (character << 6) | (byte & 0x3fU);
    }
    const bool surrogate = character >= 0xd800 && character <= 0xdfff;
    if (character < kSmallest[following] || character == 0x7f || surrogate) return false;
    if (character > 0x10'ffff) return false;
    text.remove_prefix(following + 1);
  }
  return true;
}

std::optional<std::int64_t> as_integer(const SettingValue& value) {
  if (const auto* v = std::get_if<std::int64_t>(&value)) return *v;
  const auto* untyped = std::get_if<Untyped>(&value);
  if (untyped == nullptr) return std::nullopt;
  std::int64_t number = 0;
  const char* const end = untyped->text.data() + untyped->text.size();
  const auto [rest, error] = std::from_chars(untyped->text.data(), end, number);
  if (error != std::errc() || rest != end) return std::nullopt;
  return number;
}

std::optional<bool> as_boolean(const SettingValue& value) {
  if (const auto* v = std::get_if<bool>(&value)) return *v;
  const auto* untyped = std::get_if<Untyped>(&value);
  if (untyped == nullptr || (untyped->text != "true" && untyped->text != "false")) {
    return std::nullopt;
  }
  return untyped->text == "true";
}

std::optional<std::string> as_text(const SettingValue& value) {
  if (const auto* v = std::get_if<std::string>(&value)) return *v;
  if (const auto* v = std::get_if<Untyped>(&value)) return v->text;
  return std::nullopt;
}

/// Writes `value` to the field when the key allows it.
bool assign(const Key& key, const Field& field, const SettingValue& value) {
  if (auto* const* target = std::get_if<bool*>(&field)) {
    const std::optional<bool> flag = as_boolean(value);
    if (flag) **target = *flag;
    return flag.has_value();
  }
  if (auto* const* target = std::get_if<std::string*>(&field)) {
    const std::optional<std::string> text = as_text(value);
    const bool fits = text && is_clean_text(*text) && std::ssize(*text) >= key.min &&
                      std::ssize(*text) <= key.max;
    if (fits) **target = *text;
    return fits;
  }
  if (const auto* target = std::get_if<ChoiceField>(&field)) {
    const std::optional<std::string> text = as_text(value);
    const auto found = std::find(key.choices.begin(), key.choices.end(), text.value_or(""));
    if (found == key.choices.end()) return false;
    *target->value = static_cast<unsigned char>(found - key.choices.begin());
    return true;
  }
  const std::optional<std::int64_t> number = as_integer(value);
  if (!number || *number < key.min || *number > key.max) return false;
  if (auto* const* v = std::get_if<std::uint16_t*>(&field)) {
    **v = static_cast<std::uint16_t>(*number);
  } else if (auto* const* w = std::get_if<std::uint32_t*>(&field)) {
    **w = static_cast<std::uint32_t>(*number);
  } else {
    *std::get<std::uint64_t*>(field) = static_cast<std::uint64_t>(*number);
  }
  return true;
}

/// Takes settings in the order of their strength, and collects what is wrong with them.
class Loader {
 public:
  void file(const ConfigFile& file) {
    if (file.text.size() > kMaxConfigFileBytes) {
      errors_.push_back(file.name + ": larger than " + std::to_string(kMaxConfigFileBytes) +
                        " bytes");
      return;
    }
    Settings settings = read_toml(file.name, file.text);
    errors_.insert(errors_.end(), settings.errors.begin(), settings.errors.end());
    if (settings.listeners > 0) loaded_.options.listeners.assign(settings.listeners, Listener{});
    AccountTables accounts(settings, errors_);
    loaded_.options.users = std::move(accounts.users);
    loaded_.options.tenants = std::move(accounts.tenants);
    for (const Setting& setting : settings.all) {
      if (!is_account_section(setting.section)) apply(setting);
    }
  }

  void environment(const std::pair<std::string, std::string>& variable) {
    const auto& [name, value] = variable;
    if (!name.starts_with(kEnvironmentPrefix)) return;
    const std::string path = lower(name.substr(kEnvironmentPrefix.size()));
    const std::size_t separator = path.find("__");
    const std::string origin = "environment " + name;
    if (separator == std::string::npos) {
      errors_.push_back(origin + ": not SKALD_<SECTION>__<KEY>");
      return;
    }
    const std::string section = path.substr(0, separator);
    if (section == kListenerSection && loaded_.options.listeners.size() > 1) {
      errors_.push_back(origin + ": which of the " +
                        std::to_string(loaded_.options.listeners.size()) +
                        " listeners is meant? Only a single one can be set from here");
      return;
    }
    apply({origin, section, path.substr(separator + 2), 0, Untyped{value}, 0});
  }

  void port(const std::string& value) {
    loaded_.options.listeners = {Listener{}};
    std::erase_if(loaded_.origins, [](const auto& o) { return o.first.starts_with("listener["); });
    const std::string origin = "command line --port";
    loaded_.origins["listener[0].bind"] = origin;
    apply({origin, std::string(kListenerSection), "port", 0, Untyped{value}, 0});
  }

  void apply(const Setting& setting) {
    const Key* key = find_key(setting.section, setting.name);
    if (key == nullptr) {
      unknown(setting);
      return;
    }
    const Field field = key->field(loaded_.options, setting.listener);
    if (assign(*key, field, setting.value)) {
      loaded_.origins[path_of(key->section, key->name, setting.listener)] = setting.origin;
    } else {
      errors_.push_back(setting.origin + ": " + title(setting) + setting.name + " = " +
                        shown(setting.value) + ": must be " + allowed(*key));
    }
  }

  Result<Loaded> finish() {
    // What only holds between keys is checked when each of them is sound by itself.
    if (errors_.empty()) check_listeners();
    if (errors_.empty()) check_buffers();
    if (errors_.empty()) return std::move(loaded_);
    std::string message;
    for (std::size_t i = 0; i < std::min(errors_.size(), kMaxReportedErrors); ++i) {
      message.append(message.empty() ? "" : "\n").append(escaped(errors_[i]));
    }
    if (errors_.size() > kMaxReportedErrors) {
      message += "\nand " + std::to_string(errors_.size() - kMaxReportedErrors) + " more";
    }
    return Error{message};
  }

 private:
  static std::string title(const Setting& setting) {
    return setting.section == kListenerSection ? "[[listener]] " : "[" + setting.section + "] ";
  }

  void unknown(const Setting& setting) {
    std::string error = setting.origin + ": ";
    if (!is_section(setting.section)) {
      error += "unknown section [" + cut(setting.section) + "]";
      if (!setting.name.empty()) error += " (for " + cut(setting.name) + ")";
      error += nearest_section(setting.section);
    } else {
      error += title(setting) + "unknown key " + cut(setting.name) + " = " + shown(setting.value) +
               nearest_key(setting.section, setting.name);
    }
    errors_.push_back(error);
  }

  std::string origin_of(std::string_view section, std::string_view key, std::size_t listener = 0) {
    const auto found = loaded_.origins.find(path_of(section, key, listener));
    return found == loaded_.origins.end() ? "default" : found->second;
  }

  /// Without configuration anonymous clients are let in on loopback only (design.md section 5).
  void check_listeners() {
    std::set<std::pair<std::string, std::uint16_t>> seen;
    const std::vector<Listener>& listeners = loaded_.options.listeners;
    for (std::size_t i = 0; i < listeners.size(); ++i) {
      const Listener& listener = listeners[i];
      const std::string bind = origin_of(kListenerSection, "bind", i) +
                               ": [[listener]] bind = " + quoted(listener.bind) + ": ";
      if (!is_address(listener.bind)) {
        errors_.push_back(bind + "must be an IPv4 or IPv6 address");
      } else if (!is_loopback(listener.bind) && !says_who(loaded_.options)) {
        errors_.push_back(bind +
                          "is open to others and nothing says who they may be; add a [[user]] or a "
                          "[auth] password_file, set [mqtt] allow_anonymous = true to let anyone "
                          "in, or bind to 127.0.0.1");
      } else if (listener.port != 0 && !seen.insert({listener.bind, listener.port}).second) {
        errors_.push_back(origin_of(kListenerSection, "port", i) + ": [[listener]] port = " +
                          std::to_string(listener.port) + ": is that of another listener");
      }
    }
  }

  static bool says_who(const Options& options) {
    return options.mqtt.allow_anonymous || !options.users.empty() ||
           !options.auth.password_file.empty();
  }

  void check_buffers() {
    const MqttOptions& mqtt = loaded_.options.mqtt;
    if (mqtt.write_buffer_low < mqtt.write_buffer_high) return;
    errors_.push_back(
        origin_of("mqtt", "write_buffer_low") +
        ": [mqtt] write_buffer_low = " + std::to_string(mqtt.write_buffer_low) +
        ": must be below write_buffer_high = " + std::to_string(mqtt.write_buffer_high));
  }

  static bool is_address(const std::string& text) {
    in6_addr six = {};
    in_addr four = {};
    return inet_pton(AF_INET, text.c_str(), &four) == 1 ||
           inet_pton(AF_INET6, text.c_str(), &six) == 1;
  }

  Loaded loaded_;
  std::vector<std::string> errors_;
};

}  // namespace

Result<Loaded> load(const LoadRequest& request) {
  Loader loader;
  if (request.file) loader.file(*request.file);
  for (const auto& variable : request.environment) loader.environment(variable);
  if (request.port) loader.port(*request.port);
  for (const Override& o : request.overrides) {
    loader.apply({"command line " + o.flag, o.section, o.key, 0, Untyped{o.value}, 0});
  }
  return loader.finish();
}

bool is_loopback(const std::string& address) {
  in_addr four = {};
  if (inet_pton(AF_INET, address.c_str(), &four) == 1) return ntohl(four.s_addr) >> 24 == 127;
  in6_addr six = {};
  return inet_pton(AF_INET6, address.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

std::string path_of(std::string_view section, std::string_view key, std::size_t listener) {
  std::string path(section);
  if (section == kListenerSection) path += "[" + std::to_string(listener) + "]";
  return path.append(".").append(key);
}

}  // namespace skald::config
