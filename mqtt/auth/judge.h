// One loop's answers about rights: compiled rights by user, and a small cache of verdicts.
//
// Pure; owned by the loop. Asking costs one comparison for a client that may do everything; for
// others a look into a table of kVerdicts recent answers, and only then the rules themselves.
// Rights that name the client identifier are made for each client, others once for a user.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mqtt/auth/authority.h"
#include "mqtt/auth/directory.h"

namespace skald::auth {

class Judge {
 public:
  static constexpr std::size_t kVerdicts = 1024;
  static constexpr std::size_t kMaxCachedTopic = 256;  // bytes; longer ones are judged each time

  /// Everyone's rights are compiled anew when next asked for.
  void set_directory(DirectoryRef directory);
  /// Null: nobody may do anything.
  const DirectoryRef& directory() const { return directory_; }

  bool may(Access& access, Action action, std::string_view client_id, std::string_view topic) {
    // The way of nearly every message.
    if (access.rights && access.rights->version() == version_ && access.rights->everything()) {
      return true;
    }
    return look_up(access, action, client_id, topic);
  }
  /// Compiles what may() would; `everything()` of the result tells whether it need be asked at all.
  const Rights& rights_of(Access& access, std::string_view client_id);
  /// For a client that is not connected: a will that is due, by the newest rules.
  bool may(const Identity& identity, Action action, std::string_view client_id,
           std::string_view topic);

  struct Counters {
    std::uint64_t judged = 0;  // not answered by the cache
    std::uint64_t compiled = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  struct Verdict {
    std::uint64_t serial = 0;  // 0: empty
    Action action = Action::publish;
    bool allowed = false;
    std::string topic;
  };

  bool look_up(Access& access, Action action, std::string_view client_id, std::string_view topic);
  RightsRef compile(const Identity& identity, std::string_view client_id);

  DirectoryRef directory_;
  std::uint64_t version_ = 0;      // the directory's
  std::vector<Verdict> verdicts_;  // made with the first question that needs it
  absl::flat_hash_map<std::string, RightsRef> by_user_;  // tenant, NUL, user
  std::uint64_t last_serial_ = 0;
  Counters counters_;
};

}  // namespace skald::auth
