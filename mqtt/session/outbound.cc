// Publishes to the client: window, queue, aliases, limits [MQTT-3.3.4, 4.9].
#include <absl/strings/string_view.h>

#include <algorithm>
#include <cstring>

#include "config/base/assert.h"
#include "mqtt/codec/encoder.h"
#include "mqtt/session/persistent.h"
#include "mqtt/session/session.h"
#include "mqtt/share/redispatch.h"

namespace skald::session {

using codec::QoS;

namespace {

void patch_packet_id(char* at, std::uint16_t packet_id) {
  at[0] = static_cast<char>(packet_id >> 8);
  at[1] = static_cast<char>(packet_id & 0xFF);
}

char first_byte(QoS qos, const Delivery& delivery) {
  return static_cast<char>(0x30U | (static_cast<unsigned>(qos) << 1) | (delivery.retain ? 1U : 0U) |
                           (delivery.dup ? 8U : 0U));
}

}  // namespace

bool Session::behind() const {
  if (output_.size() > limits_->output_high_water_bytes) return true;
  if (!queue_) return false;
  return queue_->messages.size() > limits_->max_queued_messages / 2 ||
         queue_->bytes > limits_->max_queued_bytes / 2;
}

bool Session::has_room(QoS qos) const {
  if (output_.size() > limits_->output_high_water_bytes) return false;
  if (qos == QoS::at_most_once) return !slow_ || !behind();
  if (persistent_) return has_stored_room() && !persistent_->out.behind();
  return window_.open() < window_.size() && (!queue_ || queue_->messages.empty());
}

Session::Outcome Session::deliver(WireForms& forms, const Delivery& delivery) {
  if (state_ != State::connected) return Outcome::dropped;
  if (!may_receive(forms.publication().topic)) [[unlikely]] {
    ++counters_->dropped_not_authorized;
    return Outcome::dropped;
  }
  const QoS qos = std::min(forms.publication().info.qos, delivery.granted);
  const std::size_t limit = limits_->output_max_bytes;
  if (qos == QoS::at_most_once) {
    const bool must_drop = (slow_ && behind()) || output_.size() > limit;
    if (must_drop) {
      ++counters_->dropped_qos0_slow;
      return Outcome::dropped;
    }
    return send(forms, delivery, qos, 0) ? Outcome::sent : Outcome::dropped;
  }
  // A shut window, earlier messages waiting, or a socket far behind: take a place in the queue.
  if ((queue_ && !queue_->messages.empty()) || output_.size() > limit) {
    return enqueue(forms, delivery, qos);
  }
  const std::uint16_t packet_id = window_.take(qos);
  if (packet_id == 0) return enqueue(forms, delivery, qos);
  if (!send(forms, delivery, qos, packet_id)) {
    window_.release(packet_id);
    return Outcome::dropped;
  }
  if (delivery.group != nullptr && qos == QoS::at_least_once) {
    window_.keep(packet_id, {forms.publication().share(), *delivery.group, delivery.redispatches});
  }
  return Outcome::sent;
}

void Session::count_delivery(std::size_t payload) {
  ++counters_->deliveries;
  ++counters_->packets_sent;
  counters_->payload_bytes_sent += payload;
}

/// Writes one PUBLISH; false when it is larger than the client takes [MQTT-3.1.2-24].
bool Session::send(WireForms& forms, const Delivery& delivery, QoS qos, std::uint16_t packet_id) {
  if (is_v5() && (alias_maximum_out_ > 0 || !delivery.subscription_ids.empty())) {
    return send_special(forms, delivery, qos, packet_id);
  }
  const WireForms::Form& form = forms.get(is_v5(), packet_id != 0);
  if (form.packet_size(forms.publication()) > maximum_packet_size_) {
    ++counters_->dropped_too_large;
    return false;
  }
  char* at = output_.extend(form.bytes.size());
  std::memcpy(at, form.bytes.data(), form.bytes.size());
  at[0] = first_byte(qos, delivery);
  if (packet_id != 0) patch_packet_id(at + form.packet_id_offset, packet_id);
  if (form.payload_follows) output_.append_payload(forms.publication().share());
  count_delivery(forms.publication().payload.size());
  return true;
}

/// As send, with what is this receiver's own: subscription identifiers and topic alias.
bool Session::send_special(WireForms& forms, const Delivery& delivery, QoS qos,
                           std::uint16_t packet_id) {
  mqtt::PublicationView& publication = forms.publication();
  codec::PublishHead head{
      .topic = publication.topic,
      .forward_properties = publication.properties,
      .subscription_ids = delivery.subscription_ids,
      .message_expiry_s = remaining_expiry_s(publication.info, forms.now_ms()),
      .packet_id = packet_id,
      .qos = qos,
      .dup = delivery.dup,
      .retain = delivery.retain,
  };
  const std::size_t payload = publication.payload.size();
  if (alias_maximum_out_ > 0) use_alias(head, payload);
  if (codec::publish_size(head, payload, version_) > maximum_packet_size_) {
    ++counters_->dropped_too_large;
    return false;
  }
  std::string& scratch = workspace_->encode_scratch;
  scratch.clear();
  codec::encode_publish_head(head, payload, version_, scratch);
  output_.append(scratch);
  if (payload >= WireForms::kReferenceFrom) {
    output_.append_payload(publication.share());
  } else {
    output_.append(publication.payload);
  }
  count_delivery(payload);
  return true;
}

/// The first topics a client gets have an alias each, which stands for them from then on. One is
/// only told in a packet that the client takes.
void Session::use_alias(codec::PublishHead& head, std::size_t payload) {
  if (!aliases_) aliases_ = std::make_unique<Aliases>();
  auto& out = aliases_->out;
  const absl::string_view topic(head.topic.data(), head.topic.size());
  if (const auto found = out.find(topic); found != out.end()) {
    head.topic_alias = found->second;
    head.topic = {};
    return;
  }
  if (out.size() >= alias_maximum_out_) return;
  head.topic_alias = static_cast<std::uint16_t>(out.size() + 1);
  if (codec::publish_size(head, payload, version_) > maximum_packet_size_) {
    head.topic_alias = 0;
  } else {
    out.emplace(std::string(head.topic), head.topic_alias);
  }
}

Session::Outcome Session::enqueue(WireForms& forms, const Delivery& delivery, QoS qos) {
  mqtt::PublicationView& publication = forms.publication();
  const Limits& limits = *limits_;
  SKALD_ASSERT(!persistent_);
  if (!queue_) queue_ = std::make_unique<Queue>();
  if (queue_->messages.size() >= limits.max_queued_messages ||
      queue_->bytes + publication.size_bytes() > limits.max_queued_bytes) {
    ++counters_->dropped_queue_full;
    return Outcome::dropped;
  }
  const mqtt::PublicationRef& shared = publication.share();
  queue_->bytes += shared->size_bytes();
  queue_->messages.push_back(
      {.publication = shared,
       .group = delivery.group != nullptr ? *delivery.group : GroupKeyRef{},
       .subscription_ids = {delivery.subscription_ids.begin(), delivery.subscription_ids.end()},
       .redispatches = delivery.redispatches,
       .qos = qos,
       .retain = delivery.retain});
  ++counters_->deliveries_queued;
  return Outcome::queued;
}

/// Sends from the queue while the window has room.
void Session::pump(mqtt::TimeMs now_ms) {
  if (state_ != State::connected) return;
  while (!queue_->messages.empty() && output_.size() <= limits_->output_max_bytes) {
    Queued& next = queue_->messages.front();
    const std::size_t size = next.publication->size_bytes();
    const mqtt::PublicationInfo& info = next.publication->info();
    if (info.expiry_ms != 0 && info.expiry_ms <= now_ms) {
      ++counters_->dropped_expired;                        // [MQTT-3.3.2-5]
    } else if (!may_receive(next.publication->topic())) {  // rights may have gone since
      ++counters_->dropped_not_authorized;
    } else {
      const std::uint16_t packet_id = window_.take(next.qos);
      if (packet_id == 0) return;
      mqtt::PublicationView publication = mqtt::PublicationView::of(next.publication);
      workspace_->queue_forms.reset(publication, now_ms);
      const Delivery delivery{.granted = next.qos,
                              .retain = next.retain,
                              .subscription_ids = next.subscription_ids,
                              .group = next.group ? &next.group : nullptr};
      if (!send(workspace_->queue_forms, delivery, next.qos, packet_id)) {
        window_.release(packet_id);
      } else if (next.group && next.qos == QoS::at_least_once) {
        window_.keep(packet_id, {next.publication, next.group, next.redispatches});
      }
    }
    queue_->bytes -= size;
    queue_->messages.pop_front();
  }
}

std::vector<SharedMessage> Session::take_unfinished_shared() {
  SKALD_ASSERT(state_ == State::closed);
  std::vector<SharedMessage> unfinished;
  const auto judge = [&unfinished](SharedMessage message, QoS qos, share::Stage stage) {
    const share::Fate fate =
        share::fate_of(qos, stage, share::Setback::session_ended, message.redispatches);
    if (fate != share::Fate::redispatch) return;
    ++message.redispatches;
    unfinished.push_back(std::move(message));
  };
  window_.drain_kept([&](SharedMessage message, SendWindow::Stage stage) {
    if (stage == SendWindow::Stage::awaits_puback) {
      judge(std::move(message), QoS::at_least_once, share::Stage::sent);
    }
  });
  if (queue_) {
    for (Queued& queued : queue_->messages) {
      if (!queued.group) continue;
      judge({std::move(queued.publication), queued.group, queued.redispatches}, queued.qos,
            share::Stage::unsent);
    }
    queue_.reset();
  }
  return unfinished;
}

}  // namespace skald::session
