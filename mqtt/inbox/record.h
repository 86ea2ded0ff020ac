// The stored records of an inbox range (keys.h says where each lies), all versioned.
//
// Value: u8 version (1), then
//   session       u8 flags (1 online, 2 persistent, 4 will, 8 drained) | varint incarnation | birth
//                 | expiry_s | bytes user | [owner] | [quota | varint end_due_us]
//                 | [varint will_due_us | will_delay_s | publication]
//   queue         varint last | sent_up_to      written when messages do not tell it
//   subscription  u8 options | varint id | incarnation
//   message       u8 flags (1 retain, 2 QoS 2, 4 counts not) | ids | bytes group | bytes filter
//                 | publication
//   accepted      varint sequence | u8 handed out
//   received      nothing
//   publisher     varint done_below | last_seq | count | sequences, each as the step from the last
//   ended life    varint stamp_us
//   intent        u8 kind | PublishWill: bytes user | publication
//                         | RemoveRoutes: count | (bytes filter | varint incarnation)...
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/base/result.h"
#include "kv/range/state_machine.h"
#include "mqtt/inbox/session.h"
#include "mqtt/inbox/types.h"

namespace skald::inbox {

std::string session_value(const Session& session, const std::optional<Owner>& owner);
/// Sets what the record holds, but for the owner and the deadlines, which are the table's.
struct SessionRecord {
  Incarnation incarnation = 0;
  Incarnation birth = 0;
  std::uint32_t expiry_s = 0;
  bool drained = false;
  std::string_view user;
  std::optional<Owner> owner;
  std::optional<Quota> quota;  // persistent
  std::uint64_t end_due_us = 0;
  mqtt::PublicationRef will;
  std::uint32_t will_delay_s = 0;
  std::uint64_t will_due_us = 0;
};
std::optional<SessionRecord> read_session(std::string_view value);

std::string queue_value(Seq last, Seq sent_up_to);
std::optional<std::pair<Seq, Seq>> read_queue(std::string_view value);

std::string subscription_value(const Subscription& subscription);
std::optional<Subscription> read_subscription(std::string_view value);

/// `encoded`: the publication, as put_publication wrote it.
std::string message_value(const Insert::Target& target, bool retained_feed,
                          std::string_view encoded);
/// What a message weighs in the quota: the same on every replica and after a rebuild.
std::uint32_t message_bytes(const mqtt::Publication& publication);
std::optional<Queued> read_queued(std::string_view value);

std::string accepted_value(const Accepted& accepted);
std::optional<Accepted> read_accepted(std::string_view value);

std::string received_value();
bool is_received(std::string_view value);

std::string publisher_value(const Seen& seen);
std::optional<Seen> read_publisher(std::string_view value);

std::string ended_life_value(std::uint64_t stamp_us);
std::optional<std::uint64_t> read_ended_life(std::string_view value);

std::string intent_value(const Effect& intent);
/// `id` and `prefix` are of its key.
std::optional<Effect> read_intent(std::uint64_t id, std::string_view prefix,
                                  std::string_view value);

/// A queued message as a scan from message_key to messages_end gives it.
skald::Result<Message> decode_message(const range::Record& record);

}  // namespace skald::inbox
