#include "mqtt/inbox/record.h"

#include <utility>
#include <variant>

#include "config/base/assert.h"
#include "config/base/coding.h"
#include "mqtt/inbox/keys.h"
#include "mqtt/inbox/pieces.h"

namespace skald::inbox {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kSubscriptionVersion = 2;  // 1: without the feed that is owed

constexpr unsigned kOnline = 1;
constexpr unsigned kPersistent = 2;
constexpr unsigned kHasWill = 4;
constexpr unsigned kDrained = 8;

constexpr unsigned kRetain = 1;
constexpr unsigned kExactlyOnce = 2;
constexpr unsigned kCountsNot = 4;

constexpr std::uint8_t kPublishWill = 1;
constexpr std::uint8_t kRemoveRoutes = 2;

constexpr std::size_t kMessageOverhead = 64;  // what a queued message costs beside its bytes

std::string versioned() { return std::string(1, static_cast<char>(kVersion)); }

template <class T>
std::optional<T> when_done(const Reader& reader, T&& value) {
  if (!reader.done()) return std::nullopt;
  return std::forward<T>(value);
}

struct MessageHead {
  unsigned flags = 0;
  std::vector<std::uint32_t> ids;
  std::string_view group;
  std::string_view filter;
};

MessageHead read_message_head(Reader& reader) {
  reader.version(kVersion);
  MessageHead head;
  head.flags = reader.u8();
  if (head.flags > (kRetain | kExactlyOnce | kCountsNot)) reader.fail();
  head.ids = read_ids(reader);
  head.group = reader.bytes();
  head.filter = reader.bytes();
  return head;
}

}  // namespace

std::string session_value(const Session& session, const std::optional<Owner>& owner) {
  unsigned flags = 0;
  if (owner) flags |= kOnline;
  if (session.inbox != nullptr) flags |= kPersistent;
  if (session.will) flags |= kHasWill;
  if (session.drained) flags |= kDrained;
  std::string value = versioned();
  put_u8(value, static_cast<std::uint8_t>(flags));
  put_varint(value, session.incarnation);
  put_varint(value, session.birth);
  put_varint(value, session.expiry_s);
  put_bytes(value, session.user());
  if (owner) put_owner(value, *owner);
  if (session.inbox != nullptr) {
    put_quota(value, session.inbox->quota);
    put_varint(value, session.inbox->end_due_us);
  }
  if (session.will) {
    put_varint(value, session.will_due_us);
    put_varint(value, session.will_delay_s);
    mqtt::put_publication(value, *session.will);
  }
  return value;
}

std::optional<SessionRecord> read_session(std::string_view value) {
  Reader reader(value);
  reader.version(kVersion);
  const unsigned flags = reader.u8();
  if (flags > (kOnline | kPersistent | kHasWill | kDrained)) reader.fail();
  SessionRecord record;
  record.drained = (flags & kDrained) != 0;
  record.incarnation = reader.varint();
  record.birth = reader.varint();
  record.expiry_s = read_u32(reader);
  record.user = reader.bytes();
  if ((flags & kOnline) != 0) record.owner = read_owner(reader);
  if ((flags & kPersistent) != 0) {
    record.quota = read_quota(reader);
    record.end_due_us = reader.varint();
  }
  if ((flags & kHasWill) != 0) {
    record.will_due_us = reader.varint();
    record.will_delay_s = read_u32(reader);
    record.will = mqtt::read_publication(reader);
  }
  return when_done(reader, std::move(record));
}

std::string queue_value(Seq last, Seq sent_up_to) {
  std::string value = versioned();
  put_varint(value, last);
  put_varint(value, sent_up_to);
  return value;
}

std::optional<std::pair<Seq, Seq>> read_queue(std::string_view value) {
  Reader reader(value);
  reader.version(kVersion);
  const Seq last = reader.varint();
  const Seq sent_up_to = reader.varint();
  return when_done(reader, std::pair(last, sent_up_to));
}

std::string subscription_value(const Subscription& subscription) {
  std::string value(1, static_cast<char>(kSubscriptionVersion));
  put_options(value, subscription.options);
  put_varint(value, subscription.id);
  put_varint(value, subscription.incarnation);
  put_bool(value, subscription.feed_owed);
  return value;
}

std::optional<Subscription> read_subscription(std::string_view value) {
  Reader reader(value);
  const std::uint8_t version = reader.version(kSubscriptionVersion);
  Subscription subscription;
  subscription.options = read_options(reader);
  subscription.id = read_u32(reader);
  subscription.incarnation = reader.varint();
  if (version > 1) subscription.feed_owed = read_bool(reader);
  return when_done(reader, std::move(subscription));
}

std::string message_value(const Insert::Target& target, bool retained_feed,
                          std::string_view encoded) {
  unsigned flags = 0;
  if (target.retain) flags |= kRetain;
  if (target.qos == codec::QoS::exactly_once) flags |= kExactlyOnce;
  if (retained_feed) flags |= kCountsNot;
  std::string value;
  value.reserve(5 + 5 * target.subscription_ids.size() + target.shared_group.size() +
                target.shared_filter.size() + 4 + encoded.size());
  put_u8(value, kVersion);
  put_u8(value, static_cast<std::uint8_t>(flags));
  put_ids(value, target.subscription_ids);
  put_bytes(value, target.shared_group);
  put_bytes(value, target.shared_filter);
  value.append(encoded);
  return value;
}

