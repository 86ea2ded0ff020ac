// What an inbox machine keeps in memory of a session.
//
// A session that ends with its connection costs one allocation, its key and user behind it, and two
// entries of ordered sets (session_table.h): under 200 bytes. What only persistent sessions have is
// in Inbox. Payloads are not in memory, but for wills.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mqtt/inbox/types.h"

namespace skald::inbox {

/// Of one tenant in one range. Gauges follow the state; counters begin at zero with the machine.
struct Usage {
  std::uint64_t sessions = 0;
  std::uint64_t persistent = 0;  // of those
  std::uint64_t online = 0;
  std::uint64_t subscriptions = 0;
  std::uint64_t shared = 0;    // of those
  std::uint64_t messages = 0;  // all in queues
  std::uint64_t bytes = 0;     // of those

  std::uint64_t inserted = 0;
  std::uint64_t repeated = 0;           // Insert::once: was there already
  std::uint64_t dropped_full = 0;       // newest: no room
  std::uint64_t dropped_oldest = 0;     // made room
  std::uint64_t dropped_expired = 0;    // before it was sent
  std::uint64_t dropped_with_end = 0;   // the session ended
  std::uint64_t forgotten_repeats = 0;  // bounds of Inbox::publishers were met: may come twice
  std::uint64_t wills = 0;
};

/// A filter as subscribed to: of a group?
inline bool is_shared(std::string_view filter) { return filter.starts_with("$share/"); }

/// A queued message, without its bytes.
struct Queued {
  mqtt::TimeMs expiry_ms = 0;
  std::uint32_t bytes = 0;
  bool counts = true;  // against the quota: not so what came from a retained feed
};

struct PublisherId {
  Life life;
  std::uint64_t session = 0;

  auto operator<=>(const PublisherId&) const = default;
};

/// What came from a publisher that may repeat itself.
struct Seen {
  std::uint64_t done_below = 0;          // all below was seen, or will not be sent
  Seq last_seq = 0;                      // the queue's when it last wrote: the oldest is forgotten
  std::vector<std::uint64_t> sequences;  // in order, none below done_below
};

inline constexpr std::size_t kMaxPublishers = 256;      // of one inbox
inline constexpr std::size_t kMaxSeenSequences = 1024;  // of one publisher

/// The part of a session that outlives its connection.
struct Inbox {
  explicit Inbox(Usage& tenant_usage) : usage(tenant_usage) {}

  Usage& usage;  // of its tenant
  Quota quota;
  absl::btree_map<std::string, Subscription> subscriptions;
  absl::btree_map<Seq, Queued> messages;
  absl::btree_set<Seq> received;
  absl::btree_map<std::uint16_t, Accepted> accepted;
  absl::btree_map<PublisherId, Seen> publishers;
  std::uint64_t counted_messages = 0;
  std::uint64_t counted_bytes = 0;
  Seq last = 0;
  Seq sent_up_to = 0;
  std::uint64_t end_due_us = 0;  // offline: when the session ends; 0: never
};

struct Session;

/// An element of an ordered set of sessions: by hash, so that hash bytes lie together, then by key.
struct SessionEntry {
  std::uint64_t hash = 0;
  Session* session = nullptr;
};

/// The sessions of one life that are online.
struct LifeSessions;

/// Made and destroyed by SessionTable, which also owns the members that it alone sets.
struct Session {
  std::string_view key() const { return {reinterpret_cast<const char*>(this + 1), key_size}; }
  std::string_view user() const {
    return {reinterpret_cast<const char*>(this + 1) + key_size, user_size};
  }
  bool online() const { return life != nullptr; }

  Incarnation incarnation = 0;
  Incarnation birth = 0;
  mqtt::PublicationRef will;      // null: none
  std::unique_ptr<Inbox> inbox;   // null: not persistent
  std::uint64_t will_due_us = 0;  // offline with a will: when it is published
  std::uint32_t will_delay_s = 0;
  std::uint32_t expiry_s = 0;
  bool drained = false;  // its node stopped: the will is not published if the client comes back

  // SessionTable's.
  std::uint64_t hash = 0;
  LifeSessions* life = nullptr;     // null: offline
  std::uint64_t owner_session = 0;  // Owner::session
  std::uint32_t key_size = 0;
  std::uint32_t user_size = 0;
};

}  // namespace skald::inbox
