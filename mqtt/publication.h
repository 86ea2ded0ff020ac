// A publication: one message on its way from a publisher to its receivers.
//
// PublicationView borrows the bytes of a read burst and costs nothing; Publication owns a copy in
// one allocation, is immutable and reference counted, and is made (once, by `share`) only when
// somebody must keep the message: a queue, another loop, a large payload written by reference.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>

#include "config/base/ids.h"
#include "mqtt/codec/types.h"

namespace skald::mqtt {

/// Milliseconds of node time (design.md section 4): wall clock at start plus CLOCK_BOOTTIME since.
using TimeMs = std::uint64_t;

/// Who sent a publication: receivers are idempotent on (publisher, sequence).
struct Publisher {
  Life life;
  std::uint64_t session = 0;  // incarnation of the session, unique in its life

  bool operator==(const Publisher&) const = default;
};

/// The identity of a persistent session as a publisher, the same on whatever node it is. A life
/// number of 0 tells it from the sessions of a node; `birth` from earlier sessions of its name.
/// Stable: it is stored and sent. Never a zero node id.
Life persistent_life(std::string_view tenant, std::string_view client_id);
inline Publisher persistent_publisher(std::string_view tenant, std::string_view client_id,
                                      std::uint64_t birth) {
  return {persistent_life(tenant, client_id), birth};
}

/// What a publication says beside its bytes.
struct PublicationInfo {
  Publisher publisher;
  std::uint64_t sequence = 0;  // of the publisher's session
  std::uint64_t trace_id = 0;  // 0: not traced
  TimeMs stamp_ms = 0;         // when it was received
  TimeMs expiry_ms = 0;        // deadline; 0: never
  codec::QoS qos = codec::QoS::at_most_once;
  bool retain = false;
};

class Publication;

/// Counted handle to an immutable Publication. May be copied and dropped on any thread.
class PublicationRef {
 public:
  PublicationRef() = default;
  PublicationRef(const PublicationRef& other);
  PublicationRef(PublicationRef&& other) noexcept : to_(std::exchange(other.to_, nullptr)) {}
  PublicationRef& operator=(PublicationRef other) noexcept {
    std::swap(to_, other.to_);
    return *this;
  }
  ~PublicationRef();

  explicit operator bool() const { return to_ != nullptr; }
  const Publication& operator*() const { return *to_; }
  const Publication* operator->() const { return to_; }

 private:
  friend class Publication;
  explicit PublicationRef(const Publication* to) : to_(to) {}  // takes over one reference

  const Publication* to_ = nullptr;
};

class Publication {
 public:
  static PublicationRef make(const PublicationInfo& info, std::string_view tenant,
                             std::string_view topic, std::string_view properties,
                             std::string_view payload);
  Publication(const Publication&) = delete;
  Publication& operator=(const Publication&) = delete;

  const PublicationInfo& info() const { return info_; }
  std::string_view tenant() const { return {bytes(), tenant_size_}; }
  std::string_view topic() const { return {bytes() + tenant_size_, topic_size_}; }
  std::string_view properties() const {
    return {bytes() + tenant_size_ + topic_size_, properties_size_};
  }
  std::string_view payload() const {
    return {bytes() + tenant_size_ + topic_size_ + properties_size_, payload_size_};
  }
  /// What it weighs in memory: the unit of byte limits.
  std::size_t size_bytes() const {
    return sizeof(Publication) + tenant_size_ + topic_size_ + properties_size_ + payload_size_;
  }

 private:
  friend class PublicationRef;
  explicit Publication(const PublicationInfo& info) : info_(info) {}
  ~Publication() = default;

  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  void release() const;

  mutable std::atomic<std::uint32_t> references_{1};
  std::uint32_t payload_size_ = 0;
  std::uint32_t properties_size_ = 0;
  std::uint16_t topic_size_ = 0;
  std::uint16_t tenant_size_ = 0;
  PublicationInfo info_;
};

/// A publication whose bytes somebody else owns, for the time of one call.
struct PublicationView {
  PublicationInfo info;
  std::string_view tenant;
  std::string_view topic;
  std::string_view properties;  // forwarded unaltered, encoded (codec::PublishView)
  std::string_view payload;
  /// The PUBLISH it came in when that can be forwarded with byte 0 and the packet id patched;
  /// empty otherwise.
  std::string_view frame;
  std::uint32_t frame_packet_id_offset = 0;  // 0: QoS 0
  bool frame_is_v5 = false;
  PublicationRef shared;  // set once somebody had to keep it

  /// The owning copy, made at the first call.
  const PublicationRef& share() {
    if (!shared) shared = Publication::make(info, tenant, topic, properties, payload);
    return shared;
  }
  std::size_t size_bytes() const {
    return sizeof(Publication) + tenant.size() + topic.size() + properties.size() + payload.size();
  }
  static PublicationView of(const PublicationRef& publication);
};

inline PublicationRef::PublicationRef(const PublicationRef& other) : to_(other.to_) {
  if (to_ != nullptr) to_->references_.fetch_add(1, std::memory_order_relaxed);
}

inline PublicationRef::~PublicationRef() {
  if (to_ != nullptr && to_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    to_->release();
  }
}

}  // namespace skald::mqtt
