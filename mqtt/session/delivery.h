// What one receiver gets of one publication, and the encodings that receivers share.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "mqtt/codec/encoder.h"
#include "mqtt/codec/types.h"
#include "mqtt/publication.h"

namespace skald::session {

/// Names a shared group, so that a message its member could not finish goes to another member.
struct GroupKey {
  std::string group;   // the ShareName
  std::string filter;  // without $share/<group>/

  bool operator==(const GroupKey&) const = default;
};
using GroupKeyRef = std::shared_ptr<const GroupKey>;

/// A message that went to a member of a shared group and is not finished.
struct SharedMessage {
  mqtt::PublicationRef publication;
  GroupKeyRef group;
  std::uint32_t redispatches = 0;  // how often it has moved from one member to another
};

/// How a subscription wants a publication, overlapping subscriptions already merged.
struct Delivery {
  codec::QoS granted = codec::QoS::at_most_once;
  bool retain = false;                                // the RETAIN flag to send
  bool dup = false;                                   // set by the session, never by its users
  std::span<const std::uint32_t> subscription_ids{};  // every matching one, in order of filters
  const GroupKeyRef* group = nullptr;                 // set for a shared subscription
  std::uint32_t redispatches = 0;                     // of a shared subscription
};

/// The encodings of one publication, each made when a receiver first needs it. Lives as long as the
/// call that dispatches the publication; its buffers are reused for the next.
class WireForms {
 public:
  /// A whole PUBLISH when `payload_follows` is false, otherwise all but the payload. Byte 0 and
  /// the packet id (at `packet_id_offset`, 0: QoS 0) are for the receiver to patch.
  struct Form {
    std::string_view bytes;
    std::uint32_t packet_id_offset = 0;
    bool payload_follows = false;
    bool made = false;

    std::size_t packet_size(const mqtt::PublicationView& publication) const {
      return bytes.size() + (payload_follows ? publication.payload.size() : 0);
    }
  };

  /// From here on a payload is written by reference instead of copied once more.
  static constexpr std::size_t kReferenceFrom = 2048;

  /// Turns to the next publication. Requires: `publication` outlives the uses of this object.
  void reset(mqtt::PublicationView& publication, mqtt::TimeMs now_ms) {
    publication_ = &publication;
    now_ms_ = now_ms;
    for (Form& form : forms_) form.made = false;
  }

  mqtt::PublicationView& publication() const { return *publication_; }
  mqtt::TimeMs now_ms() const { return now_ms_; }

  const Form& get(bool v5, bool with_packet_id) {
    const std::size_t index = (v5 ? 2U : 0U) + (with_packet_id ? 1U : 0U);
    if (!forms_[index].made) make(index);
    return forms_[index];
  }

 private:
  void make(std::size_t index);

  mqtt::PublicationView* publication_ = nullptr;
  mqtt::TimeMs now_ms_ = 0;
  std::array<Form, 4> forms_{};
  std::array<std::string, 4> buffers_{};
};

/// The remaining lifetime to tell a v5 receiver [MQTT-3.3.2-6]; nothing when it never expires.
std::optional<std::uint32_t> remaining_expiry_s(const mqtt::PublicationInfo& info,
                                                mqtt::TimeMs now_ms);

}  // namespace skald::session
