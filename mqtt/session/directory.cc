#include "mqtt/session/directory.h"

namespace skald::session {

std::string Directory::key(std::string_view tenant, std::string_view client_id) {
  std::string made;
  made.reserve(tenant.size() + 1 + client_id.size());
  made.append(tenant);
  made.push_back('\0');  // in neither of them [MQTT-1.5.4-2]
  made.append(client_id);
  return made;
}

void Directory::attach(std::string_view tenant, std::string_view client_id, Owner owner) {
  const auto [found, added] = entries_.try_emplace(key(tenant, client_id), Entry{.owner = owner});
  if (added) {
    ready_.granted.push_back(owner);
    return;
  }
  Entry& entry = found->second;
  if (entry.waiting == 0) {
    ready_.evicted.push_back(entry.owner);
  } else {
    ready_.overtaken.push_back(entry.waiting);
  }
  entry.waiting = owner;
}

void Directory::detach(std::string_view tenant, std::string_view client_id, Owner owner) {
  const auto found = entries_.find(key(tenant, client_id));
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  if (entry.waiting == owner) {
    entry.waiting = 0;
  } else if (entry.owner == owner) {
    if (entry.waiting == 0) {
      entries_.erase(found);
      return;
    }
    entry.owner = std::exchange(entry.waiting, 0);
    ready_.granted.push_back(entry.owner);
  }
}

}  // namespace skald::session
