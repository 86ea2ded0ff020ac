#include "tests/codec/oracle.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "mqtt/codec/decoder.h"
#include "mqtt/codec/encoder.h"
#include "tests/codec/print.h"

namespace skald::codec {
namespace {

constexpr std::size_t kAnySize = std::size_t{kMaxVarint} + 5;

/// A heap block of exactly the given bytes.
class Exact {
 public:
  explicit Exact(std::string_view bytes) : size_(bytes.size()), block_(new char[size_]) {
    if (size_ != 0) std::memcpy(block_.get(), bytes.data(), size_);
  }
  std::string_view view() const { return {block_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> block_;
};

struct Publish {
  PublishView view;
  std::string scratch;
  std::vector<std::uint32_t> subscription_ids;
};

bool decode(const Frame& frame, Version version, Side side, Publish& out, DecodeError& error) {
  if (side == Side::client) {
    return decode_publish(frame, version, out.view, out.scratch, error);
  }
  return decode_server_publish(frame, version, out.view, out.scratch, out.subscription_ids, error);
}

std::string encode(const Publish& publish, Version version, std::string& fault) {
  const PublishView& view = publish.view;
  PublishHead head;
  head.topic = view.topic;
  head.forward_properties = view.forward_properties;
  head.subscription_ids = publish.subscription_ids;
  head.message_expiry_s = view.message_expiry_s;
  head.topic_alias = view.topic_alias;
  head.packet_id = view.packet_id;
  head.qos = view.qos;
  head.dup = view.dup;
  head.retain = view.retain;
  std::string out = "before";
  const std::size_t at = encode_publish_head(head, view.payload.size(), version, out);
  out += view.payload;
  if (publish_size(head, view.payload.size(), version) != out.size() - 6) fault = "publish_size";
  if (at != 0) {
    const auto byte = [&out](std::size_t i) { return static_cast<unsigned char>(out[i]); };
    if ((byte(at) << 8 | byte(at + 1)) != view.packet_id) fault = "packet id offset of the encoder";
  }
  return out.substr(6);
}

/// The views must lie where they are said to.
std::string check_views(const PublishView& view, const Frame& frame) {
  const auto byte = [&frame](std::size_t i) { return static_cast<unsigned char>(frame.bytes[i]); };
  if (view.frame != frame.bytes) return "frame view";
  if (view.packet_id_offset != 0) {
    const std::size_t at = view.packet_id_offset;
    if ((byte(at) << 8 | byte(at + 1)) != view.packet_id) return "packet id offset";
  }
  if ((view.packet_id == 0) != (view.qos == QoS::at_most_once)) return "packet id and QoS";
  const bool plain = view.topic_alias == 0 && !view.message_expiry_s;
  if (view.frame_is_plain && !plain) return "frame_is_plain";
  return {};
}

Verdict judge_publish(const Frame& frame, Version version, Side side) {
  Verdict verdict;
  Publish first;
  DecodeError error;
  if (!decode(frame, version, side, first, error)) {
    verdict.decoded = print(error);
    return verdict;
  }
  verdict.decoded = print(first.view, first.subscription_ids);
  verdict.fault = check_views(first.view, frame);
  verdict.reencoded = encode(first, version, verdict.fault);
  // Nothing that is not forwarded, and lengths in their only encoding: the very same bytes.
  if (first.view.frame_is_plain && verdict.reencoded != frame.bytes) {
    verdict.fault = "plain frame encodes differently";
  }
  const Exact again(verdict.reencoded);
  const FrameResult framed = next_frame(again.view(), kAnySize);
  Publish second;
  if (framed.status != FrameStatus::complete || framed.frame.bytes != again.view() ||
      !decode(framed.frame, version, side, second, error)) {
    verdict.fault = std::string("re-encoded PUBLISH does not decode: ") + error.message;
  } else if (print(second.view, second.subscription_ids) != verdict.decoded) {
    verdict.fault = "PUBLISH changes: " + print(second.view, second.subscription_ids);
  } else if (encode(second, version, verdict.fault) != verdict.reencoded) {
    verdict.fault = "PUBLISH encodes differently the second time";
  }
  return verdict;
}

/// decode_plain_ack must say what decode_control says, or leave it alone.
std::string check_plain_ack(const Frame& frame, Version version, const ControlPacket* packet) {
  std::uint16_t id = 0;
  ReasonCode reason{};
  if (!decode_plain_ack(frame, version, id, reason)) return {};
  const Ack* ack = packet == nullptr ? nullptr : std::get_if<Ack>(packet);
  Ack plain;
  plain.type = frame.type();
  plain.packet_id = id;
  plain.reason = reason;
  if (ack == nullptr || !(*ack == plain)) return "decode_plain_ack disagrees";
  if (reason != ReasonCode::success) return {};
  std::string quick, general;
  encode_plain_ack(plain.type, id, quick);
  encode(ControlPacket(plain), version, general);
  return quick == general ? "" : "encode_plain_ack disagrees";
}

/// encode_within keeps its limit and what it need not drop.
std::string check_within(const ControlPacket& packet, Version version, const std::string& whole) {
  std::string out = "before";
  if (!encode_within(packet, version, whole.size(), out) || out != "before" + whole) {
    return "encode_within changes what fits";
  }
  out = "before";
  if (!encode_within(packet, version, whole.size() - 1, out)) {
    return out == "before" ? "" : "encode_within leaves bytes behind";
  }
  if (out.size() - 6 >= whole.size()) return "encode_within passes its limit";
  const FrameResult framed = next_frame(std::string_view(out).substr(6), kAnySize);
  const auto decoded = decode_control(framed.frame, version);
  return decoded.index() == 0 ? "" : "encode_within makes what does not decode";
}

Verdict judge_control(const Frame& frame, Version version) {
  Verdict verdict;
  const auto first = decode_control(frame, version);
  const ControlPacket* packet = std::get_if<ControlPacket>(&first);
  verdict.fault = check_plain_ack(frame, version, packet);
  if (packet == nullptr) {
    verdict.decoded = print(std::get<DecodeError>(first));
    return verdict;
  }
  verdict.decoded = print(*packet);
  if (const Connect* connect = std::get_if<Connect>(packet)) {
    if (connect_version(frame) != connect->version) verdict.fault = "connect_version disagrees";
    version = connect->version;
  }
  encode(*packet, version, verdict.reencoded);
  const Exact again(verdict.reencoded);
  const FrameResult framed = next_frame(again.view(), kAnySize);
  if (framed.status != FrameStatus::complete || framed.frame.bytes != again.view()) {
    verdict.fault = "re-encoded packet is not one frame";
    return verdict;
  }
  const auto second = decode_control(framed.frame, version);
  if (const DecodeError* error = std::get_if<DecodeError>(&second)) {
    verdict.fault = std::string("re-encoded packet does not decode: ") + error->message;
  } else if (!(std::get<ControlPacket>(second) == *packet)) {
    verdict.fault = "packet changes: " + print(std::get<ControlPacket>(second));
  } else {
    std::string third;
    encode(std::get<ControlPacket>(second), version, third);
    if (third != verdict.reencoded) verdict.fault = "packet encodes differently the second time";
  }
  if (verdict.fault.empty()) verdict.fault = check_within(*packet, version, verdict.reencoded);
  return verdict;
}

}  // namespace

Verdict judge(std::string_view bytes, Version version, Side side) {
  const Exact exact(bytes);
  const FrameResult framed = next_frame(exact.view(), kAnySize);
  Verdict verdict;
  switch (framed.status) {
    case FrameStatus::need_more:
      if (framed.needed <= bytes.size()) verdict.fault = "needs no more than there is";
      return verdict;
    case FrameStatus::malformed:
      verdict.decoded = "error framing: Remaining Length";
      return verdict;
    case FrameStatus::too_large:
      verdict.fault = "too large for any size";
      return verdict;
    case FrameStatus::complete:
      break;
  }
  if (next_frame(bytes, framed.frame.bytes.size()).status != FrameStatus::complete ||
      next_frame(bytes, framed.frame.bytes.size() - 1).status != FrameStatus::too_large) {
    verdict.fault = "max_packet_size is off by one";
    return verdict;
  }
  const Exact alone(framed.frame.bytes);
  Frame frame = framed.frame;
  frame.bytes = alone.view();
  frame.body = alone.view().substr(alone.view().size() - framed.frame.body.size());
  return frame.type() == PacketType::publish ? judge_publish(frame, version, side)
                                             : judge_control(frame, version);
}

std::string judge_prefixes(std::string_view frame) {
  std::size_t needed_before = 0;
  for (std::size_t size = 0; size < frame.size(); ++size) {
    const Exact prefix(frame.substr(0, size));
    const FrameResult result = next_frame(prefix.view(), kAnySize);
    if (result.status != FrameStatus::need_more) return "a prefix is taken for a whole packet";
    if (result.needed <= size || result.needed > std::max<std::size_t>(frame.size(), 2)) {
      return "a prefix needs an impossible size";
    }
    if (result.needed < needed_before) return "needed shrinks";
    needed_before = result.needed;
  }
  return {};
}

}  // namespace skald::codec
