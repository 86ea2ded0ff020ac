// The inbox state machine: sessions, their queues and deadlines, written to the contract of
// kv/range/state_machine.h.
//
// Owned by the replica of one inbox range (or by a test), used by one thread at a time. It is the
// directory of sessions: attach.cc says who has one and from when on the others are fenced;
// subscriptions.cc and queue.cc what a persistent one holds; deadlines.cc when wills
// are published and sessions end; outbox.cc what is carried out in other ranges; rebuild.cc how all
// of that comes back from the records.
//
// Queued messages are not in memory but for what decides (bytes, expiry); who delivers them reads
// the store from message_key(name, seq) to messages_end(name). The last seq is stored apart only
// when no message is left that tells it, so that an insert is one write.
//
// What one command may write: a session that ends takes its messages and subscriptions with it at
// once, so up to Quota::max_messages + max_subscriptions erasures for each; Ticks stop at `limit`.
//
// Limits: Quota for each session; kMaxPublishers and kMaxSeenSequences; intents of the outbox: from
// kMaxOutbox on nothing more falls due, until some are done (attaches and detaches go on).
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kv/range/state_machine.h"
#include "mqtt/inbox/keys.h"
#include "mqtt/inbox/record.h"
#include "mqtt/inbox/session_table.h"
#include "mqtt/inbox/types.h"

namespace skald::inbox {

inline constexpr std::size_t kMaxTenantBytes = 255;
inline constexpr std::size_t kMaxNameBytes = 65535;  // a client id, a user, a filter
inline constexpr std::size_t kMaxOutbox = 100'000;
inline constexpr std::uint32_t kDrainGraceS = 30;
inline constexpr std::uint32_t kMaxTick =
    10'000;  // Tick::limit is cut to it; it counts writes, about

class StateMachine {
 public:
  using Command = inbox::Command;
  using Reply = inbox::Reply;
  using Effect = inbox::Effect;
  using Applied = range::Applied<Reply, Effect>;
  using Effects = std::vector<std::pair<range::EffectScope, Effect>>;

  /// Requires: not between rebuild_start and rebuild_finish.
  Applied apply(const range::ApplyContext& context, const Command& command);

  void boundary_changed(const range::Boundary& boundary);
  /// The outbox: everything that is not known to be done.
  Effects leader_started(std::uint64_t term, std::uint64_t stamp_us);
  void leader_stopped() {}
  /// Between hash bytes only.
  std::optional<std::string> split_key(std::string_view hint) const;
  void rebuild_start();
  Status rebuild_chunk(std::span<const range::Record> records);
  void rebuild_finish();

  /// When the leader must propose a Tick; 0: at once. Ask again after each apply.
  std::optional<std::uint64_t> next_due_us() const;
  /// Absent: no such session, or it is not persistent.
  std::optional<SessionState> session_state(const Name& name) const;
  /// Who has the session; absent: nobody.
  std::optional<Owner> owner(const Name& name) const;

  /// By tenant; a tenant that was once here stays.
  const std::map<std::string, Usage, std::less<>>& usages() const { return usages_; }
  std::uint64_t invalid_operations() const { return invalid_; }
  std::size_t outbox_size() const { return outbox_.size(); }

 private:
  /// One command while it is applied.
  struct Work {
    const range::ApplyContext& context;
    const Command& command;
    Applied applied;
    std::uint32_t operation = 0;
    std::uint64_t numbers = 0;  // given out: incarnations and intents

    void put(std::string key, std::string value);
    void erase(std::string key);
    void list(Result result, std::uint32_t target = 0);
  };
  struct Found {
    std::uint64_t hash = 0;
    std::string key;
    Session* session = nullptr;    // null: absent
    Result result = Result::done;  // otherwise why it cannot be used
  };
  struct Intent {
    std::string prefix;
    Effect effect;
  };

  void run(Work& work, const Attach& attach);
  void run(Work& work, const Detach& detach);
  void run(Work& work, const Subscribe& subscribe);
  void run(Work& work, const Unsubscribe& unsubscribe);
  void run(Work& work, const Accept& accept);
  void run(Work& work, const HandedOut& handed_out);
  void run(Work& work, const Release& release);
  void run(Work& work, const Insert& insert);
  void run(Work& work, const Finish& finish);
  void run(Work& work, const Received& received);
  void run(Work& work, const Tick& tick);
  void run(Work& work, const EndLife& end);
  void run(Work& work, const OutboxDone& done);
  void run(Work& work, const Fed& fed);

  // state_machine.cc
  static bool has_numbers(const Work& work);
  static Incarnation next_number(Work& work);
  Found find(const Name& name) const;
  /// The same for what only the connection that has the session may ask of its inbox.
  Found find_owned(const Name& name, Incarnation incarnation) const;
  /// The same for what any connection of the session may say, also when it has lost it since: what
  /// its client has done cannot be undone.
  Found find_since(const Name& name, Incarnation incarnation) const;
  void refuse(Work& work, Result result, std::uint32_t target = 0);
  Usage& usage_of(std::string_view tenant);
  Usage& usage_of(const Session& session);
  void put_session(Work& work, const Session& session) const;

  // attach.cc
  static bool is_valid(const Work& work, const Attach& attach);
  void leave_behind(Work& work, Session& session, const Attach& attach, bool resumes);
  void take(Work& work, Session& session, const Attach& attach, bool resumes,
            const std::optional<Owner>& previous);

  // deadlines.cc
  struct Leaving {
    Detach::Why why = Detach::Why::broken;
    std::uint64_t stamp_us = 0;
    std::optional<Seq> sent_up_to;  // absent: all may have been sent
  };
  void detach(Work& work, Session& session, const Leaving& leaving);
  /// Carries out what is due by now; the session may be gone after it. Returns what it cost.
  std::size_t settle(Work& work, Session& session);
  std::size_t end_inbox(Work& work, Session& session);
  std::size_t end_session(Work& work, Session& session);
  void detach_ended(Work& work, Session& session, std::uint64_t ended_us);
  /// Requires: has_numbers(work).
  void leave_ended_life(Work& work, Found& found);
  std::size_t sweep_ended_lives(Work& work, std::size_t limit);

  // outbox.cc
  void publish_will(Work& work, Session& session);
  void add_intent(Work& work, const Session& session, std::uint64_t id, Effect effect);

  // queue.cc
  Result insert_one(Work& work, const Insert& insert, const Insert::Target& target,
                    const mqtt::Publication& publication, std::string& encoded);
  bool make_room(Work& work, Session& session, std::uint32_t bytes);
  void drop_message(Work& work, Session& session, Seq seq);
  static bool was_seen(const Inbox& inbox, const mqtt::PublicationInfo& info);
  static void remember(Work& work, Session& session, const mqtt::PublicationInfo& info,
                       std::uint64_t done_below);

  // rebuild.cc
  Status rebuild_record(const range::Record& record);
  bool rebuild_session(const ParsedKey& key, std::string_view value);
  bool rebuild_part(const ParsedKey& key, Session& session, std::string_view value);
  void forget_inbox(Session& session);

  SessionTable table_;
  std::map<std::string, Usage, std::less<>> usages_;              // inboxes point into it
  std::map<std::pair<Life, std::uint8_t>, std::uint64_t> ended_;  // with a hash byte: stamp_us
  absl::btree_map<std::uint64_t, Intent> outbox_;
  range::Boundary boundary_;
  std::uint64_t invalid_ = 0;
  bool rebuilding_ = false;
};

static_assert(range::StateMachine<StateMachine>);

}  // namespace skald::inbox
