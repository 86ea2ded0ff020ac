// The rules of mqtt/inbox/types.h once more, in the plainest way: what the machine is compared
// with. Numbers (incarnations, intents) are taken from what the machine says, and only checked to
// grow; effects are told as lines.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/inbox/harness.h"

namespace skald::inbox {

class Model {
 public:
  struct Told {
    std::vector<OperationResult> results;
    std::vector<std::string> hints;    // Deliver and Evict, in order
    std::vector<std::string> intents;  // in no order
  };

  /// `said`: the machine's reply to the same command.
  Told apply(std::uint64_t stamp_us, const Command& command, const Reply& said);

  struct Entry {
    Seq seq = 0;
    std::string payload;
    mqtt::TimeMs expiry_ms = 0;
    std::uint64_t bytes = 0;
    bool counts = true;
  };
  struct One {
    std::string user;
    std::optional<Owner> owner;
    Incarnation incarnation = 0;
    Incarnation birth = 0;
    bool persistent = false;
    std::uint32_t expiry_s = 0;
    std::optional<Will> will;
    std::uint64_t will_us = 0;            // offline
    std::optional<std::uint64_t> end_us;  // offline
    bool drained = false;
    Quota quota;
    std::map<std::string, Subscription> subscriptions;
    std::vector<Entry> queue;
    std::map<std::uint16_t, Accepted> accepted;
    std::set<Seq> received;
    std::map<std::pair<std::uint64_t, std::uint64_t>,
             std::pair<std::uint64_t, std::set<std::uint64_t>>>
        seen;  // by node and session of the publisher: done_below, sequences
    Seq last = 0;
    Seq sent_up_to = 0;
  };

  const std::map<Name, One>& sessions() const { return sessions_; }
  std::size_t outbox = 0;

 private:
  void run(const Attach& attach);
  void run(const Detach& detach);
  void run(const Subscribe& subscribe);
  void run(const Unsubscribe& unsubscribe);
  void run(const Accept& accept);
  void run(const HandedOut& handed_out);
  void run(const Fed& fed);
  void run(const Release& release);
  void run(const Insert& insert);
  void run(const Finish& finish);
  void run(const Received& received);
  void run(const Tick& tick);
  void run(const EndLife& end);
  void run(const OutboxDone& done);

  void list(Result result, std::uint32_t target = 0);
  One* since(const Name& name, Incarnation incarnation);
  One* owned(const Name& name, Incarnation incarnation);
  void fire(const Name& name, One& one);
  void end(const Name& name, One& one);
  void leave_ended_life(const Name& name);
  void leave(const Name& name, Detach::Why why, std::uint64_t stamp_us, std::optional<Seq> sent);
  void fall_due(const Name& name);
  Result insert_into(const Insert& insert, const Insert::Target& target);
  bool make_room(One& one, std::uint64_t bytes);
  OperationResult said() const;

  std::map<Name, One> sessions_;
  std::map<Life, std::uint64_t> ended_;
  std::uint64_t now_us_ = 0;
  const Command* command_ = nullptr;
  const Reply* reply_ = nullptr;
  std::uint32_t operation_ = 0;
  Told told_;
};

/// The same lines of what the machine said.
Model::Told lines_of(const StateMachine::Applied& applied);

}  // namespace skald::inbox
