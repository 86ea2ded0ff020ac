// PUBLISH (MQTT 5.0 section 3.3), the hot path: views only, no allocation unless properties that
// are not forwarded stand between ones that are.
#include "mqtt/codec/decode_parts.h"

namespace skald::codec {
namespace {

/// Collects the encodings of the forwarded properties: one run of the packet while they adjoin,
/// `scratch` from the first gap on.
class ForwardRun {
 public:
  explicit ForwardRun(std::string& scratch) : scratch_(scratch) {}

  void add(std::string_view encoded) {
    if (gap_) {
      scratch_.append(encoded);
    } else if (run_.empty()) {
      run_ = encoded;
    } else if (run_.data() + run_.size() == encoded.data()) {
      run_ = {run_.data(), run_.size() + encoded.size()};
    } else {
      gap_ = true;
      scratch_.assign(run_);
      scratch_.append(encoded);
    }
  }

  std::string_view bytes() const { return gap_ ? std::string_view(scratch_) : run_; }

 private:
  std::string& scratch_;
  std::string_view run_;
  bool gap_ = false;
};

bool read_properties(Reader& in, PublishView& out, std::string& scratch,
                     std::vector<std::uint32_t>* subscription_ids, DecodeError& error) {
  PropertyReader properties(in, PacketType::publish, error);
  ForwardRun forward(scratch);
  for (PropertyItem item; properties.next(item);) {
    switch (item.id) {
      case Property::message_expiry_interval:
        out.message_expiry_s = item.number;
        out.frame_is_plain = false;
        break;
      case Property::topic_alias:
        if (item.number == 0) {
          return refuse(error, ReasonCode::topic_alias_invalid, "topic alias 0 [MQTT-3.3.2-8]");
        }
        out.topic_alias = item.u16();
        out.frame_is_plain = false;
        break;
      case Property::subscription_identifier:
        if (subscription_ids == nullptr) {
          return protocol_error(error, "subscription identifier from a client [MQTT-3.3.4-6]");
        }
        subscription_ids->push_back(item.number);
        out.frame_is_plain = false;
        break;
      case Property::payload_format_indicator:
        out.payload_is_utf8 = item.flag();
        forward.add(item.encoded);
        break;
      default:
        forward.add(item.encoded);
        break;
    }
  }
  out.forward_properties = forward.bytes();
  return !properties.failed();
}

bool decode_either(const Frame& frame, Version version, PublishView& out, std::string& scratch,
                   std::vector<std::uint32_t>* subscription_ids, DecodeError& error) {
  const unsigned flags = frame.flags();
  const unsigned qos = flags >> 1 & 3U;
  out = PublishView{};
  out.frame = frame.bytes;
  out.dup = (flags & 8U) != 0;
  out.retain = (flags & 1U) != 0;
  if (qos == 3) return malformed(error, "PUBLISH with QoS 3 [MQTT-3.3.1-4]");
  if (qos == 0 && out.dup && version != Version::v31) {
    return malformed(error, "PUBLISH with DUP and QoS 0 [MQTT-3.3.1-2]");
  }
  out.qos = static_cast<QoS>(qos);
  Reader in(frame.body);
  out.topic = in.binary();
  if (qos != 0) {
    out.packet_id_offset = static_cast<std::uint32_t>(in.position() - frame.bytes.data());
    if (!read_packet_id(in, out.packet_id, error)) return false;
  }
  if (version == Version::v5 && !read_properties(in, out, scratch, subscription_ids, error)) {
    return false;
  }
  if (!in.ok()) return malformed(error, in.why());
  if (!is_topic_name(out.topic)) return refuse_topic(out.topic, error);
  if (out.topic.empty() && out.topic_alias == 0) {
    return protocol_error(error, "empty topic without topic alias (3.3.2.1) [MQTT-4.7.3-1]");
  }
  out.payload = in.rest();
  return true;
}

}  // namespace

bool decode_publish(const Frame& frame, Version version, PublishView& out, std::string& scratch,
                    DecodeError& error) {
  return decode_either(frame, version, out, scratch, nullptr, error);
}

bool decode_server_publish(const Frame& frame, Version version, PublishView& out,
                           std::string& scratch, std::vector<std::uint32_t>& subscription_ids,
                           DecodeError& error) {
  return decode_either(frame, version, out, scratch, &subscription_ids, error);
}

}  // namespace skald::codec