std::uint32_t message_bytes(const mqtt::Publication& publication) {
  return static_cast<std::uint32_t>(kMessageOverhead + publication.tenant().size() +
                                    publication.topic().size() + publication.properties().size() +
                                    publication.payload().size());
}

std::optional<Queued> read_queued(std::string_view value) {
  Reader reader(value);
  const MessageHead head = read_message_head(reader);
  mqtt::PublicationRef publication = mqtt::read_publication(reader);
  if (!reader.done()) return std::nullopt;
  return Queued{.expiry_ms = publication->info().expiry_ms,
                .bytes = message_bytes(*publication),
                .counts = (head.flags & kCountsNot) == 0};
}

skald::Result<Message> decode_message(const range::Record& record) {
  const skald::Result<ParsedKey> key = parse_key(record.key);
  if (!key.ok()) return key.error();
  Reader seq(key->rest);
  Message message;
  message.seq = seq.be64();
  Reader reader(record.value);
  MessageHead head = read_message_head(reader);
  mqtt::PublicationRef publication = mqtt::read_publication(reader);
  if (key->is_ended_life || key->tag != Tag::message || !seq.done() || !reader.done()) {
    return Error{"inbox: a queued message cannot be read"};
  }
  message.publication = std::move(publication);
  message.qos =
      (head.flags & kExactlyOnce) != 0 ? codec::QoS::exactly_once : codec::QoS::at_least_once;
  message.retain = (head.flags & kRetain) != 0;
  message.subscription_ids = std::move(head.ids);
  message.shared_group = head.group;
  message.shared_filter = head.filter;
  return message;
}

std::string accepted_value(const Accepted& accepted) {
  std::string value = versioned();
  put_varint(value, accepted.sequence);
  put_bool(value, accepted.handed_out);
  return value;
}

std::optional<Accepted> read_accepted(std::string_view value) {
  Reader reader(value);
  reader.version(kVersion);
  Accepted accepted;
  accepted.sequence = reader.varint();
  accepted.handed_out = read_bool(reader);
  return when_done(reader, std::move(accepted));
}

std::string received_value() { return versioned(); }

bool is_received(std::string_view value) {
  Reader reader(value);
  reader.version(kVersion);
  return reader.done();
}

std::string publisher_value(const Seen& seen) {
  std::string value = versioned();
  put_varint(value, seen.done_below);
  put_varint(value, seen.last_seq);
  put_varint(value, seen.sequences.size());
  std::uint64_t before = seen.done_below;
  for (const std::uint64_t sequence : seen.sequences) {
    put_varint(value, sequence - before);
    before = sequence;
  }
  return value;
}

std::optional<Seen> read_publisher(std::string_view value) {
  Reader reader(value);
  reader.version(kVersion);
  Seen seen;
  seen.done_below = reader.varint();
  seen.last_seq = reader.varint();
  seen.sequences.resize(read_count(reader));
  std::uint64_t before = seen.done_below;
  for (std::uint64_t& sequence : seen.sequences) {
    sequence = before + reader.varint();
    if (sequence < before) reader.fail();
    before = sequence;
  }
  return when_done(reader, std::move(seen));
}

std::string ended_life_value(std::uint64_t stamp_us) {
  std::string value = versioned();
  put_varint(value, stamp_us);
  return value;
}

std::optional<std::uint64_t> read_ended_life(std::string_view value) {
  Reader reader(value);
  reader.version(kVersion);
  const std::uint64_t stamp_us = reader.varint();
  return when_done(reader, std::uint64_t{stamp_us});
}

std::string intent_value(const Effect& intent) {
  std::string value = versioned();
  if (const auto* will = std::get_if<PublishWill>(&intent)) {
    put_u8(value, kPublishWill);
    put_bytes(value, will->user);
    mqtt::put_publication(value, *will->publication);
    return value;
  }
  const auto* remove = std::get_if<RemoveRoutes>(&intent);
  SKALD_ASSERT(remove != nullptr);
  put_u8(value, kRemoveRoutes);
  put_varint(value, remove->routes.size());
  for (const RemoveRoutes::Route& route : remove->routes) {
    put_bytes(value, route.filter);
    put_varint(value, route.incarnation);
  }
  return value;
}

std::optional<Effect> read_intent(std::uint64_t id, std::string_view prefix,
                                  std::string_view value) {
  Reader reader(value);
  reader.version(kVersion);
  const std::uint8_t kind = reader.u8();
  if (kind == kPublishWill) {
    PublishWill will{.intent = id, .name = name_of(prefix), .user = {}, .publication = {}};
    will.user = reader.bytes();
    will.publication = mqtt::read_publication(reader);
    return when_done(reader, Effect(std::move(will)));
  }
  if (kind != kRemoveRoutes) return std::nullopt;
  RemoveRoutes remove{.intent = id, .name = name_of(prefix), .routes = {}};
  for (std::size_t left = read_count(reader); left > 0 && reader.ok(); --left) {
    RemoveRoutes::Route& route = remove.routes.emplace_back();
    route.filter = reader.bytes();
    route.incarnation = reader.varint();
  }
  return when_done(reader, Effect(std::move(remove)));
}

}  // namespace skald::inbox
