// Queues: messages come in, are acked in any order, and make room.
//
// Who may be dropped: only what was certainly not sent. While a session is online nobody here knows
// what was sent, so then the newest is dropped, whatever the policy; offline `sent_up_to` says it.
#include <algorithm>
#include <utility>

#include "config/base/assert.h"
#include "mqtt/inbox/state_machine.h"
#include "mqtt/publication_codec.h"

namespace skald::inbox {
namespace {

bool is_expired(mqtt::TimeMs expiry_ms, const range::ApplyContext& context) {
  return expiry_ms != 0 && expiry_ms <= context.stamp_us / 1000;
}

}  // namespace

void StateMachine::run(Work& work, const Insert& insert) {
  const auto& publications = work.command.publications;
  const bool is_valid =
      insert.publication < publications.size() && publications[insert.publication];
  if (!is_valid) return refuse(work, Result::invalid);
  const mqtt::Publication& publication = *publications[insert.publication];
  std::string encoded;  // when the first target needs it
  for (std::uint32_t i = 0; i < insert.targets.size(); ++i) {
    const Result result = insert_one(work, insert, insert.targets[i], publication, encoded);
    if (result != Result::done) refuse(work, result, i);
  }
}

Result StateMachine::insert_one(Work& work, const Insert& insert, const Insert::Target& target,
                                const mqtt::Publication& publication, std::string& encoded) {
  Found found = find(target.name);
  if (found.result != Result::done) return found.result;
  const bool fits_qos = target.qos != codec::QoS::at_most_once;
  if (!fits_qos || publication.tenant() != target.name.tenant) return Result::invalid;
  if (has_numbers(work)) leave_ended_life(work, found);
  if (found.session == nullptr || found.session->inbox == nullptr) return Result::no_inbox;
  Session& session = *found.session;
  if (target.route != 0 && target.route < session.birth) return Result::no_inbox;
  Inbox& inbox = *session.inbox;
  const mqtt::PublicationInfo& info = publication.info();
  if (insert.once && was_seen(inbox, info)) {
    ++inbox.usage.repeated;
    return Result::done;
  }
  if (is_expired(info.expiry_ms, work.context)) {
    ++inbox.usage.dropped_expired;
    return Result::done;
  }
  const std::uint32_t bytes = message_bytes(publication);
  const bool counts = !insert.retained_feed;
  if (counts && (!insert.has_room || !make_room(work, session, bytes))) {
    ++inbox.usage.dropped_full;
    return Result::full;
  }
  if (encoded.empty()) mqtt::put_publication(encoded, publication);
  const Seq seq = ++inbox.last;
  inbox.messages.emplace_hint(
      inbox.messages.end(), seq,
      Queued{.expiry_ms = info.expiry_ms, .bytes = bytes, .counts = counts});
  if (counts) {
    ++inbox.counted_messages;
    inbox.counted_bytes += bytes;
  }
  ++inbox.usage.inserted;
  ++inbox.usage.messages;
  inbox.usage.bytes += bytes;
  work.put(message_key(found.key, seq), message_value(target, insert.retained_feed, encoded));
  if (insert.once) remember(work, session, info, insert.done_below);
  if (const std::optional<Owner> owner = table_.owner_of(session)) {
    work.applied.effects.emplace_back(
        range::EffectScope::leader_only,
        Deliver{.owner = *owner,
                .incarnation = session.incarnation,
                .seq = seq,
                .publication = work.command.publications[insert.publication],
                .qos = target.qos,
                .retain = target.retain,
                .subscription_ids = target.subscription_ids});
  }
  return Result::done;
}

/// Offline, what has expired unsent goes first [MQTT-3.3.2-5], then, by policy, the oldest unsent.
/// Messages of a retained feed take no room, so they are passed over.
bool StateMachine::make_room(Work& work, Session& session, std::uint32_t bytes) {
  Inbox& inbox = *session.inbox;
  const Quota& quota = inbox.quota;
  const auto has_room = [&inbox, &quota, bytes] {
    return inbox.counted_messages < quota.max_messages &&
           inbox.counted_bytes + bytes <= quota.max_bytes;
  };
  if (has_room()) return true;
  if (session.online() || bytes > quota.max_bytes || quota.max_messages == 0) return false;
  Seq from = inbox.sent_up_to + 1;
  while (!has_room()) {
    const auto oldest = inbox.messages.lower_bound(from);
    if (oldest == inbox.messages.end()) return false;
    const auto& [seq, queued] = *oldest;
    from = seq + 1;
    if (!queued.counts) continue;
    const bool expired = is_expired(queued.expiry_ms, work.context);
    if (!expired && quota.overflow != Overflow::drop_oldest) return false;
    ++(expired ? inbox.usage.dropped_expired : inbox.usage.dropped_oldest);
    drop_message(work, session, seq);
  }
  return true;
}

/// Requires: it is queued.
void StateMachine::drop_message(Work& work, Session& session, Seq seq) {
  Inbox& inbox = *session.inbox;
  const auto found = inbox.messages.find(seq);
  SKALD_ASSERT(found != inbox.messages.end());
  const Queued queued = found->second;
  inbox.messages.erase(found);
  if (queued.counts) {
    --inbox.counted_messages;
    inbox.counted_bytes -= queued.bytes;
  }
  --inbox.usage.messages;
  inbox.usage.bytes -= queued.bytes;
  work.erase(message_key(session.key(), seq));
  if (seq == inbox.last) {
    work.put(queue_key(session.key()), queue_value(inbox.last, inbox.sent_up_to));
  }
}

bool StateMachine::was_seen(const Inbox& inbox, const mqtt::PublicationInfo& info) {
  const auto found =
      inbox.publishers.find({.life = info.publisher.life, .session = info.publisher.session});
  if (found == inbox.publishers.end()) return false;
  const Seen& seen = found->second;
  if (info.sequence < seen.done_below) return true;
  return std::binary_search(seen.sequences.begin(), seen.sequences.end(), info.sequence);
}

void StateMachine::remember(Work& work, Session& session, const mqtt::PublicationInfo& info,
                            std::uint64_t done_below) {
  Inbox& inbox = *session.inbox;
  const PublisherId id{.life = info.publisher.life, .session = info.publisher.session};
  if (inbox.publishers.size() >= kMaxPublishers && !inbox.publishers.contains(id)) {
    const auto oldest = std::min_element(
        inbox.publishers.begin(), inbox.publishers.end(),
        [](const auto& a, const auto& b) { return a.second.last_seq < b.second.last_seq; });
    work.erase(publisher_key(session.key(),
                             {.life = oldest->first.life, .session = oldest->first.session}));
    if (!oldest->second.sequences.empty()) ++inbox.usage.forgotten_repeats;
    inbox.publishers.erase(oldest);
  }
  Seen& seen = inbox.publishers[id];
  seen.last_seq = inbox.last;
  auto& all = seen.sequences;
  all.insert(std::lower_bound(all.begin(), all.end(), info.sequence), info.sequence);
  seen.done_below = std::max(seen.done_below, std::min(done_below, info.sequence));
  all.erase(all.begin(), std::lower_bound(all.begin(), all.end(), seen.done_below));
  if (all.size() > kMaxSeenSequences) {
    all.erase(all.begin());
    ++inbox.usage.forgotten_repeats;
  }
  work.put(publisher_key(session.key(), info.publisher), publisher_value(seen));
}

void StateMachine::run(Work& work, const Finish& finish) {
  const Found found = find_since(finish.name, finish.incarnation);
  if (found.result != Result::done) return refuse(work, found.result);
  Inbox& inbox = *found.session->inbox;
  for (const Seq seq : finish.seqs) {
    if (inbox.messages.contains(seq)) {
      drop_message(work, *found.session, seq);
    } else if (inbox.received.erase(seq) > 0) {
      work.erase(received_key(found.key, seq));
    }
  }
}

void StateMachine::run(Work& work, const Received& received) {
  const Found found = find_owned(received.name, received.incarnation);
  if (found.result != Result::done) return refuse(work, found.result);
  Inbox& inbox = *found.session->inbox;
  if (!inbox.messages.contains(received.seq)) return;
  drop_message(work, *found.session, received.seq);
  inbox.received.insert(received.seq);
  work.put(received_key(found.key, received.seq), received_value());
}

}  // namespace skald::inbox
