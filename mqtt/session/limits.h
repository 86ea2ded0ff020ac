// What a session may use, from the configuration and the tenant's profile. Shared by many sessions.
#pragma once

#include <cstddef>
#include <cstdint>

namespace skald::session {

struct Limits {
  std::uint32_t max_packet_size = 1024 * 1024;  // bytes, the whole packet, towards us
  std::uint16_t receive_maximum = 1024;         // unfinished QoS 1 and 2 publishes towards us (v5)
  std::uint16_t max_inflight = 256;             // unfinished QoS 1 and 2 publishes towards a client
  std::uint16_t topic_alias_maximum_in = 10;
  std::uint16_t topic_alias_maximum_out = 10;
  std::uint16_t max_client_id_bytes = 65535;
  std::uint16_t max_topic_levels = 128;
  std::uint16_t max_topic_bytes = 65535;
  std::uint16_t max_topic_level_bytes = 65535;
  std::uint32_t max_payload_bytes = 268'435'455;
  std::uint32_t max_will_bytes = 268'435'455;  // topic and payload
  std::uint32_t publishes_per_second = 0;      // of one client; 0: any
  std::uint64_t bytes_in_per_second = 0;       // from one client; 0: any
  std::uint64_t bytes_out_per_second = 0;      // to one client; 0: any
  std::uint8_t maximum_qos = 2;
  bool v31_available = true;
  bool v311_available = true;
  bool v5_available = true;
  bool check_payload_format = true;
  bool subscription_ids_available = true;
  bool metered = false;                // the tenant has totals that are asked for at each publish
  std::uint16_t min_keep_alive_s = 0;  // shorter wishes get this (v5); 0: any
  bool retain_available = true;
  bool shared_available = true;
  bool wildcard_available = true;
  bool persistent_available = true;                 // sessions may outlive their connection
  std::uint32_t max_session_expiry_s = 0xFFFFFFFF;  // longer wishes get this; all ones: never
  std::uint32_t min_session_expiry_s = 0;           // shorter wishes but 0 get this
  std::uint32_t retain_match_limit = 0;  // retained messages for a new subscription; 0: all
  std::uint16_t max_keep_alive_s = 0;    // longer wishes get this as server keep alive (v5); 0: any
  std::uint16_t server_keep_alive_s =
      0;  // for every v5 client, whatever it wished; 0: its own wish
  std::uint32_t max_subscriptions = 10'000;  // of one session
  std::uint16_t max_filters_per_subscribe = 500;
  std::uint32_t max_group_members = 0;       // of a shared group it joins; 0: what holds for all
  std::uint32_t max_queued_messages = 1000;  // waiting for a free place in the send window
  std::size_t max_queued_bytes = 16 * 1024 * 1024;
  /// Above this many bytes waiting for the socket a receiver is behind: its publishers wait.
  std::size_t output_high_water_bytes = 256 * 1024;
  /// Above this QoS 0 messages to it are dropped even before the slow receiver's time is up.
  std::size_t output_max_bytes = 16 * 1024 * 1024;

  bool operator==(const Limits&) const = default;
};

}  // namespace skald::session
