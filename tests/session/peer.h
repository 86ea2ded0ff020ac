// A session core with a small MQTT client at its other end, without sockets: for tests and fuzzing.
//
// What the client sends is encoded by the codec and fed to the session; what the session writes is
// taken out of its Output and decoded again, as short lines of text.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "mqtt/codec/packets.h"
#include "mqtt/session/session.h"

namespace skald::session::testing {

using Lines = std::vector<std::string>;

/// A PUBLISH as a client got it.
struct Message {
  std::string topic;  // aliases resolved
  std::string payload;
  std::string properties;
  std::vector<std::uint32_t> subscription_ids;
  std::optional<std::uint32_t> expiry_s;
  std::uint16_t packet_id = 0;
  std::uint16_t alias = 0;
  bool topic_sent = true;  // false: the alias stood for it
  codec::QoS qos = codec::QoS::at_most_once;
  bool dup = false;
  bool retain = false;
  std::size_t size = 0;  // of the packet
};

using Received = std::variant<codec::ControlPacket, Message>;

/// "PUBACK 5 0x10", "PUBLISH q1 #5 a/b=hello retain ids=1,2 ...".
std::string text_of(const Received& received);

/// Takes everything that waits in `output`, through at most `pieces` pieces a time and consuming at
/// most `chunk` bytes of them.
std::string take_bytes(Output& output, std::size_t pieces = 8, std::size_t chunk = SIZE_MAX);

/// The client's end of the stream from the broker.
class Inbox {
 public:
  explicit Inbox(codec::Version version) : version_(version) {}

  /// Takes bytes of any number of packets, the last one perhaps unfinished.
  void feed(std::string_view bytes);
  /// The whole packets that came since the last call.
  std::vector<Received> take() { return std::exchange(packets_, {}); }
  /// What was wrong with the stream; empty: nothing.
  const std::string& fault() const { return fault_; }
  /// Bytes of a packet that has not wholly come.
  std::size_t unfinished() const { return buffer_.size(); }

 private:
  void on_publish(const codec::Frame& frame);

  codec::Version version_;
  std::string buffer_;
  std::vector<std::string> aliases_;
  std::vector<Received> packets_;
  std::string fault_;
};

/// The encoded PUBLISH of a client. `topic_alias` 0: none; properties encoded.
struct Publish {
  std::string topic = "t";
  std::string payload = "x";
  codec::QoS qos = codec::QoS::at_most_once;
  std::uint16_t packet_id = 0;
  bool dup = false;
  bool retain = false;
  std::uint16_t topic_alias = 0;
  std::optional<std::uint32_t> expiry_s{};
  std::string properties{};
};
std::string bytes_of(const Publish& publish, codec::Version version);
std::string bytes_of(const codec::ControlPacket& packet, codec::Version version);

codec::Ack ack_of(codec::PacketType type, std::uint16_t id);
codec::Subscribe subscribe_of(std::string filter);
/// Names the first packet whose reason code its type may not have; empty: none.
std::string wrong_reason(const std::vector<Received>& packets);

/// A CONNECT with the defaults of a test.
codec::Connect connect_of(codec::Version version, std::string client_id = "c");

/// Session and client. The reactions to events may be replaced; by default a CONNECT is accepted, a
/// PUBLISH noted and acknowledged with `ack_reason`, a SUBSCRIBE noted, AUTH noted.
class Peer {
 public:
  Peer(Workspace& workspace, codec::Version version);

  /// Feeds bytes as they come from the socket; they may end inside a packet.
  void feed(std::string_view bytes);
  void send(const codec::ControlPacket& packet) { feed(bytes_of(packet, version)); }
  void send(const Publish& publish) { feed(bytes_of(publish, version)); }
  void send_ack(codec::PacketType type, std::uint16_t id,
                codec::ReasonCode reason = codec::ReasonCode::success);
  /// CONNECT, and the CONNACK thrown away.
  void connect();
  void connect(const codec::Connect& connect);

  /// Hands a publication to the session.
  Session::Outcome deliver(const Publish& publish, const Delivery& delivery);

  /// What came from the session since the last call, as text.
  Lines received();
  std::vector<Received> received_packets();

  codec::Version version;
  mqtt::TimeMs now_ms = 1'000'000;
  Session session;
  std::function<void(Session::Event)> on_event;
  codec::ReasonCode ack_reason = codec::ReasonCode::success;
  bool auto_accept = true;
  Session::Identity identity{.tenant = "t",
                             .publisher = {.life = {}, .session = 1},
                             .response_information = "response/information"};
  Lines noted;       // publications ("PUBLISH ..."), "SUBSCRIBE", "AUTH", ...
  std::string rest;  // fed, not consumed
  Inbox inbox;

 private:
  void react(Session::Event event);

  Workspace& workspace_;
};

}  // namespace skald::session::testing
