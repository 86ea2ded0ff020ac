// How a machine comes back from its records, and what it forgets after a split.
#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "config/base/assert.h"
#include "config/base/coding.h"
#include "mqtt/inbox/state_machine.h"

namespace skald::inbox {

void StateMachine::rebuild_start() {
  rebuilding_ = true;
  table_.clear();
  usages_.clear();
  ended_.clear();
  outbox_.clear();
}

Status StateMachine::rebuild_chunk(std::span<const range::Record> records) {
  SKALD_ASSERT(rebuilding_);
  for (const range::Record& record : records) {
    if (Status status = rebuild_record(record); !status.ok()) return status;
  }
  return {};
}

void StateMachine::rebuild_finish() {
  SKALD_ASSERT(rebuilding_);
  rebuilding_ = false;
}

Status StateMachine::rebuild_record(const range::Record& record) {
  const skald::Result<ParsedKey> key = parse_key(record.key);
  if (!key.ok()) return key.error();
  if (!boundary_.contains(record.key)) return Error{"inbox: a record is not of this range"};
  const Error damaged{"inbox: a stored record cannot be read, or is of a newer release"};
  if (key->is_ended_life) {
    Reader reader(key->rest);
    const NodeId node{reader.be64()};
    const Life life{node, LifeNumber{reader.be64()}};
    const std::optional<std::uint64_t> stamp_us = read_ended_life(record.value);
    if (!stamp_us) return damaged;
    ended_[{life, static_cast<std::uint8_t>(record.key.front())}] = *stamp_us;
    return {};
  }
  bool is_good = false;
  if (key->tag == Tag::session) {
    is_good = rebuild_session(*key, record.value);
  } else if (key->tag == Tag::intent) {
    Reader reader(key->rest);
    const std::uint64_t id = reader.be64();
    std::optional<Effect> effect = read_intent(id, key->prefix, record.value);
    is_good = reader.done() && effect;
    if (is_good) {
      outbox_.emplace(id, Intent{.prefix = std::string(key->prefix), .effect = std::move(*effect)});
    }
  } else if (Session* session = table_.find(key->hash, key->prefix);
             session != nullptr && session->inbox != nullptr) {
    is_good = rebuild_part(*key, *session, record.value);
  }
  if (!is_good) return damaged;
  return {};
}

bool StateMachine::rebuild_session(const ParsedKey& key, std::string_view value) {
  std::optional<SessionRecord> record = read_session(value);
  if (!record || !key.rest.empty() || table_.find(key.hash, key.prefix) != nullptr) return false;
  Session& session = table_.add(key.hash, key.prefix, record->user);
  session.incarnation = record->incarnation;
  session.birth = record->birth;
  session.expiry_s = record->expiry_s;
  session.drained = record->drained;
  session.will = std::move(record->will);
  session.will_delay_s = record->will_delay_s;
  Usage& usage = usage_of(name_of(key.prefix).tenant);
  ++usage.sessions;
  if (record->owner) ++usage.online;
  if (record->quota) {
    session.inbox = std::make_unique<Inbox>(usage);
    session.inbox->quota = *record->quota;
    ++usage.persistent;
  }
  table_.set_owner(session, record->owner);
  table_.set_deadlines(session, record->will_due_us, record->end_due_us);
  return true;
}

bool StateMachine::rebuild_part(const ParsedKey& key, Session& session, std::string_view value) {
  Inbox& inbox = *session.inbox;
  Reader reader(key.rest);
  switch (key.tag) {
    case Tag::queue: {
      const auto queue = read_queue(value);
      if (!queue) return false;
      std::tie(inbox.last, inbox.sent_up_to) = *queue;
      return reader.done();
    }
    case Tag::subscription: {
      const auto subscription = read_subscription(value);
      if (!subscription) return false;
      ++inbox.usage.subscriptions;
      if (is_shared(key.rest)) ++inbox.usage.shared;
      return inbox.subscriptions.emplace(key.rest, *subscription).second;
    }
    case Tag::message: {
      const Seq seq = reader.be64();
      const auto queued = read_queued(value);
      if (!queued || !reader.done()) return false;
      inbox.last = std::max(inbox.last, seq);
      if (queued->counts) {
        ++inbox.counted_messages;
        inbox.counted_bytes += queued->bytes;
      }
      ++inbox.usage.messages;
      inbox.usage.bytes += queued->bytes;
      return inbox.messages.emplace(seq, *queued).second;
    }
    case Tag::accepted: {
      const std::uint16_t packet_id = reader.be16();
      auto accepted = read_accepted(value);
      if (!accepted || !reader.done()) return false;
      accepted->packet_id = packet_id;
      return inbox.accepted.emplace(packet_id, *accepted).second;
    }
    case Tag::received: {
      const Seq seq = reader.be64();
      return reader.done() && is_received(value) && inbox.received.insert(seq).second;
    }
    case Tag::publisher: {
      const NodeId node{reader.be64()};
      const LifeNumber number{reader.be64()};
      const PublisherId id{.life = {node, number}, .session = reader.be64()};
      auto seen = read_publisher(value);
      if (!seen || !reader.done()) return false;
      return inbox.publishers.emplace(id, std::move(*seen)).second;
    }
    case Tag::session:
    case Tag::intent:
      break;
  }
  return false;
}

/// The persistent part, in memory: the records are somebody else's business.
void StateMachine::forget_inbox(Session& session) {
  Inbox& inbox = *session.inbox;
  --inbox.usage.persistent;
  inbox.usage.subscriptions -= inbox.subscriptions.size();
  for (const auto& [filter, subscription] : inbox.subscriptions) {
    if (is_shared(filter)) --inbox.usage.shared;
  }
  inbox.usage.messages -= inbox.messages.size();
  for (const auto& [seq, queued] : inbox.messages) inbox.usage.bytes -= queued.bytes;
  table_.set_deadlines(session, session.will_due_us, 0);
  session.inbox.reset();
}

void StateMachine::boundary_changed(const range::Boundary& boundary) {
  boundary_ = boundary;
  std::vector<Session*> outside;
  for (const SessionEntry& entry : table_.sessions()) {
    if (!boundary_.contains(entry.session->key())) outside.push_back(entry.session);
  }
  for (Session* session : outside) {
    Usage& usage = usage_of(*session);
    --usage.sessions;
    if (session->online()) --usage.online;
    if (session->inbox != nullptr) forget_inbox(*session);
    table_.remove(*session);
  }
  std::erase_if(ended_, [&boundary](const auto& ended) {
    return !boundary.contains(ended_life_key(ended.first.second, ended.first.first));
  });
  absl::erase_if(outbox_, [&boundary](const auto& intent) {
    return !boundary.contains(intent.second.prefix);
  });
}

}  // namespace skald::inbox
