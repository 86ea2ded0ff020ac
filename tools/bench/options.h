// What one run of `skald bench` is asked to do. Filled by cli.cc, never changed afterwards.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mqtt/codec/types.h"

namespace skald::bench {

/// Who talks to whom. The names are those of emqtt_bench where it has one.
enum class Mode : std::uint8_t {
  conn,    // connections only, each with a filter of its own when a topic is given
  pub,     // publishers alone; somebody else receives
  sub,     // subscribers alone; somebody else (a `pub` run) sends
  pair,    // publisher i to subscriber i, on a topic of their own
  fanin,   // all publishers, each on its own topic, to each of the subscribers (usually one)
  fanout,  // few publishers to many subscribers on one topic
  shared,  // all publishers to one shared group
};

const char* mode_name(Mode mode);

struct Options {
  Mode mode = Mode::pair;
  std::string host = "127.0.0.1";
  std::uint16_t port = 1883;
  std::vector<std::string> sources;  // local addresses, taken in turn; empty: the system's choice
  codec::Version version = codec::Version::v311;

  std::uint32_t publishers = 50;   // in conn: 0
  std::uint32_t subscribers = 50;  // in conn: the connections
  std::string prefix = "skald-bench";
  std::string topic;   // %i: number of the publisher (conn, sub: of the client), %c: its client id
  std::string filter;  // what subscribers ask for; empty: made from the topic
  std::string group = "bench";
  bool clean_start = true;
  std::uint32_t session_expiry_s = 0;
  std::uint16_t keep_alive_s = 300;
  bool no_delay = true;
  std::uint16_t topic_aliases = 0;  // v5: used towards the broker and allowed to it

  codec::QoS qos = codec::QoS::at_most_once;
  codec::QoS subscribe_qos = codec::QoS::at_most_once;
  std::uint32_t payload_bytes = 64;
  double rate = 0;                        // messages/s of all publishers together; 0: full speed
  std::uint32_t window = 100;             // unacknowledged messages per publisher, QoS 1 and 2
  std::uint32_t burst_bytes = 32 * 1024;  // most that one publisher writes before the next may

  double warmup_s = 1;
  double duration_s = 5;          // of the measured window; in conn and sub: of the hold
  std::uint64_t messages = 0;     // per publisher; instead of a duration, and then without warm-up
  std::uint32_t drain_ms = 2000;  // gives up on missing messages after this long without any
  std::uint32_t linger_ms = 100;  // goes on listening this long after the last expected message
  std::uint32_t connect_timeout_s = 30;  // without any progress
  double connect_rate = 0;               // connections/s; 0: as fast as they are answered
  std::uint32_t connect_burst = 64;      // handshakes under way at a time

  std::uint32_t threads = 1;
  int broker_pid = 0;        // 0: unknown, no broker figures
  std::uint32_t run_id = 0;  // in every payload; 0 in sub: that of the first message
  std::string json_path;     // "-": standard output
  bool quiet = false;        // no progress line
};

}  // namespace skald::bench
