#include "mqtt/inbox/keys.h"

#include "config/base/assert.h"
#include "config/base/coding.h"

namespace skald::inbox {
namespace {

std::uint64_t fnv1a(std::uint64_t hash, std::string_view bytes) {
  for (const char c : bytes) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return hash;
}

std::string with_tag(std::string_view prefix, Tag tag, std::size_t more) {
  std::string key;
  key.reserve(prefix.size() + 1 + more);
  key.append(prefix);
  put_u8(key, static_cast<std::uint8_t>(tag));
  return key;
}

void put_life(std::string& key, Life life) {
  put_be64(key, life.node.value);
  put_be64(key, life.number.value);
}

}  // namespace

std::uint64_t name_hash(std::string_view tenant, std::string_view client_id) {
  std::uint64_t hash = fnv1a(0xcbf29ce484222325ULL, tenant);
  hash = fnv1a(hash * 0x100000001b3ULL, client_id);  // as if a 00 were between them
  // FNV's upper bits are poor for short names; the finalizer of SplitMix64 spreads them.
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
  return hash ^ (hash >> 31);
}

std::string inbox_prefix(const Name& name, std::uint64_t hash) {
  std::string prefix;
  prefix.reserve(1 + name.tenant.size() + name.client_id.size() + 4);
  put_u8(prefix, hash_byte(hash));
  put_ordered(prefix, name.tenant);
  put_ordered(prefix, name.client_id);
  return prefix;
}

Name name_of(std::string_view prefix) {
  Reader reader(prefix);
  reader.u8();
  Name name;
  name.tenant = reader.ordered();
  name.client_id = reader.ordered();
  SKALD_ASSERT(reader.done());
  return name;
}

std::string session_key(std::string_view prefix) { return with_tag(prefix, Tag::session, 0); }

std::string queue_key(std::string_view prefix) { return with_tag(prefix, Tag::queue, 0); }

std::string subscription_key(std::string_view prefix, std::string_view filter) {
  return with_tag(prefix, Tag::subscription, filter.size()).append(filter);
}

std::string message_key(std::string_view prefix, Seq seq) {
  std::string key = with_tag(prefix, Tag::message, 8);
  put_be64(key, seq);
  return key;
}

std::string accepted_key(std::string_view prefix, std::uint16_t packet_id) {
  std::string key = with_tag(prefix, Tag::accepted, 2);
  put_be16(key, packet_id);
  return key;
}

std::string received_key(std::string_view prefix, Seq seq) {
  std::string key = with_tag(prefix, Tag::received, 8);
  put_be64(key, seq);
  return key;
}

std::string publisher_key(std::string_view prefix, const mqtt::Publisher& publisher) {
  std::string key = with_tag(prefix, Tag::publisher, 24);
  put_life(key, publisher.life);
  put_be64(key, publisher.session);
  return key;
}

std::string intent_key(std::string_view prefix, std::uint64_t intent) {
  std::string key = with_tag(prefix, Tag::intent, 8);
  put_be64(key, intent);
  return key;
}

std::string ended_life_key(std::uint8_t hash, Life life) {
  std::string key;
  key.reserve(19);
  put_u8(key, hash);
  put_be16(key, 0);
  put_life(key, life);
  return key;
}

std::string message_key(const Name& name, Seq seq) { return message_key(inbox_prefix(name), seq); }

std::string messages_end(const Name& name) {
  return prefix_end(with_tag(inbox_prefix(name), Tag::message, 0));
}

skald::Result<ParsedKey> parse_key(std::string_view key) {
  const Error damaged{"inbox: a stored key cannot be read"};
  Reader reader(key);
  const std::uint8_t first = reader.u8();
  ParsedKey parsed;
  if (reader.rest().substr(0, 2) == std::string_view("\0\0", 2)) {
    reader.be16();
    parsed.is_ended_life = true;
    parsed.rest = reader.rest();
    if (parsed.rest.size() != 16) return damaged;
    return parsed;
  }
  const std::string tenant = reader.ordered();
  const std::string client_id = reader.ordered();
  parsed.prefix = key.substr(0, key.size() - reader.rest().size());
  parsed.hash = name_hash(tenant, client_id);
  const std::uint8_t tag = reader.u8();
  parsed.rest = reader.rest();
  const bool known = tag >= static_cast<std::uint8_t>(Tag::session) &&
                     tag <= static_cast<std::uint8_t>(Tag::intent);
  if (!reader.ok() || !known || hash_byte(parsed.hash) != first) return damaged;
  parsed.tag = static_cast<Tag>(tag);
  return parsed;
}

std::vector<range::Boundary> initial_boundaries(std::size_t n) {
  SKALD_ASSERT(n >= 1 && n <= 256);
  std::vector<range::Boundary> boundaries(n);
  for (std::size_t i = 1; i < n; ++i) {
    const std::string key(1, static_cast<char>(i * 256 / n));
    boundaries[i - 1].end = key;
    boundaries[i].start = key;
  }
  return boundaries;
}

}  // namespace skald::inbox
