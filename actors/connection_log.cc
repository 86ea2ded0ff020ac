#include "actors/connection_log.h"

#include <spdlog/spdlog.h>

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

}  // namespace

std::string escaped(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const char c : text.substr(0, kShownMax)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || c == '\\' || c == '\'') {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 0xF];
    } else {
      out += c;
    }
  }
  if (text.size() > kShownMax) out += "...";
  return out;
}

void log_connection(const Accepted& from) {
  spdlog::info("New connection from {}:{} on port {}.", from.address, from.port, from.local_port);
}

void log_accepted(const Accepted& from, const session::Session& session, std::string_view user,
                  bool clean_start) {
  if (!spdlog::should_log(spdlog::level::info)) return;
  const std::string who = user.empty() ? "" : ", u'" + escaped(user) + "'";
  spdlog::info("New client connected from {}:{} as {} (p{}, c{}, k{}{}).", from.address, from.port,
               escaped(session.client_id()), static_cast<int>(session.version()),
               clean_start ? 1 : 0, session.keep_alive_s(), who);
}

void log_end(const Accepted& from, const session::Session& session) {
  if (!spdlog::should_log(spdlog::level::info)) return;
  const std::string_view id = session.client_id();
  spdlog::info(
      "Client {} [{}:{}] disconnected{}{}", id.empty() ? "<unknown>" : escaped(id), from.address,
      from.port, words(session.end()),
      *session.end_message() == '\0' ? "" : std::string(" (") + session.end_message() + ")");
}

}  // namespace skald::actors
