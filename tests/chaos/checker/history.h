// The history: what the clients of a chaos run saw, one event a line, and its reader.
//
// This comment is the definition of the format. A line is
//
//   <time in microseconds> <kind> <key>=<value> ...
//
// in any order of keys; `#` starts a comment line. Times are of one monotonic clock of the driver;
// lines of several files are sorted by time, lines of equal time keep their order. Strings have
// bytes <= 0x20, 0x7f and `%` written as %XX. Flags are 0 or 1 and may be left out when 0. An
// unknown kind or key is an error: a driver that misspells must not make a checker blind.
//
// Write an event that a client *starts* (connect, sub, unsub, pub, repub, disconnect, ack, rec)
// just before the bytes leave, and one that it *sees* just after they came, before acting on them.
//
// Connections. c is a number that no other connection of the history has.
//   connect    c id [tn] [v=5] [clean] [exp] [rm] [will wt [wq] [wr] [wd] [wx]]
//              tn tenant, v protocol (4 = 3.1.1, 5), clean = clean start, exp session expiry in s
//              (4294967295 = never; default 0), rm the client's receive maximum; will is the
//              message number of the will, wt wq wr its topic, QoS and retain, wd its delay and wx
//              its message expiry in s. A connection's will is a message of its own number.
//   connack    c [rc] [sp] [exp]   exp only when the server changed it
//   disconnect c [rc] [exp]        the client sent DISCONNECT; rc=4 asks for the will
//   close      c [srv] [rc]        the socket ended; srv: the server did it, rc its DISCONNECT's
// Subscriptions. One sub per filter; s is a number of the driver, one per operation and connection.
//   sub        c s f [q] [nl] [rap] [rh]       suback   c s rc
//   unsub      c s f                           unsuback c s [rc]
//   readend    c s    the retained messages of that sub are all in, by the driver's judgement
//   drained    c quiet    for `quiet` ms the broker has sent c nothing, though c read and acked all
// Publishing. m is a number that no other message has; it travels in the payload. The order of the
// pub lines of a client is its publish order. A message of QoS 0 has no return.
//   pub        c m t [q] [r] [e] [x] [p]    r retain, e empty payload, x expiry in s, p packet id.
//              A message with an empty payload has a number too, though no delivery can show it.
//   repub      c m [p]      sent again with DUP, perhaps on a later connection
//   puback     c m [rc]     pubrec c m [rc]     pubrel c m (sent)     pubcomp c m [rc]
// Receiving.
//   deliver    c m t [q] [r] [d] [p] [x] [e]   d DUP, x what is left of the expiry; m=0: a payload
//              that no publisher made (unless e)
//   ack        c p [rc]  PUBACK sent       rec  c p [rc]  PUBREC sent
//   rel        c p       PUBREL came       comp c p       PUBCOMP sent
// The broker.
//   kill  kill -9    stop  graceful stop begins    up  it serves again
//   drop  id m [tn]  the broker reported that it dropped m for the session of client id
//   drops n [id] [tn]    it reported n more drops (of that session, or of all)
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/base/result.h"

namespace skald::checker {

inline constexpr std::uint32_t kNone = 0xffffffff;
inline constexpr std::uint64_t kForever = ~std::uint64_t{0};

enum class Kind : std::uint8_t {
  kConnect,
  kConnack,
  kDisconnect,
  kClose,
  kSub,
  kSuback,
  kUnsub,
  kUnsuback,
  kReadEnd,
  kDrained,
  kPub,
  kRepub,
  kPuback,
  kPubrec,
  kPubrel,
  kPubcomp,
  kDeliver,
  kAck,
  kRec,
  kRel,
  kComp,
  kKill,
  kStop,
  kUp,
  kDrop,
  kDrops,
};

/// One line, 32 bytes: a history of 10 million stays in memory.
struct Event {
  std::uint64_t time_us = 0;
  std::uint32_t connection = kNone;  // index into History::connections; kNone: the broker
  std::uint32_t message = kNone;     // index into History::nonces
  std::uint32_t text = kNone;        // topic, filter, or "tenant/client" of drop and drops
  std::uint32_t number = kNone;      // s, exp, x, quiet or n, by kind
  std::uint16_t packet_id = 0;
  Kind kind = Kind::kKill;
  std::uint8_t qos_and_handling = 0;  // bits 0-1 q, bits 2-3 rh
  std::uint8_t reason = 0;
  std::uint8_t flags = 0;

  std::uint8_t qos() const { return qos_and_handling & 3; }
  std::uint8_t retain_handling() const { return qos_and_handling >> 2; }
  bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
  bool refused() const { return reason >= 0x80; }
};
static_assert(sizeof(Event) == 32);

inline constexpr std::uint8_t kRetain = 1;
inline constexpr std::uint8_t kDup = 2;
inline constexpr std::uint8_t kEmpty = 4;
inline constexpr std::uint8_t kSessionPresent = 8;
inline constexpr std::uint8_t kByServer = 16;
inline constexpr std::uint8_t kNoLocal = 32;
inline constexpr std::uint8_t kRetainAsPublished = 64;

/// What `connect` said, kept beside the events.
struct Connection {
  std::uint64_t number = 0;
  std::uint32_t session = kNone;  // index into History::sessions
  std::uint32_t connect = kNone;  // event
  std::uint8_t version = 5;
  bool clean = false;
  std::uint32_t expiry_s = 0;
  std::uint32_t receive_maximum = 65535;
  std::uint32_t will = kNone;  // message
  std::uint32_t will_topic = kNone;
  std::uint8_t will_qos = 0;
  bool will_retain = false;
  std::uint32_t will_delay_s = 0;
  std::uint32_t will_expiry_s = kNone;
};

struct SessionName {
  std::string tenant;
  std::string client;
};

/// Strings by number. Moved, never copied: it points into itself.
class Strings {
 public:
  Strings() = default;
  Strings(Strings&&) = default;
  Strings& operator=(Strings&&) = default;

  std::uint32_t intern(std::string_view text);
  /// kNone when never interned.
  std::uint32_t find(std::string_view text) const;
  const std::string& operator[](std::uint32_t i) const { return *texts_[i]; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(texts_.size()); }

 private:
  std::unordered_map<std::string, std::uint32_t> index_;
  std::vector<const std::string*> texts_;
};

/// The events in order of time, and the things that they name.
struct History {
  std::vector<Event> events;
  std::vector<Connection> connections;
  std::vector<SessionName> sessions;
  std::vector<std::uint64_t> nonces;
  Strings texts;

  std::string line(std::uint32_t event) const;
};

class Fields;

/// Reads files one after the other; `finish` sorts and checks what concerns more than one line.
class HistoryReader {
 public:
  /// `name` stands in messages.
  Status read(std::istream& in, const std::string& name);
  Result<History> finish();

 private:
  Status read_line(std::string_view line);
  Status read_connect(Fields& f, std::uint32_t connection);
  Status check_event(const Event& e) const;
  std::uint32_t connection(std::uint64_t number);
  std::uint32_t session(std::string_view tenant, std::string_view client);
  std::uint32_t message(std::uint64_t nonce);

  History history_;
  std::unordered_map<std::uint64_t, std::uint32_t> connection_index_;
  std::unordered_map<std::uint64_t, std::uint32_t> message_index_;
  std::unordered_map<std::string, std::uint32_t> session_index_;
};

/// A history from text, for tests.
Result<History> parse_history(std::string_view text);

const char* kind_name(Kind kind);

}  // namespace skald::checker
