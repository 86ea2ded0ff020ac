#include "tests/session/peer.h"

#include <utility>

#include "mqtt/codec/decoder.h"
#include "mqtt/codec/encoder.h"
#include "mqtt/codec/reasons.h"
#include "tests/codec/print.h"

namespace skald::session::testing {

using codec::PacketType;
using codec::QoS;
using codec::ReasonCode;
using codec::Version;

namespace {

std::string hex(ReasonCode reason) {
  static constexpr char kDigits[] = "0123456789abcdef";
  const auto value = static_cast<unsigned>(reason);
  return std::string("0x") + kDigits[value >> 4] + kDigits[value & 15];
}

std::string with_reasons(const char* name, std::uint16_t id,
                         const std::vector<ReasonCode>& reasons) {
  std::string text = std::string(name) + " " + std::to_string(id);
  for (const ReasonCode reason : reasons) text += " " + hex(reason);
  return text;
}

std::string text_of(const Message& message) {
  std::string text = "PUBLISH q" + std::to_string(static_cast<int>(message.qos));
  if (message.packet_id != 0) text += " #" + std::to_string(message.packet_id);
  text += " " + message.topic + "=";
  text += message.payload.size() > 40 ? std::to_string(message.payload.size()) + " bytes"
                                      : message.payload;
  if (message.dup) text += " dup";
  if (message.retain) text += " retain";
  for (std::size_t i = 0; i < message.subscription_ids.size(); ++i) {
    text += (i == 0 ? " ids=" : ",") + std::to_string(message.subscription_ids[i]);
  }
  if (message.alias != 0) {
    text += (message.topic_sent ? " alias=" : " by alias=") + std::to_string(message.alias);
  }
  if (message.expiry_s) text += " expiry=" + std::to_string(*message.expiry_s);
  if (!message.properties.empty()) {
    text += " properties=" + std::to_string(message.properties.size());
  }
  return text;
}

}  // namespace

std::string text_of(const Received& received) {
  if (const auto* message = std::get_if<Message>(&received)) return text_of(*message);
  const auto& packet = std::get<codec::ControlPacket>(received);
  if (const auto* ack = std::get_if<codec::Ack>(&packet)) {
    std::string text = codec::name(ack->type);
    text += " " + std::to_string(ack->packet_id);
    return ack->reason == ReasonCode::success ? text : text + " " + hex(ack->reason);
  }
  if (const auto* ack = std::get_if<codec::Suback>(&packet)) {
    return with_reasons("SUBACK", ack->packet_id, ack->reasons);
  }
  if (const auto* ack = std::get_if<codec::Unsuback>(&packet)) {
    return with_reasons("UNSUBACK", ack->packet_id, ack->reasons);
  }
  if (const auto* connack = std::get_if<codec::Connack>(&packet)) {
    return "CONNACK " + hex(connack->reason);
  }
  if (const auto* disconnect = std::get_if<codec::Disconnect>(&packet)) {
    return "DISCONNECT " + hex(disconnect->reason);
  }
  if (std::holds_alternative<codec::Pingresp>(packet)) return "PINGRESP";
  return codec::print(packet);
}

std::string take_bytes(Output& output, std::size_t most, std::size_t chunk) {
  std::string taken;
  while (!output.empty()) {
    Output::Piece pieces[64];
    const std::size_t count = output.pieces(pieces, std::min<std::size_t>(most, 64));
    std::size_t total = 0;
    for (std::size_t i = 0; i < count && total < chunk; ++i) {
      const std::size_t size = std::min(pieces[i].size, chunk - total);
      taken.append(pieces[i].data, size);
      total += size;
    }
    if (total == 0) return taken + "<no pieces though not empty>";
    output.consume(total);
  }
  return taken;
}

void Inbox::feed(std::string_view bytes) {
  buffer_.append(bytes);
  std::size_t at = 0;
  while (fault_.empty()) {
    const auto found = codec::next_frame(std::string_view(buffer_).substr(at), SIZE_MAX);
    if (found.status == codec::FrameStatus::need_more) break;
    if (found.status != codec::FrameStatus::complete) {
      fault_ = "framing";
      break;
    }
    at += found.frame.bytes.size();
    if (found.frame.type() == PacketType::publish) {
      on_publish(found.frame);
      continue;
    }
    auto decoded = codec::decode_control(found.frame, version_);
    if (const auto* error = std::get_if<codec::DecodeError>(&decoded)) {
      fault_ = error->message;
    } else {
      packets_.push_back(std::get<codec::ControlPacket>(std::move(decoded)));
    }
  }
  buffer_.erase(0, at);
}

void Inbox::on_publish(const codec::Frame& frame) {
  codec::PublishView view;
  codec::DecodeError error;
  std::string scratch;
  Message message;
  if (!codec::decode_server_publish(frame, version_, view, scratch, message.subscription_ids,
                                    error)) {
    fault_ = error.message;
    return;
  }
  message.topic = view.topic;
  message.payload = view.payload;
  message.properties = view.forward_properties;
  message.expiry_s = view.message_expiry_s;
  message.packet_id = view.packet_id;
  message.alias = view.topic_alias;
  message.topic_sent = !view.topic.empty();
  message.qos = view.qos;
  message.dup = view.dup;
  message.retain = view.retain;
  message.size = frame.bytes.size();
  if (message.alias != 0) {
    if (aliases_.size() <= message.alias) aliases_.resize(message.alias + 1U);
    std::string& known = aliases_[message.alias];
    if (message.topic_sent) known = message.topic;
    message.topic = known;
    if (known.empty()) fault_ = "alias that was never set";
  }
  packets_.push_back(std::move(message));
}

std::string bytes_of(const Publish& publish, Version version) {
  std::string out;
  codec::encode_publish_head({.topic = publish.topic,
                              .forward_properties = publish.properties,
                              .subscription_ids = {},
                              .message_expiry_s = publish.expiry_s,
                              .topic_alias = publish.topic_alias,
                              .packet_id = publish.packet_id,
                              .qos = publish.qos,
                              .dup = publish.dup,
                              .retain = publish.retain},
                             publish.payload.size(), version, out);
  return out + publish.payload;
}

std::string bytes_of(const codec::ControlPacket& packet, Version version) {
  std::string out;
  codec::encode(packet, version, out);
  return out;
}

codec::Ack ack_of(PacketType type, std::uint16_t id) {
  codec::Ack ack;
  ack.type = type;
  ack.packet_id = id;
  return ack;
}

codec::Subscribe subscribe_of(std::string filter) {
  codec::Subscribe subscribe;
  subscribe.packet_id = 9;
  subscribe.entries.push_back({std::move(filter), {}});
  return subscribe;
}

std::string wrong_reason(const std::vector<Received>& packets) {
  for (const Received& received : packets) {
    const auto* packet = std::get_if<codec::ControlPacket>(&received);
    if (packet == nullptr) continue;
    const auto wrong = [](PacketType type, ReasonCode reason) {
      return !codec::reason_allowed(type, static_cast<std::uint8_t>(reason));
    };
    const auto* connack = std::get_if<codec::Connack>(packet);
    const auto* disconnect = std::get_if<codec::Disconnect>(packet);
    const auto* ack = std::get_if<codec::Ack>(packet);
    if ((connack != nullptr && wrong(PacketType::connack, connack->reason)) ||
        (disconnect != nullptr && wrong(PacketType::disconnect, disconnect->reason)) ||
        (ack != nullptr && wrong(ack->type, ack->reason))) {
      return text_of(received);
    }
  }
  return {};
}

codec::Connect connect_of(Version version, std::string client_id) {
  codec::Connect connect;
  connect.version = version;
  connect.client_id = std::move(client_id);
  return connect;
}

Peer::Peer(Workspace& workspace, Version of_version)
    : version(of_version), session(workspace), inbox(of_version), workspace_(workspace) {}

void Peer::feed(std::string_view bytes) {
  rest.append(bytes);
  for (;;) {
    // A block of exactly this size: a sanitizer sees each step beyond.
    const std::vector<char> exact(rest.begin(), rest.end());
    const Session::Step step = session.receive({exact.data(), exact.size()}, now_ms);
    react(step.event);
    if (step.event == Session::Event::need_more || step.event == Session::Event::blocked ||
        step.event == Session::Event::closed) {
      return;
    }
    rest.erase(0, step.consumed);
    if (rest.empty()) return;
  }
}

void Peer::react(Session::Event event) {
  if (on_event) {
    on_event(event);
    return;
  }
  switch (event) {
    case Session::Event::connect:
      if (!auto_accept) return;
      session.set_client_id(session.connect_packet().client_id.empty()
                                ? "assigned"
                                : session.connect_packet().client_id);
      session.accept(identity, now_ms);
      return;
    case Session::Event::publish: {
      const mqtt::PublicationView& publication = workspace_.publication;
      Message message;
      message.topic = publication.topic;
      message.payload = publication.payload;
      message.properties = publication.properties;
      message.qos = publication.info.qos;
      message.retain = publication.info.retain;
      if (publication.info.expiry_ms != 0) {
        message.expiry_s = static_cast<std::uint32_t>((publication.info.expiry_ms - now_ms) / 1000);
      }
      noted.push_back(text_of(message));
      session.acknowledge(ack_reason);
      return;
    }
    case Session::Event::subscribe:
      noted.push_back("SUBSCRIBE");
      return;
    case Session::Event::unsubscribe:
      noted.push_back("UNSUBSCRIBE");
      return;
    case Session::Event::auth:
      noted.push_back("AUTH");
      return;
    default:
      return;
  }
}

void Peer::send_ack(PacketType type, std::uint16_t id, ReasonCode reason) {
  codec::Ack ack;
  ack.type = type;
  ack.packet_id = id;
  ack.reason = reason;
  send(codec::ControlPacket(ack));
}

void Peer::connect() { connect(connect_of(version)); }

void Peer::connect(const codec::Connect& connect) {
  send(codec::ControlPacket(connect));
  received();
}

Session::Outcome Peer::deliver(const Publish& publish, const Delivery& delivery) {
  mqtt::PublicationView publication;
  publication.info.qos = publish.qos;
  publication.info.retain = publish.retain;
  publication.info.expiry_ms = publish.expiry_s ? now_ms + *publish.expiry_s * 1000ULL : 0;
  publication.tenant = "t";
  publication.topic = publish.topic;
  publication.properties = publish.properties;
  publication.payload = publish.payload;
  WireForms forms;
  forms.reset(publication, now_ms);
  return session.deliver(forms, delivery);
}

std::vector<Received> Peer::received_packets() {
  inbox.feed(take_bytes(session.output()));
  return inbox.take();
}

Lines Peer::received() {
  Lines lines;
  for (const Received& packet : received_packets()) lines.push_back(testing::text_of(packet));
  if (!inbox.fault().empty()) lines.push_back("fault: " + inbox.fault());
  return lines;
}

}  // namespace skald::session::testing
