#include "actors/connection_log.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

namespace skald::actors {

using session::End;

namespace {

constexpr std::size_t kShownMax = 256;

/// How the line about an end goes on after "disconnected".
const char* words(End end) {
  switch (end) {
    case End::by_client:
      return ".";
    case End::none:
    case End::connection_closed:
      return ": connection closed by client.";
    case End::keep_alive:
    case End::connect_timeout:
      return ": exceeded timeout.";
    case End::taken_over:
      return ": session taken over.";
    case End::malformed:
      return ": malformed packet.";
    case End::protocol_error:
      return ": protocol error.";
    case End::receive_maximum:
      return ": receive maximum exceeded.";
    case End::packet_too_large:
      return ": oversize packet.";
    case End::topic_alias:
      return ": topic alias invalid.";
    case End::quota:
      return ": quota exceeded.";
    case End::not_authorized:
      return ": not authorised.";
    case End::bad_credentials:
      return ": bad username or password.";
    case End::client_id_invalid:
      return ": client identifier not valid.";
    case End::server_busy:
      return ": server busy.";
    case End::shutting_down:
      return ": server shutting down.";
    case End::administrative:
      return ": administrative action.";
    case End::internal:
      return ": internal error.";
  }
  return ".";
}

/// A byte of a UTF-8 character after its first.
bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80; }

/// Characters beyond ASCII that end lines, steer terminals or turn the direction of text: U+0080 to
/// U+009F, U+2028 to U+202E, U+2066 to U+2069.
bool steers(std::string_view text) {
  const auto byte = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  if (byte(0) == 0xC2) return byte(1) < 0xA0;
  if (byte(0) != 0xE2) return false;
  return (byte(1) == 0x80 && byte(2) >= 0xA8 && byte(2) <= 0xAE) ||
         (byte(1) == 0x81 && byte(2) >= 0xA6 && byte(2) <= 0xA9);
}

}  // namespace

std::string escaped(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::size_t shown = std::min(text.size(), kShownMax);
  while (shown < text.size() && continues(text[shown])) --shown;  // not within a character
  std::string out;
  bool escape = false;
  for (std::size_t i = 0; i < shown; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (!continues(text[i])) {  // what follows belongs to the same character
      escape =
          byte < 0x20 || byte == 0x7F || byte == '\\' || byte == '\'' || steers(text.substr(i));
    }
    if (escape) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 0xF];
    } else {
      out += text[i];
    }
  }
  if (text.size() > kShownMax) out += "...";
  return out;
}

void log_connection(const Accepted& from) {
  spdlog::info("New connection from {}:{} on port {}.", from.address, from.port, from.local_port);
}

void log_accepted(EventLog& events, std::uint64_t now_ms, const Accepted& from,
                  const session::Session& session, std::string_view user, bool clean_start) {
  const std::string id = escaped(session.client_id());
  const auto line = [&] {
    const std::string who = user.empty() ? "" : ", u'" + escaped(user) + "'";
    return fmt::format("New client connected from {}:{} as {} (p{}, c{}, k{}{}).", from.address,
                       from.port, id, static_cast<int>(session.version()), clean_start ? 1 : 0,
                       session.keep_alive_s(), who);
  };
  events.note(EventKind::client_connected, LineLevel::notice, now_ms,
              {{"tenant", escaped(session.tenant())},
               {"client_id", id},
               {"user", escaped(user)},
               {"address", from.address},
               {"port", std::to_string(from.port)}},
              line);
}

void log_end(EventLog& events, std::uint64_t now_ms, const Accepted& from,
             const session::Session& session) {
  const bool was_client = !session.tenant().empty();
  const std::string id = session.client_id().empty() ? "<unknown>" : escaped(session.client_id());
  const auto line = [&] {
    return fmt::format(
        "Client {} [{}:{}] disconnected{}{}", id, from.address, from.port, words(session.end()),
        *session.end_message() == '\0' ? "" : std::string(" (") + session.end_message() + ")");
  };
  events.note(event_of(session.end(), was_client), LineLevel::notice, now_ms,
              {{"tenant", escaped(session.tenant())},
               {"client_id", id},
               {"address", from.address},
               {"port", std::to_string(from.port)},
               {"detail", session.end_message()}},
              line);
}

}  // namespace skald::actors
