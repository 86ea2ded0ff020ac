// What happens to clients and messages, as kinds with BifroMQ's names: counted, and written as
// structured log lines, so many of a kind a second.
//
// One EventLog a thread that reports events. A line has the shape that its caller gives it (those
// of connections are Mosquitto's); with `format = "json"` the kind and the fields stand beside the
// message. What clients choose comes escaped (connection_log.h).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "actors/logging.h"
#include "mqtt/session/session.h"

namespace skald::actors {

enum class EventKind : std::uint8_t {
  // a connection that never was a client
  unauthenticated_client,
  not_authorized_client,
  channel_error,
  connect_timeout,
  identifier_rejected,
  protocol_error,
  // a client
  client_connected,
  bad_packet,
  by_client,
  by_server,
  server_busy,
  resource_throttled,
  client_channel_error,
  idle,
  kicked,
  no_pub_permission,
  protocol_violation,
  exceed_receiving_limit,
  oversize_packet,
  // what it asks
  pub_action_disallow,
  sub_action_disallow,
  out_of_tenant_resource,
  // what was done for it: lines of the level debug
  sub_acked,
  unsub_acked,
  msg_retained,
  retain_msg_cleared,
  msg_retained_error,
  will_disted,
  will_dist_error,
  // messages that were dropped; one a second for each tenant
  overflowed,
  qos0_dropped,
  oversize_packet_dropped,
  no_sub_permission,
  expired,
  // the node
  disk_failing,
  disk_recovered,
  count_,
};
constexpr std::size_t kEventKinds = static_cast<std::size_t>(EventKind::count_);
using EventCounts = std::array<std::uint64_t, kEventKinds>;

/// As BifroMQ writes it.
std::string_view event_name(EventKind kind);
/// Of the end of a connection, which was a client's or not.
EventKind event_of(session::End end, bool was_client);

class EventLog {
 public:
  /// More of one kind in a second are counted and not written.
  static constexpr std::uint32_t kLinesPerSecond = 1000;

  /// An event that stands for `times`; `text` is the line, made only when it is wanted.
  template <class Text>
  void note(EventKind kind, LineLevel level, std::uint64_t now_ms,
            std::initializer_list<LineField> fields, Text&& text, std::uint64_t times = 1) {
    counts_[static_cast<std::size_t>(kind)] += times;
    if (wants(kind, level, now_ms)) log_event(level, event_name(kind), text(), fields);
  }
  /// The same with the kind and the fields as its line.
  void note(EventKind kind, LineLevel level, std::uint64_t now_ms,
            std::initializer_list<LineField> fields, std::uint64_t times = 1);

  /// Counts it; nobody wants its line.
  void count(EventKind kind) { ++counts_[static_cast<std::size_t>(kind)]; }
  const EventCounts& counts() const { return counts_; }
  /// Writes how many lines of seconds that are over were left out. Call once a second.
  void tell_left_out(std::uint64_t now_ms);

 private:
  struct Second {
    std::uint64_t number = 0;
    std::uint32_t written = 0;
    std::uint64_t left_out = 0;
    LineLevel level = LineLevel::info;
  };
  bool wants(EventKind kind, LineLevel level, std::uint64_t now_ms);
  void begin_second(EventKind kind, std::uint64_t now_ms);

  EventCounts counts_{};
  std::array<Second, kEventKinds> seconds_{};
};

}  // namespace skald::actors
