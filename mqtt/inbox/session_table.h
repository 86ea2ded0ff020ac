// All sessions of an inbox range: by name, by the life that has them, and by deadline.
//
// Owned by the state machine, which owns nothing of a session's memory itself. Orders are those of
// values (hash, key, life, stamp), never of addresses: replicas walk them alike.
#pragma once

#include <absl/container/btree_set.h>

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "mqtt/inbox/session.h"

namespace skald::inbox {

struct SessionOrder {
  using is_transparent = void;
  struct Probe {
    std::uint64_t hash = 0;
    std::string_view key;
  };
  bool operator()(const SessionEntry& a, const SessionEntry& b) const {
    return a.hash != b.hash ? a.hash < b.hash : a.session->key() < b.session->key();
  }
  bool operator()(const SessionEntry& a, const Probe& b) const {
    return a.hash != b.hash ? a.hash < b.hash : a.session->key() < b.key;
  }
  bool operator()(const Probe& a, const SessionEntry& b) const {
    return a.hash != b.hash ? a.hash < b.hash : a.key < b.session->key();
  }
};

using SessionSet = absl::btree_set<SessionEntry, SessionOrder>;

struct LifeSessions {
  Life life;
  SessionSet sessions;
};

class SessionTable {
 public:
  SessionTable() = default;
  SessionTable(const SessionTable&) = delete;
  SessionTable& operator=(const SessionTable&) = delete;
  ~SessionTable() { clear(); }

  /// Null: absent. `key` is what inbox_prefix made of the name.
  Session* find(std::uint64_t hash, std::string_view key) const;
  /// Requires: absent.
  Session& add(std::uint64_t hash, std::string_view key, std::string_view user);
  void remove(Session& session);
  void clear();

  /// Absent: it goes offline.
  void set_owner(Session& session, const std::optional<Owner>& owner);
  std::optional<Owner> owner_of(const Session& session) const;

  /// Sets Session::will_due_us and Inbox::end_due_us; 0: none.
  void set_deadlines(Session& session, std::uint64_t will_due_us, std::uint64_t end_due_us);
  /// When the first session is due; absent: none is.
  std::optional<std::uint64_t> next_due_us() const;
  /// The first that is due by `now_us`, or null.
  Session* first_due(std::uint64_t now_us) const;

  const SessionSet& sessions() const { return sessions_; }
  /// Lives that have sessions online.
  const std::map<Life, LifeSessions>& lives() const { return lives_; }
  /// The first session of the life whose hash byte is `byte` or greater; null: none.
  Session* first_of(Life life, std::uint8_t byte) const;

 private:
  struct Deadline {
    std::uint64_t due_us = 0;
    SessionEntry entry;
  };
  struct DeadlineOrder {
    bool operator()(const Deadline& a, const Deadline& b) const {
      return a.due_us != b.due_us ? a.due_us < b.due_us : SessionOrder()(a.entry, b.entry);
    }
  };
  static std::uint64_t due_us(const Session& session);
  static void destroy(Session* session);

  SessionSet sessions_;
  std::map<Life, LifeSessions> lives_;  // sessions point into it
  absl::btree_set<Deadline, DeadlineOrder> deadlines_;
};

}  // namespace skald::inbox
