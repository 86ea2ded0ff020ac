// The keys of an inbox range: everything of one session lies together.
//
// Key (pieces of config/base/coding.h):
//   u8 hash | ordered tenant | ordered client id | u8 tag | rest
//   tag 1  session      nothing
//   tag 2  queue        nothing
//   tag 3  subscription the filter as subscribed, raw
//   tag 4  message      be64 seq
//   tag 5  accepted     be16 packet id
//   tag 6  received     be64 seq
//   tag 7  publisher    be64 node | be64 life | be64 session
//   tag 8  intent       be64 id: of the outbox; may outlive its session
// and, before all sessions of a hash byte (no ordered string begins with 00 00):
//   u8 hash | 00 00 | be64 node | be64 life      an ended life that has sessions in this byte
//
// The hash byte spreads one tenant over the ranges, which are pre-split by it. Ranges are split
// only between hash bytes: so a record of an ended life is always with its sessions, and a range
// can become 1/256 of all sessions at the smallest.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/base/result.h"
#include "kv/range/state_machine.h"
#include "mqtt/inbox/types.h"

namespace skald::inbox {

enum class Tag : std::uint8_t {
  session = 1,
  queue,
  subscription,
  message,
  accepted,
  received,
  publisher,
  intent,
};

/// Stable for ever; its top byte is the hash byte of the name's keys.
std::uint64_t name_hash(std::string_view tenant, std::string_view client_id);
inline std::uint64_t name_hash(const Name& name) { return name_hash(name.tenant, name.client_id); }
constexpr std::uint8_t hash_byte(std::uint64_t hash) {
  return static_cast<std::uint8_t>(hash >> 56);
}

/// What all keys of a session begin with; also where commands about it are routed to.
std::string inbox_prefix(const Name& name, std::uint64_t hash);
inline std::string inbox_prefix(const Name& name) { return inbox_prefix(name, name_hash(name)); }
/// The reverse. Requires: made by inbox_prefix.
Name name_of(std::string_view prefix);

std::string session_key(std::string_view prefix);
std::string queue_key(std::string_view prefix);
std::string subscription_key(std::string_view prefix, std::string_view filter);
std::string message_key(std::string_view prefix, Seq seq);
std::string accepted_key(std::string_view prefix, std::uint16_t packet_id);
std::string received_key(std::string_view prefix, Seq seq);
std::string publisher_key(std::string_view prefix, const mqtt::Publisher& publisher);
std::string intent_key(std::string_view prefix, std::uint64_t intent);
std::string ended_life_key(std::uint8_t hash, Life life);

/// Queued messages from `seq` on: scan from message_key to here.
std::string message_key(const Name& name, Seq seq);
std::string messages_end(const Name& name);

struct ParsedKey {
  bool is_ended_life = false;  // then `rest` is the life, and nothing else is set
  std::uint64_t hash = 0;
  std::string_view prefix;
  Tag tag = Tag::session;
  std::string_view rest;
};

/// Views point into `key`.
skald::Result<ParsedKey> parse_key(std::string_view key);

/// The `n` intervals of the hash byte that the key space is pre-split into. Requires: 1 <= n <=
/// 256.
std::vector<range::Boundary> initial_boundaries(std::size_t n);

}  // namespace skald::inbox
