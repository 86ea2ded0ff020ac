// A script of bytes on the session machine: two honest clients and a hostile one on a small node.
//
// The bytes decide versions, limits, what is sent and when, how streams are cut, how late acks are,
// and everything that the hostile client does, raw bytes among them. Oracles:
// - between honest clients QoS 1 and 2 come exactly once, in order per publisher, topic and QoS;
// - Receive Maximum of an honest client is never exceeded, and it is never thrown out;
// - a session that is over writes nothing more;
// - what waits for a client is bounded;
// - when all has come to rest, no honest client is held up.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>

#include "tests/dispatch/node.h"
#include "tests/fuzz/fault.h"

namespace skald::dispatch {
namespace {

using codec::PacketType;
using codec::QoS;
using codec::ReasonCode;
using codec::Version;
using fuzz::fault;
using session::testing::Message;
using session::testing::Publish;
using testing::Client;
using testing::Node;

constexpr const char* kTopics[] = {"hon/est/1", "hon/est/2"};
constexpr const char* kFilters[] = {"hon/est/1", "hon/+/2", "#", "hostile/#", "$share/g/hostile/#"};
constexpr std::size_t kHonest = 2;
constexpr std::size_t kOutputMax = 8000;

/// The input, a byte at a time; zeros when it has ended.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t next() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }
  std::uint16_t next_u16() {
    const unsigned high = next();
    return static_cast<std::uint16_t>(high << 8 | next());
  }
  std::string take(std::size_t n) {
    const std::string taken(rest_.substr(0, n));
    rest_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view rest_;
};

Version version_of(unsigned bits) {
  static constexpr Version kVersions[] = {Version::v5, Version::v311, Version::v31, Version::v5};
  return kVersions[bits & 3U];
}

/// Not to be guessed by a hostile client.
std::string payload_of(std::uint64_t number, std::size_t padding) {
  const std::uint64_t seal = (number + 1) * 0x9e3779b97f4a7c15ULL;
  return std::to_string(number) + "!" + std::to_string(seal) + "!" + std::string(padding, 'p');
}

class Script {
 public:
  Script(Bytes& bytes) : bytes_(bytes), node_(options(bytes)) {
    node_.on_message = [this](Client& client, const Message& message) { got(client, message); };
    node_.on_packet = [this](Client& client, const codec::ControlPacket& packet) {
      const auto* suback = std::get_if<codec::Suback>(&packet);
      if (suback == nullptr || !client.honest) return;
      const auto asked = asked_.find({client.session_id, suback->packet_id});
      if (asked == asked_.end()) fault("SUBACK of nothing");
      subscribed_.insert({client.session_id, asked->second});
      asked_.erase(asked);
    };
    for (std::size_t i = 0; i < kHonest; ++i) {
      codec::Connect connect = session::testing::connect_of(version_of(bytes_.next()));
      const unsigned wish = bytes_.next();
      connect.receive_maximum = static_cast<std::uint16_t>(1 + wish % 5);
      connect.topic_alias_maximum = static_cast<std::uint16_t>(wish / 5 % 3);
      honest_.push_back(&node_.connect(static_cast<std::uint16_t>(i % loops_), connect));
      honest_.back()->room = 64 + bytes_.next() * 16U;
      receive_maximum_[honest_.back()->session_id] =
          connect.version == Version::v5 ? connect.receive_maximum : max_inflight_;
    }
    new_hostile();
  }

  void run() {
    for (int step = 0; step < 2000 && !bytes_.empty(); ++step) {
      one();
      check();
    }
    for (int i = 0; i < 50; ++i) {
      node_.tick(5000);
      node_.settle();
    }
    check();
    if (const std::string unrest = node_.unrest(); !unrest.empty()) {
      // A deaf client may hold others up, but not for longer than its time.
      node_.cut(*hostile_);
      node_.settle();
      fault("at the end: " + unrest);
    }
    judge();
  }

 private:
  struct Sent {
    std::uint64_t publisher;
    std::string topic;
    QoS qos;
    std::set<std::uint64_t> must;
    std::map<std::uint64_t, int> got;
  };

