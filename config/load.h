// From a file, the environment and the command line to Options, each of which overrides the one
// before it.
//
// Pure: text comes in, values or complaints come out; config/file.h does the reading. Never throws.
// All errors are told at once, one a line, each with the place (file and line, variable, flag), the
// key, the value and what is allowed. An unknown key is an error, with the nearest known one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/base/result.h"
#include "config/options.h"

namespace skald::config {

struct ConfigFile {
  std::string name;
  std::string text;
};

/// A flag of the command line that stands for a key.
struct Override {
  std::string flag;  // "--data", as errors and --print-config name it
  std::string section;
  std::string key;
  std::string value;
};

struct LoadRequest {
  std::optional<ConfigFile> file;
  /// All of it; what does not begin with SKALD_ is ignored. SKALD_<SECTION>__<KEY> sets a key.
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<Override> overrides;
  /// `--port`: one listener, on 127.0.0.1, instead of all others.
  std::optional<std::string> port;
};

/// Where the value of "section.key" or "listener[0].key" comes from; a key not in it is at its
/// default.
using Origins = std::map<std::string, std::string>;

struct Loaded {
  Options options;
  Origins origins;
};

Result<Loaded> load(const LoadRequest& request);

/// What is effective, as a TOML file that loads to the same Options, each line with its origin.
std::string print_config(const Loaded& loaded);

/// True for 127.0.0.0/8 and ::1. Requires: a valid IPv4 or IPv6 address.
bool is_loopback(const std::string& address);

/// "mqtt.max_inflight" or "listener[0].port": the names in Origins.
std::string path_of(std::string_view section, std::string_view key, std::size_t listener);

}  // namespace skald::config
