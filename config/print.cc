#include "config/accounts.h"
#include "config/keys.h"
#include "config/load.h"

namespace skald::config {
namespace {

void print_section(const Loaded& loaded, std::string_view section, std::size_t listener,
                   std::string& out) {
  const std::string name(section);
  const std::string head = section == kListenerSection ? "[[" + name + "]]" : "[" + name + "]";
  out.append(out.empty() ? "" : "\n").append(head).append("\n");
  for (const Key& key : keys()) {
    if (key.section != section) continue;
    const auto origin = loaded.origins.find(path_of(section, key.name, listener));
    out.append(key.name).append(" = ").append(value_text(key, loaded.options, listener));
    out.append("  # ").append(origin == loaded.origins.end() ? "default" : origin->second);
    out.append("\n");
  }
}

}  // namespace

std::string print_config(const Loaded& loaded) {
  std::string out;
  std::string_view section;
  for (const Key& key : keys()) {
    if (key.section == section) continue;
    section = key.section;
    const std::size_t count = section == kListenerSection ? loaded.options.listeners.size() : 1;
    for (std::size_t i = 0; i < count; ++i) print_section(loaded, section, i, out);
  }
  return out + print_accounts(loaded.options);
}

}  // namespace skald::config