  Node::Options options(Bytes& bytes) {
    const unsigned bits = bytes.next();
    loops_ = static_cast<std::uint16_t>(1 + (bits & 1U));
    max_inflight_ = static_cast<std::uint16_t>(1 + (bits >> 1 & 7U));
    Node::Options options{.loops = loops_, .seed = bits};
    options.limits.max_inflight = max_inflight_;
    options.limits.receive_maximum = 20;
    options.limits.max_packet_size = 4096;
    options.limits.topic_alias_maximum_in = 3;
    options.limits.output_high_water_bytes = 300 + (bits >> 4) * 100U;
    options.limits.output_max_bytes = kOutputMax;
    options.limits.max_queued_messages = 100'000;
    options.back_pressure.slow_receiver_timeout_ms = 100;
    options.back_pressure.publisher_credit_bytes = 1000;
    return options;
  }

  void new_hostile() {
    const unsigned bits = bytes_.next();
    const Version version = version_of(bits);
    const auto loop = static_cast<std::uint16_t>((bits >> 2) % loops_);
    if ((bits & 128U) != 0) {
      hostile_ = &node_.open(loop, version);
    } else {
      codec::Connect connect = session::testing::connect_of(version);
      connect.receive_maximum = static_cast<std::uint16_t>(1 + (bits >> 4 & 3U));
      connect.maximum_packet_size = (bits & 64U) != 0 ? 100 : 10'000;
      hostile_ = &node_.connect(loop, connect);
    }
    hostile_->honest = false;
  }

  Client& honest() { return *honest_[bytes_.next() % kHonest]; }
  Client& anyone() {
    const std::size_t choice = bytes_.next() % (kHonest + 1);
    return choice == kHonest ? *hostile_ : *honest_[choice];
  }

  void one() {
    switch (bytes_.next() % 16) {
      case 0:
      case 1:
        publish(honest());
        break;
      case 2: {
        Client& client = honest();
        const std::size_t filter = bytes_.next() % 3;  // not what the hostile one publishes
        codec::SubscriptionOptions wish;
        wish.qos = static_cast<QoS>(bytes_.next() % 3);
        if (wish.qos == QoS::at_most_once) may_drop_.insert(client.session_id);
        const auto id = client.subscribe(kFilters[filter], wish);
        asked_[{client.session_id, id}] = filter;
        break;
      }
      case 3:
      case 4: {
        Client& client = anyone();
        node_.read(client, bytes_.next() * 4U);
        break;
      }
      case 5:
      case 6: {
        Client& client = anyone();
        node_.take(client, bytes_.next() * 4U);
        break;
      }
      case 7:
      case 8:
        anyone().send_ack();
        break;
      case 9:
        node_.deliver(bytes_.next());
        break;
      case 10:
        node_.tick(bytes_.next());
        break;
      case 11:
        hostile_->to_broker += bytes_.take(bytes_.next());
        break;
      default:
        hostile_packet();
        break;
    }
  }

  void hostile_packet() {
    Client& client = *hostile_;
    codec::Ack ack;
    switch (bytes_.next() % 8) {
      case 0:
      case 1:
        ack.type = static_cast<PacketType>(4 + bytes_.next() % 4);
        ack.packet_id = static_cast<std::uint16_t>(1 + bytes_.next() % 12);
        if (bytes_.next() % 4 == 0) ack.reason = ReasonCode::unspecified_error;
        if (ack.reason != ReasonCode::success && ack.type != PacketType::puback &&
            ack.type != PacketType::pubrec) {
          ack.reason = ReasonCode::packet_identifier_not_found;
        }
        client.write(ack);
        break;
      case 2: {
        const unsigned bits = bytes_.next();
        const auto qos = static_cast<QoS>(bits % 3);
        const std::uint16_t id = qos == QoS::at_most_once
                                     ? std::uint16_t{0}
                                     : static_cast<std::uint16_t>(1 + (bits >> 2) % 4);
        client.to_broker += session::testing::bytes_of(
            Publish{.topic = "hostile/x",
                    .payload = std::string(bytes_.next() * 8U, 'h'),
                    .qos = qos,
                    .packet_id = id,
                    .dup = (bits & 128U) != 0 && qos != QoS::at_most_once},
            client.version);
        break;
      }
      case 3:
        client.subscribe(kFilters[bytes_.next() % 5], {.qos = static_cast<QoS>(bytes_.next() % 3)});
        break;
      case 4:
        client.unsubscribe(kFilters[bytes_.next() % 5]);
        break;
      case 5:
        client.write(codec::Pingreq{});
        break;
      case 6:
        if (bytes_.next() % 4 == 0) {
          client.write(codec::Disconnect{});
        } else {
          client.room = bytes_.next() % 2 == 0 ? 0 : 500;  // deaf, and not
        }
        break;
      default:
        if (node_.clients().size() > 12) break;
        node_.cut(client);
        new_hostile();
        break;
    }
  }

