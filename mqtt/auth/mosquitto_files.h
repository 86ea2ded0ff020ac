// Mosquitto's password file and ACL file, read as Mosquitto means them.
//
// Pure: text comes in. All that is wrong is told, one line each, with file and line; a file with a
// single bad line is refused whole, and so is nobody let in by half a file. Names may be
// "tenant/user". What differs: `topic read` also bounds what may be subscribed to (a filter that
// shares no topic with it is refused instead of granted and never served), and a rule that denies
// wins over every other rule, patterns included.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/base/result.h"
#include "mqtt/auth/directory.h"

namespace skald::auth {

/// "name:hash" lines; `#` begins a comment line.
Result<std::vector<Account>> parse_password_file(const std::string& file, std::string_view text);

/// `user NAME`, `topic [read|write|readwrite|deny] FILTER`, `pattern [...] FILTER`. Topics before
/// the first `user` are those of anonymous clients. A file without any rule lets nobody do
/// anything.
Result<AccessList> parse_acl_file(const std::string& file, std::string_view text);

}  // namespace skald::auth
