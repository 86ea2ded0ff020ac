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

}  // namespace

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
