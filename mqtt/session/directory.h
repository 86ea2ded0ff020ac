// Who owns a client id: at most one live session per (tenant, client id) [MQTT-3.1.4-3].
//
// A pure core for sessions that live with their connection. An attach to a free id is granted at
// once; to an owned one only after the owner has been told to go and has said that it is gone.
// Later attaches overtake earlier ones that still wait, which are refused: the newest connection
// wins.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace skald::session {

class Directory {
 public:
  /// The session's id, unique in this life of the node.
  using Owner = std::uint64_t;

  struct Ready {
    std::vector<Owner> granted;    // may send CONNACK
    std::vector<Owner> overtaken;  // waited, and a newer connection came: refuse with 0x8E
    std::vector<Owner> evicted;    // tell it 0x8E; answered by detach()
  };

  void attach(std::string_view tenant, std::string_view client_id, Owner owner);
  /// The session is gone, whether it was granted or still waited. Unknown ones are ignored.
  void detach(std::string_view tenant, std::string_view client_id, Owner owner);

  Ready take_ready() { return std::exchange(ready_, {}); }
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Owner owner = 0;
    Owner waiting = 0;  // 0: nobody
  };

  static std::string key(std::string_view tenant, std::string_view client_id);

  absl::flat_hash_map<std::string, Entry> entries_;
  Ready ready_;
};

}  // namespace skald::session
