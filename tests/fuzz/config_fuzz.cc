// Any bytes as a configuration: as a file, or as the value of one environment variable.
//
// Oracle: what is accepted prints as a file that loads to the same options; what is refused says
// why, in lines without control characters.
#include <cstddef>
#include <cstdint>
#include <string>

#include "config/base/assert.h"
#include "config/keys.h"
#include "config/load.h"

namespace skald::config {
namespace {

std::string variable_name(const Key& key) {
  return "SKALD_" + std::string(key.section) + "__" + std::string(key.name);
}

LoadRequest request_of(const std::string& input) {
  LoadRequest request;
  if (input.size() >= 2 && input[0] == '\xff') {
    const Key& key = keys()[static_cast<unsigned char>(input[1]) % keys().size()];
    request.environment.emplace_back(variable_name(key), input.substr(2));
  } else {
    request.file = ConfigFile{"fuzz.toml", input};
  }
  return request;
}

void check(const std::string& input) {
  const Result<Loaded> loaded = load(request_of(input));
  if (!loaded) {
    SKALD_ASSERT(!loaded.error().message.empty());
    for (const char c : loaded.error().message) {
      SKALD_ASSERT(static_cast<unsigned char>(c) >= 0x20 || c == '\n');
    }
    return;
  }
  LoadRequest printed;
  printed.file = ConfigFile{"printed.toml", print_config(*loaded)};
  const Result<Loaded> again = load(printed);
  SKALD_ASSERT(again.ok());
  SKALD_ASSERT(again->options == loaded->options);
}

}  // namespace
}  // namespace skald::config

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  skald::config::check(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
