// Publishes from the client, and the acks of both directions [MQTT-4.3, 4.4, 4.6].
#include <algorithm>

#include "config/base/assert.h"
#include "mqtt/codec/encoder.h"
#include "mqtt/codec/utf8.h"
#include "mqtt/session/persistent.h"
#include "mqtt/session/session.h"
#include "mqtt/session/session_write.h"
#include "mqtt/topic/topic.h"

namespace skald::session {

using codec::PacketType;
using codec::QoS;
using codec::ReasonCode;

namespace {

/// Topics that only the broker publishes to.
bool reserved_topic(std::string_view topic) {
  return topic.front() == '$' && (topic.starts_with("$SYS") || topic.starts_with("$share") ||
                                  topic.starts_with("$CONTROL"));
}

}  // namespace

Session::Step Session::on_publish(const codec::Frame& frame, mqtt::TimeMs now_ms) {
  codec::PublishView& publish = workspace_->publish;
  codec::DecodeError error;
  if (!codec::decode_publish(frame, version_, publish, workspace_->properties_scratch, error)) {
    return fail(error.reason, error.message);
  }
  ++counters_->publishes_received;
  counters_->payload_bytes_received += publish.payload.size();
  if (limits_->publishes_per_second != 0 && too_fast(now_ms)) [[unlikely]] {
    return fail(ReasonCode::message_rate_too_high, "more publishes a second than allowed");
  }
  if (!resolve_topic(publish)) return {Event::closed, 0};
  if (publish.qos == QoS::exactly_once && !received_.insert(publish.packet_id)) {
    return on_repeated_publish(publish, now_ms);
  }
  if (publish.qos != QoS::at_most_once && !count_publish()) return {Event::closed, 0};
  if (const ReasonCode refusal = judge(publish); refusal != ReasonCode::success) {
    ++counters_->publishes_refused;
    if (refusal == ReasonCode::retain_not_supported) {
      return fail(refusal, "retained messages are not available");  // [MQTT-3.2.2-14]
    }
    if (refusal == ReasonCode::qos_not_supported) {
      return fail(refusal, "QoS above the maximum");  // [MQTT-3.2.2-11]
    }
    if (refusal == ReasonCode::packet_too_large) return fail(refusal, "payload too large");
    if (refusal == ReasonCode::topic_name_invalid && !is_v5()) {
      return fail(refusal, "topic name invalid");  // 3.x has no way to refuse but to close
    }
    acknowledge(refusal);
    return {Event::handled, 0};
  }
  const std::uint64_t sequence = ++sequence_;
  if (publish.qos == QoS::exactly_once && persistent_) note_accepted(publish.packet_id, sequence);
  hand_out(publish, sequence, now_ms);
  return {Event::publish, 0};
}

/// Fills in what Event::publish carries.
inline void Session::hand_out(const codec::PublishView& publish, std::uint64_t sequence,
                              mqtt::TimeMs now_ms) {
  mqtt::PublicationView& publication = workspace_->publication;
  publication.info.publisher = publisher_;
  publication.info.sequence = sequence;
  publication.info.stamp_ms = now_ms;
  publication.info.expiry_ms =
      publish.message_expiry_s ? now_ms + std::uint64_t{*publish.message_expiry_s} * 1000 : 0;
  publication.info.qos = publish.qos;
  publication.info.retain = publish.retain;
  publication.tenant = tenant_;
  publication.topic = publish.topic;
  publication.properties = publish.forward_properties;
  publication.payload = publish.payload;
  publication.frame = publish.frame_is_plain ? publish.frame : std::string_view{};
  publication.frame_packet_id_offset = publish.packet_id_offset;
  publication.frame_is_v5 = is_v5();
  publication.shared = {};
}

/// A QoS 2 PUBLISH whose id is open: the same message [MQTT-4.3.3-10], acked and not dispatched.
Session::Step Session::on_repeated_publish(const codec::PublishView& publish, mqtt::TimeMs now_ms) {
  AcceptedPublishes::Entry* entry = persistent_ ? persistent_->in.find(publish.packet_id) : nullptr;
  if (entry == nullptr || entry->counted || entry->releasing) {
    // Not acked before the first one is.
    if (!awaits_ack(publish.packet_id)) {
      write_ack(PacketType::pubrec, publish.packet_id, ReasonCode::success);
    }
    return {Event::handled, 0};
  }
  if (!count_publish()) return {Event::closed, 0};
  entry->counted = true;
  if (entry->handed_out) {
    acknowledge(ReasonCode::success);
    return {Event::handled, 0};
  }
  // What was accepted is not judged again: it may have reached some receivers.
  persistent_->accepted_before = true;
  hand_out(publish, entry->sequence, now_ms);
  return {Event::publish, 0};
}

/// Counts a publish of QoS 1 or 2 until it is finished. False when the connection had to end.
inline bool Session::count_publish() {
  if (is_v5() && open_in_ >= limits_->receive_maximum) {
    fail(ReasonCode::receive_maximum_exceeded, "receive maximum exceeded");
    return false;
  }
  ++open_in_;
  return true;
}

/// Turns a topic alias into its topic [MQTT-3.3.2-7..12]. False when the connection had to end.
bool Session::resolve_topic(codec::PublishView& publish) {
  if (publish.topic_alias == 0) return true;
  if (publish.topic_alias > limits_->topic_alias_maximum_in) {
    fail(ReasonCode::topic_alias_invalid, "topic alias over the maximum");
    return false;
  }
  if (!aliases_) aliases_ = std::make_unique<Aliases>();
  std::vector<std::string>& in = aliases_->in;
  if (in.size() < publish.topic_alias) in.resize(publish.topic_alias);
  std::string& topic = in[publish.topic_alias - 1U];
  if (!publish.topic.empty()) {
    topic.assign(publish.topic);
  } else if (topic.empty()) {
    fail(ReasonCode::protocol_error, "topic alias that was never set");
    return false;
  }
  publish.topic = topic;
  return true;
}

/// Counts a publish in its second of the clock.
bool Session::too_fast(mqtt::TimeMs now_ms) {
  const auto second = static_cast<std::uint32_t>(now_ms / 1000);
  if (second != rate_second_) {
    rate_second_ = second;
    rate_count_ = 0;
  }
  return ++rate_count_ > limits_->publishes_per_second;
}

/// What a well-formed publish may still be refused for; success: nothing.
ReasonCode Session::judge(const codec::PublishView& publish) const {
  if (const ReasonCode refusal = judge_topic(publish.topic); refusal != ReasonCode::success) {
    return refusal;
  }
  if (publish.retain && !limits_->retain_available) {
    return ReasonCode::retain_not_supported;
  }
  if (static_cast<std::uint8_t>(publish.qos) > limits_->maximum_qos) {
    return ReasonCode::qos_not_supported;
  }
  if (publish.payload.size() > limits_->max_payload_bytes) return ReasonCode::packet_too_large;
  if (publish.payload_is_utf8 && limits_->check_payload_format &&
      !codec::is_utf8(publish.payload)) {
    return ReasonCode::payload_format_invalid;  // [MQTT-3.3.2-4]
  }
  return ReasonCode::success;
}

ReasonCode Session::judge_topic(std::string_view topic) const {
  const Limits& limits = *limits_;
  if (topic.size() > limits.max_topic_bytes) return ReasonCode::topic_name_invalid;
  const auto levels = 1 + std::count(topic.begin(), topic.end(), '/');
  if (levels > limits.max_topic_levels) return ReasonCode::topic_name_invalid;
  if (topic.size() > limits.max_topic_level_bytes) {
    std::string_view rest = topic;
    for (bool more = true; more;) {
      if (topic::next_level(rest, more).size() > limits.max_topic_level_bytes) {
        return ReasonCode::topic_name_invalid;
      }
    }
  }
  return reserved_topic(topic) ? ReasonCode::not_authorized : ReasonCode::success;
}

/// A will must be what its client might publish [MQTT-3.2.2-13].
ReasonCode Session::judge_will(const codec::Will& will) const {
  if (const ReasonCode refusal = judge_topic(will.topic); refusal != ReasonCode::success) {
    return refusal;
  }
  if (will.retain && !limits_->retain_available) {
    return ReasonCode::retain_not_supported;
  }
  if (static_cast<std::uint8_t>(will.qos) > limits_->maximum_qos) {
    return ReasonCode::qos_not_supported;  // [MQTT-3.2.2-12]
  }
  if (will.topic.size() + will.payload.size() > limits_->max_will_bytes) {
    return ReasonCode::quota_exceeded;
  }
  const bool text =
      will.payload_is_utf8 && limits_->check_payload_format && !codec::is_utf8(will.payload);
  return text ? ReasonCode::payload_format_invalid : ReasonCode::success;
}

/// True while the ack of a publish with this id is deferred.
bool Session::awaits_ack(std::uint16_t packet_id) const {
  return pending_acks_ &&
         std::any_of(pending_acks_->begin(), pending_acks_->end(),
                     [packet_id](const PendingAck& ack) { return ack.packet_id == packet_id; });
}

void Session::acknowledge(ReasonCode reason) {
  const codec::PublishView& publish = workspace_->publish;
  if (publish.qos == QoS::at_most_once || state_ != State::connected) return;
  if (pending_acks_ && !pending_acks_->empty()) {
    pending_acks_->push_back({publish.packet_id, publish.qos, true, reason});
    return;
  }
  finish_publish(publish.packet_id, publish.qos, reason);
}

std::uint32_t Session::defer_acknowledge() {
  const codec::PublishView& publish = workspace_->publish;
  if (!pending_acks_) pending_acks_ = std::make_unique<std::deque<PendingAck>>();
  pending_acks_->push_back({publish.packet_id, publish.qos, false, ReasonCode::success});
  return pending_acks_base_ + static_cast<std::uint32_t>(pending_acks_->size()) - 1;
}

void Session::acknowledge_deferred(std::uint32_t ticket, ReasonCode reason) {
  if (state_ != State::connected) return;
  const std::uint32_t index = ticket - pending_acks_base_;
  SKALD_ASSERT(pending_acks_ && index < pending_acks_->size());
  (*pending_acks_)[index].done = true;
  (*pending_acks_)[index].reason = reason;
  while (!pending_acks_->empty() && pending_acks_->front().done) {
    const PendingAck ack = pending_acks_->front();
    pending_acks_->pop_front();
    ++pending_acks_base_;
    finish_publish(ack.packet_id, ack.qos, ack.reason);
  }
}

void Session::finish_publish(std::uint16_t packet_id, QoS qos, ReasonCode reason) {
  if (qos == QoS::at_most_once) return;
  if (qos == QoS::at_least_once) {
    --open_in_;
    write_ack(PacketType::puback, packet_id, reason);
    return;
  }
  // An error in PUBREC ends the flow [MQTT-4.3.3-9], unless an early PUBREL has.
  if (codec::is_error(reason)) {
    if (received_.erase(packet_id)) --open_in_;
    if (persistent_) persistent_->in.erase(packet_id);
  }
  write_ack(PacketType::pubrec, packet_id, reason);
}

void Session::write_ack(PacketType type, std::uint16_t packet_id, ReasonCode reason) {
  if (reason == ReasonCode::success || !is_v5()) {
    const auto first = static_cast<char>((static_cast<unsigned>(type) << 4) |
                                         (type == PacketType::pubrel ? 2U : 0U));
    const char bytes[4] = {first, 2, static_cast<char>(packet_id >> 8),
                           static_cast<char>(packet_id & 0xFF)};
    write({bytes, sizeof bytes});
    return;
  }
  codec::Ack ack;
  ack.type = type;
  ack.packet_id = packet_id;
  ack.reason = reason;
  write_control(ack);
}

void Session::on_ack(PacketType type, std::uint16_t packet_id, ReasonCode reason,
                     mqtt::TimeMs now_ms) {
  if (persistent_) return on_stored_ack(type, packet_id, reason);
  switch (type) {
    case PacketType::puback:
      return on_puback(packet_id, reason, now_ms);
    case PacketType::pubrec:
      return on_pubrec(packet_id, reason, now_ms);
    case PacketType::pubrel:
      return on_pubrel(packet_id);
    default:
      return on_pubcomp(packet_id, now_ms);
  }
}

void Session::on_puback(std::uint16_t packet_id, ReasonCode reason, mqtt::TimeMs now_ms) {
  if (window_.stage(packet_id) != SendWindow::Stage::awaits_puback) {
    ++counters_->unknown_packet_ids;
    return;
  }
  if (codec::is_error(reason)) ++counters_->dropped_by_client;
  window_.release(packet_id);
  if (queue_) pump(now_ms);
}

void Session::on_pubrec(std::uint16_t packet_id, ReasonCode reason, mqtt::TimeMs now_ms) {
  const SendWindow::Stage stage = window_.stage(packet_id);
  if (codec::is_error(reason)) {  // the client will not have it [MQTT-4.3.3-4]
    if (stage == SendWindow::Stage::awaits_pubrec) {
      ++counters_->dropped_by_client;
      window_.release(packet_id);
      if (queue_) pump(now_ms);
    }
    return;
  }
  if (stage == SendWindow::Stage::awaits_pubrec) {
    window_.received(packet_id);
  } else if (stage != SendWindow::Stage::awaits_pubcomp) {
    ++counters_->unknown_packet_ids;
    write_ack(PacketType::pubrel, packet_id, ReasonCode::packet_identifier_not_found);
    return;
  }
  write_ack(PacketType::pubrel, packet_id, ReasonCode::success);
}

void Session::on_pubrel(std::uint16_t packet_id) {
  if (received_.erase(packet_id)) {
    --open_in_;
    write_ack(PacketType::pubcomp, packet_id, ReasonCode::success);
    return;
  }
  ++counters_->unknown_packet_ids;
  write_ack(PacketType::pubcomp, packet_id, ReasonCode::packet_identifier_not_found);
}

void Session::on_pubcomp(std::uint16_t packet_id, mqtt::TimeMs now_ms) {
  if (window_.stage(packet_id) != SendWindow::Stage::awaits_pubcomp) {
    ++counters_->unknown_packet_ids;
    return;
  }
  window_.release(packet_id);
  if (queue_) pump(now_ms);
}

}  // namespace skald::session
