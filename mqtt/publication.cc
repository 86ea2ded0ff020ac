#include "mqtt/publication.h"

#include <cstring>
#include <new>

#include "config/base/assert.h"

namespace skald::mqtt {

namespace {

char* copy(std::string_view from, char* to) {
  if (!from.empty()) std::memcpy(to, from.data(), from.size());
  return to + from.size();
}

/// FNV-1a.
std::uint64_t fold(std::uint64_t hash, std::string_view bytes) {
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
  }
  return hash;
}

}  // namespace

Life persistent_life(std::string_view tenant, std::string_view client_id) {
  // No tenant and no client id holds a NUL, so it parts them.
  std::uint64_t hash = fold(0xcbf29ce484222325ULL, tenant);
  hash = fold(hash, std::string_view("\0", 1));
  hash = fold(hash, client_id);
  hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93ULL;
  hash ^= hash >> 32;
  return {NodeId{hash == 0 ? 1 : hash}, LifeNumber{0}};
}

PublicationRef Publication::make(const PublicationInfo& info, std::string_view tenant,
                                 std::string_view topic, std::string_view properties,
                                 std::string_view payload) {
  SKALD_ASSERT(topic.size() <= 65535);
  SKALD_ASSERT(tenant.size() <= 65535);
  const std::size_t total = tenant.size() + topic.size() + properties.size() + payload.size();
  void* memory = ::operator new(sizeof(Publication) + total);
  auto* made = new (memory) Publication(info);
  made->tenant_size_ = static_cast<std::uint16_t>(tenant.size());
  made->topic_size_ = static_cast<std::uint16_t>(topic.size());
  made->properties_size_ = static_cast<std::uint32_t>(properties.size());
  made->payload_size_ = static_cast<std::uint32_t>(payload.size());
  char* at = reinterpret_cast<char*>(made + 1);
  at = copy(tenant, at);
  at = copy(topic, at);
  at = copy(properties, at);
  copy(payload, at);
  return PublicationRef(made);
}

void Publication::release() const {
  this->~Publication();
  ::operator delete(const_cast<Publication*>(this));
}

PublicationView PublicationView::of(const PublicationRef& publication) {
  return {.info = publication->info(),
          .tenant = publication->tenant(),
          .topic = publication->topic(),
          .properties = publication->properties(),
          .payload = publication->payload(),
          .frame = {},
          .shared = publication};
}

}  // namespace skald::mqtt
