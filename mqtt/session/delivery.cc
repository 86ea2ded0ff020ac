#include "mqtt/session/delivery.h"

namespace skald::session {

using codec::QoS;
using codec::Version;

std::optional<std::uint32_t> remaining_expiry_s(const mqtt::PublicationInfo& info,
                                                mqtt::TimeMs now_ms) {
  if (info.expiry_ms == 0) return std::nullopt;
  const mqtt::TimeMs left_ms = info.expiry_ms > now_ms ? info.expiry_ms - now_ms : 0;
  return static_cast<std::uint32_t>((left_ms + 999) / 1000);
}

void WireForms::make(std::size_t index) {
  const bool v5 = (index & 2) != 0;
  const bool with_packet_id = (index & 1) != 0;
  mqtt::PublicationView& publication = *publication_;
  Form& form = forms_[index];
  form.made = true;
  form.payload_follows = publication.payload.size() >= kReferenceFrom;
  const bool same_shape = !publication.frame.empty() && publication.frame_is_v5 == v5 &&
                          (publication.frame_packet_id_offset != 0) == with_packet_id;
  if (same_shape) {
    form.packet_id_offset = publication.frame_packet_id_offset;
    form.bytes = publication.frame;
    if (form.payload_follows) form.bytes.remove_suffix(publication.payload.size());
    return;
  }
  std::string& buffer = buffers_[index];
  buffer.clear();
  const codec::PublishHead head{
      .topic = publication.topic,
      .forward_properties = publication.properties,
      .subscription_ids = {},
      .message_expiry_s = remaining_expiry_s(publication.info, now_ms_),
      .packet_id = 1,  // patched by each receiver
      .qos = with_packet_id ? QoS::at_least_once : QoS::at_most_once,
  };
  form.packet_id_offset = static_cast<std::uint32_t>(codec::encode_publish_head(
      head, publication.payload.size(), v5 ? Version::v5 : Version::v311, buffer));
  if (!form.payload_follows) buffer.append(publication.payload);
  form.bytes = buffer;
}

}  // namespace skald::session
