// A machine with the records that it has written, and short ways to make operations.
#pragma once

#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "mqtt/inbox/codec.h"
#include "mqtt/inbox/keys.h"
#include "mqtt/inbox/record.h"
#include "mqtt/inbox/state_machine.h"

namespace skald::inbox {

using Records = std::map<std::string, std::string>;

constexpr std::uint64_t kSecond = 1'000'000;
constexpr std::uint64_t kStart = 1'700'000'000 * kSecond;

inline Life life(std::uint64_t node, std::uint64_t number = 1) {
  return {NodeId{node}, LifeNumber{number}};
}

inline Owner owner(std::uint64_t node, std::uint64_t session) {
  return {.life = life(node), .session = session};
}

inline mqtt::PublicationRef publication(std::string_view payload, std::string_view tenant = "t",
                                        mqtt::PublicationInfo info = {}) {
  return mqtt::Publication::make(info, tenant, "a/b", "", payload);
}

inline mqtt::PublicationInfo expiring(mqtt::TimeMs expiry_ms) {
  mqtt::PublicationInfo info;
  info.expiry_ms = expiry_ms;
  return info;
}

inline Will will(std::string_view payload, std::uint32_t delay_s = 0) {
  return {.publication = publication(payload), .delay_s = delay_s};
}

inline void store(Records& records, const std::vector<range::Write>& writes) {
  for (const range::Write& write : writes) {
    if (write.kind == range::Write::Kind::put) {
      records[write.key] = write.value;
    } else {
      records.erase(write.key);
    }
  }
}

inline Status rebuild(StateMachine& machine, const range::Boundary& boundary,
                      const Records& records, std::size_t chunk = 7) {
  machine.boundary_changed(boundary);
  machine.rebuild_start();
  std::vector<range::Record> some;
  Status status;
  for (const auto& [key, value] : records) {
    if (!boundary.contains(key)) continue;
    some.push_back({key, value});
    if (some.size() < chunk) continue;
    if (status = machine.rebuild_chunk(some); !status.ok()) return status;
    some.clear();
  }
  status = machine.rebuild_chunk(some);
  machine.rebuild_finish();
  return status;
}

/// Applies one operation a command, by way of bytes.
struct Range {
  StateMachine machine;
  Records records;
  std::uint64_t stamp_us = kStart;
  StateMachine::Applied last;

  const StateMachine::Applied& apply(const Command& command) {
    const auto decoded = decode_command(encode_command(command));
    BOOST_REQUIRE(decoded.ok());
    last = machine.apply({.stamp_us = ++stamp_us, .lane = {}}, *decoded);
    store(records, last.writes);
    return last;
  }
  const StateMachine::Applied& apply(const Operation& operation) {
    return apply(Command{.publications = {}, .operations = {operation}});
  }
  /// What came of the only operation.
  OperationResult operator()(const Operation& operation) {
    apply(operation);
    if (last.reply.results.empty()) return {.previous = {}};
    BOOST_REQUIRE_EQUAL(last.reply.results.size(), 1);
    return last.reply.results.front();
  }
  Result result(const Operation& operation) { return (*this)(operation).result; }

  Result insert(const Name& name, const mqtt::PublicationRef& message, bool feed = false,
                bool once = false, std::uint64_t done_below = 0, Incarnation route = 0) {
    Insert insert;
    insert.once = once;
    insert.done_below = done_below;
    insert.retained_feed = feed;
    insert.targets.push_back({.name = name,
                              .route = route,
                              .subscription_ids = {},
                              .shared_group = {},
                              .shared_filter = {}});
    apply(Command{.publications = {message}, .operations = {insert}});
    return last.reply.results.empty() ? Result::done : last.reply.results.front().result;
  }
  Result insert(const Name& name, std::string_view payload) {
    return insert(name, publication(payload, name.tenant));
  }
  /// Time passes, and the leader does what is due.
  void wait(std::uint64_t seconds) {
    stamp_us += seconds * kSecond;
    tick();
  }
  void tick() {
    std::vector<std::pair<range::EffectScope, Effect>> effects;
    for (auto due = machine.next_due_us(); due && *due <= stamp_us; due = machine.next_due_us()) {
      apply(Tick{});
      for (auto& effect : last.effects) effects.push_back(std::move(effect));
    }
    last.effects = std::move(effects);
  }
  template <class T>
  std::vector<T> effects() const {
    std::vector<T> found;
    for (const auto& [scope, effect] : last.effects) {
      if (const T* one = std::get_if<T>(&effect)) found.push_back(*one);
    }
    return found;
  }
  /// Payloads of the wills that the last call published, one after the other.
  std::string wills() const {
    std::string all;
    for (const PublishWill& one : effects<PublishWill>()) {
      if (!all.empty()) all += ' ';
      all += one.publication->payload();
    }
    return all;
  }
  /// Payloads of the queue as a reader of the store sees it.
  std::string queue(const Name& name) const {
    std::string all;
    const std::string end = messages_end(name);
    for (auto at = records.lower_bound(message_key(name, 0));
         at != records.end() && at->first < end; ++at) {
      const auto message = decode_message({at->first, at->second});
      BOOST_REQUIRE(message.ok());
      if (!all.empty()) all += ' ';
      all += message->publication->payload();
    }
    return all;
  }
  Usage usage(std::string_view tenant = "t") const {
    const auto found = machine.usages().find(tenant);
    return found == machine.usages().end() ? Usage{} : found->second;
  }
};

}  // namespace skald::inbox
