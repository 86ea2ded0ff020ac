// Nanoseconds per call of the codec's hot path, by hand: build/tests/codec/codec_bench. No test.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include "mqtt/codec/decoder.h"
#include "mqtt/codec/encoder.h"
#include "mqtt/codec/utf8.h"

namespace skald::codec {
namespace {

std::uint64_t sink = 0;  // keeps the results alive

/// Best of several rounds, as others may use the processor.
template <class Call>
void measure(const char* what, const Call& call) {
  constexpr int kRounds = 15;
  constexpr int kCalls = 400'000;
  double best = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) call();
    const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - begin;
    best = std::min(best, spent.count() / kCalls);
  }
  std::printf("%-58s %7.1f ns\n", what, best);
}

std::string publish(Version version, const PublishHead& head) {
  const std::string payload(64, 'p');
  std::string out;
  encode_publish_head(head, payload.size(), version, out);
  return out + payload;
}

void measure_decode(const char* what, const std::string& bytes, Version version) {
  // The compiler must not know the packet.
  const volatile std::size_t size = bytes.size();
  std::string scratch;
  measure(what, [&bytes, &size, &scratch, version] {
    const FrameResult result = next_frame(std::string_view(bytes.data(), size), 1 << 20);
    PublishView view;
    DecodeError error;
    sink += decode_publish(result.frame, version, view, scratch, error) ? view.topic.size() : 0;
    sink += view.payload.size() + view.packet_id;
  });
}

void measure_publish() {
  PublishHead head;
  head.topic = "sensors/building-7/temp";
  head.packet_id = 77;
  head.qos = QoS::at_least_once;
  measure_decode("next_frame + decode_publish, 3.1.1, QoS 1, 23+64 bytes",
                 publish(Version::v311, head), Version::v311);
  measure_decode("the same in v5 without properties", publish(Version::v5, head), Version::v5);
  head.message_expiry_s = 60;
  std::string properties = "\x01\x01";
  properties += '\x26';
  put_string("trace", properties);
  put_string("0123456789abcdef", properties);
  head.forward_properties = properties;
  measure_decode("the same in v5 with expiry, format, one user property",
                 publish(Version::v5, head), Version::v5);
  std::string out;
  measure("encode_publish_head of that", [&out, &head] {
    out.clear();
    sink += encode_publish_head(head, 64, Version::v5, out);
  });
  head.message_expiry_s.reset();
  head.forward_properties = {};
  measure("encode_publish_head, 3.1.1, QoS 1", [&out, &head] {
    out.clear();
    sink += encode_publish_head(head, 64, Version::v311, out);
  });
}

void measure_rest() {
  std::string ack;
  encode_plain_ack(PacketType::puback, 77, ack);
  const volatile std::size_t size = ack.size();
  measure("next_frame + decode_plain_ack", [&ack, &size] {
    const FrameResult result = next_frame(std::string_view(ack.data(), size), 1 << 20);
    std::uint16_t id = 0;
    ReasonCode reason{};
    sink += decode_plain_ack(result.frame, Version::v5, id, reason) ? id : 0;
  });
  std::string out;
  measure("encode_plain_ack", [&out] {
    out.clear();
    encode_plain_ack(PacketType::puback, 77, out);
    sink += out.size();
  });
  std::string ascii(1000, 'a'), cyrillic;
  for (int i = 0; i < 500; ++i) cyrillic += "\xD0\xB6";
  measure("is_mqtt_string, 1000 bytes of ASCII", [&ascii] { sink += is_mqtt_string(ascii); });
  measure("is_mqtt_string, 1000 bytes of Cyrillic",
          [&cyrillic] { sink += is_mqtt_string(cyrillic); });
  measure("is_topic_name, 23 bytes", [] { sink += is_topic_name("sensors/building-7/temp"); });
}

}  // namespace
}  // namespace skald::codec

int main() {
  skald::codec::measure_publish();
  skald::codec::measure_rest();
  return skald::codec::sink == 0;
}
