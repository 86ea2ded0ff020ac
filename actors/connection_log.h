// Log lines of connections, in the shapes that Mosquitto made common and fail2ban filters match.
//
// What clients choose (ids, user names) is written with control characters escaped and cut at 256
// bytes: a client must not be able to forge a line.
#pragma once

#include <string>
#include <string_view>

#include "actors/messages.h"
#include "actors/monitor/events.h"
#include "mqtt/session/session.h"

namespace skald::actors {

/// `text` fit for a log line.
std::string escaped(std::string_view text);

void log_connection(const Accepted& from);
void log_accepted(EventLog& events, std::uint64_t now_ms, const Accepted& from,
                  const session::Session& session, std::string_view user, bool clean_start);
void log_end(EventLog& events, std::uint64_t now_ms, const Accepted& from,
             const session::Session& session);

}  // namespace skald::actors