  void publish(Client& client) {
    const unsigned bits = bytes_.next();
    if (client.open.size() >= 20) return;
    const std::uint64_t number = ++last_;
    Sent& sent = sent_[number];
    sent.publisher = client.session_id;
    sent.topic = kTopics[bits & 1U];
    sent.qos = static_cast<QoS>((bits >> 1) % 3);
    for (const auto& [session, filter] : subscribed_) {
      if (filter == 2 || filter == (bits & 1U)) sent.must.insert(session);
    }
    client.write(Publish{
        .topic = sent.topic, .payload = payload_of(number, (bits >> 3) * 20U), .qos = sent.qos});
  }

  void got(Client& client, const Message& message) {
    if (!client.honest || !message.topic.starts_with("hon/est/")) return;
    const std::uint64_t number = std::strtoull(message.payload.c_str(), nullptr, 10);
    const auto found = sent_.find(number);
    if (found == sent_.end() || !message.payload.starts_with(payload_of(number, 0))) return;
    Sent& sent = found->second;
    if (sent.topic != message.topic) fault("another topic");
    if (message.qos > sent.qos) fault("higher QoS");
    if (message.dup) fault("DUP on a live connection");
    if (++sent.got[client.session_id] > 1) fault("twice");
    std::uint64_t& before =
        order_[{client.session_id, sent.publisher, sent.topic, static_cast<int>(message.qos)}];
    if (number <= before) fault("out of order");
    before = number;
  }

  /// QoS 1 and 2 publishes that the client has not finished.
  static std::size_t unfinished(const Client& client) {
    std::size_t count = client.received.size();
    for (const std::string& ack : client.acks) {
      const auto type = static_cast<PacketType>(static_cast<unsigned char>(ack[0]) >> 4);
      if (type == PacketType::puback || type == PacketType::pubcomp) ++count;
    }
    return count;
  }

  void check() {
    for (const Client* client : honest_) {
      if (client->over) fault("an honest client was thrown out");
      if (!client->inbox.fault().empty()) fault("stream: " + client->inbox.fault());
      if (unfinished(*client) > receive_maximum_[client->session_id]) fault("window exceeded");
    }
    for (const auto& client : node_.clients()) {
      const std::size_t waiting = client->session.output().size();
      if (waiting > kOutputMax + 64 * 1024) fault("output unbounded");
      if (!client->over) continue;
      const auto [at, fresh] = left_.try_emplace(client->session_id, waiting);
      if (waiting > at->second) fault("written after the end");
      at->second = waiting;
    }
  }

  void judge() {
    for (const auto& [number, sent] : sent_) {
      if (sent.qos == QoS::at_most_once) continue;  // may be dropped for a slow receiver
      for (const std::uint64_t session : sent.must) {
        if (!sent.got.contains(session) && !may_drop_.contains(session)) fault("lost");
      }
    }
  }

  Bytes& bytes_;
  std::uint16_t loops_ = 1;
  std::uint16_t max_inflight_ = 1;
  Node node_;
  std::vector<Client*> honest_;
  Client* hostile_ = nullptr;
  std::map<std::pair<std::uint64_t, std::uint16_t>, std::size_t> asked_;
  std::set<std::pair<std::uint64_t, std::size_t>> subscribed_;  // session, filter
  std::set<std::uint64_t> may_drop_;  // sessions that were ever granted QoS 0 only
  std::map<std::uint64_t, Sent> sent_;
  std::map<std::uint64_t, std::size_t> receive_maximum_;
  std::map<std::tuple<std::uint64_t, std::uint64_t, std::string, int>, std::uint64_t> order_;
  std::map<std::uint64_t, std::size_t> left_;  // bytes for sessions that are over
  std::uint64_t last_ = 0;
};

}  // namespace
}  // namespace skald::dispatch

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  skald::dispatch::Bytes bytes(data, size);
  skald::dispatch::Script(bytes).run();
  return 0;
}
