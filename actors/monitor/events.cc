#include "actors/monitor/events.h"

namespace skald::actors {

using session::End;

std::string_view event_name(EventKind kind) {
  static constexpr std::string_view kNames[] = {
      "UNAUTHENTICATED_CLIENT",
      "NOT_AUTHORIZED_CLIENT",
      "CHANNEL_ERROR",
      "CONNECT_TIMEOUT",
      "IDENTIFIER_REJECTED",
      "PROTOCOL_ERROR",
      "CLIENT_CONNECTED",
      "BAD_PACKET",
      "BY_CLIENT",
      "BY_SERVER",
      "SERVER_BUSY",
      "RESOURCE_THROTTLED",
      "CLIENT_CHANNEL_ERROR",
      "IDLE",
      "KICKED",
      "NO_PUB_PERMISSION",
      "PROTOCOL_VIOLATION",
      "EXCEED_RECEIVING_LIMIT",
      "OVERSIZE_PACKET",
      "PUB_ACTION_DISALLOW",
      "SUB_ACTION_DISALLOW",
      "OUT_OF_TENANT_RESOURCE",
      "SUB_ACKED",
      "UNSUB_ACKED",
      "MSG_RETAINED",
      "RETAIN_MSG_CLEARED",
      "MSG_RETAINED_ERROR",
      "WILL_DISTED",
      "WILL_DIST_ERROR",
      "OVERFLOWED",
      "QOS0_DROPPED",
      "OVERSIZE_PACKET_DROPPED",
      "NO_SUB_PERMISSION",
      "EXPIRED",
      "DISK_FAILING",
      "DISK_RECOVERED",
  };
  static_assert(std::size(kNames) == kEventKinds);
  return kNames[static_cast<std::size_t>(kind)];
}

EventKind event_of(End end, bool was_client) {
  switch (end) {
    case End::by_client:
      return EventKind::by_client;
    case End::none:
    case End::connection_closed:
      return was_client ? EventKind::client_channel_error : EventKind::channel_error;
    case End::keep_alive:
      return EventKind::idle;
    case End::connect_timeout:
      return EventKind::connect_timeout;
    case End::taken_over:
      return EventKind::kicked;
    case End::malformed:
      return was_client ? EventKind::bad_packet : EventKind::protocol_error;
    case End::protocol_error:
    case End::topic_alias:
      return was_client ? EventKind::protocol_violation : EventKind::protocol_error;
    case End::receive_maximum:
      return EventKind::exceed_receiving_limit;
    case End::packet_too_large:
      return EventKind::oversize_packet;
    case End::quota:
      return EventKind::resource_throttled;
    case End::not_authorized:
      return was_client ? EventKind::no_pub_permission : EventKind::not_authorized_client;
    case End::bad_credentials:
      return EventKind::unauthenticated_client;
    case End::client_id_invalid:
      return EventKind::identifier_rejected;
    case End::server_busy:
      return EventKind::server_busy;
    case End::shutting_down:
    case End::administrative:
    case End::internal:
      return EventKind::by_server;
  }
  return EventKind::by_server;
}

void EventLog::note(EventKind kind, LineLevel level, std::uint64_t now_ms,
                    std::initializer_list<LineField> fields, std::uint64_t times) {
  const auto text = [kind, &fields] {
    std::string line(event_name(kind));
    for (const LineField& field : fields) {
      line.append(" ").append(field.name).append("=").append(field.value);
    }
    return line;
  };
  note(kind, level, now_ms, fields, text, times);
}

bool EventLog::wants(EventKind kind, LineLevel level, std::uint64_t now_ms) {
  if (!is_logged(level)) return false;
  Second& second = seconds_[static_cast<std::size_t>(kind)];
  if (second.number != now_ms / 1000) begin_second(kind, now_ms);
  if (second.written < kLinesPerSecond) {
    ++second.written;
    return true;
  }
  ++second.left_out;
  second.level = level;
  return false;
}

void EventLog::begin_second(EventKind kind, std::uint64_t now_ms) {
  Second& second = seconds_[static_cast<std::size_t>(kind)];
  if (second.left_out > 0) {
    const std::string left_out = std::to_string(second.left_out);
    log_event(second.level, event_name(kind),
              std::string(event_name(kind)) + ": " + left_out + " more were not written",
              {{"left_out", left_out}});
  }
  second = {.number = now_ms / 1000};
}

void EventLog::tell_left_out(std::uint64_t now_ms) {
  for (std::size_t kind = 0; kind < kEventKinds; ++kind) {
    const Second& second = seconds_[kind];
    if (second.left_out > 0 && second.number != now_ms / 1000) {
      begin_second(static_cast<EventKind>(kind), now_ms);
    }
  }
}

}  // namespace skald::actors
