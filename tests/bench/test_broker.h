// A trivial broker that is right, or wrong in exactly the way it is told: what the checks of
// `skald bench` are tested against. One thread, poll(), sessions that live with their connection.
//
// It speaks through mqtt/codec, which the generator does not use, so that the two check each other.
// Filters are exact, or end in '#', or are "$share/<group>/" before one of these.
#pragma once

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "mqtt/codec/decoder.h"
#include "mqtt/codec/packets.h"

namespace skald::bench {

/// What goes wrong with every n-th message of each publisher; 0: never. The first to be hit is
/// message n/2, so that with a count that n divides the last message never is.
struct Faults {
  std::uint32_t drop = 0;          // acknowledged, not delivered
  std::uint32_t duplicate = 0;     // delivered twice
  std::uint32_t swap = 0;          // delivered after the one that follows
  std::uint32_t corrupt = 0;       // one byte of the payload, at corrupt_at, is changed
  std::uint32_t corrupt_at = 0;    // offset in the payload
  std::uint32_t mix_tails = 0;     // the last bytes are those of the message before
  std::uint32_t retopic = 0;       // delivered under another topic
  std::uint32_t misroute = 0;      // delivered to the next subscriber instead
  std::uint32_t overroute = 0;     // delivered to the next subscriber, or group member, as well
  std::uint32_t upgrade = 0;       // delivered with QoS 1 in place of 0
  std::uint32_t withhold_ack = 0;  // delivered, not acknowledged
  std::uint32_t stray_ack = 0;     // an ack for a packet id that is not in flight comes as well
  std::uint32_t refuse = 0;        // v5: acknowledged with 0x97, not delivered
  std::uint32_t hang_up = 0;       // the publisher's connection is closed in place of all else
  std::uint32_t garbage = 0;       // a reserved packet follows the ack
  std::uint8_t connack = 0;        // reason in every CONNACK
  std::uint8_t suback = 0;         // reason in every SUBACK, instead of the QoS granted
};

class TestBroker {
 public:
  /// Listens on a port of the system's choice on 127.0.0.1, or on `port`, and serves.
  explicit TestBroker(const Faults& faults, std::uint16_t port = 0);
  /// Stops serving.
  ~TestBroker();
  TestBroker(const TestBroker&) = delete;
  TestBroker& operator=(const TestBroker&) = delete;

  std::uint16_t port() const { return port_; }
  /// Blocks until a client has subscribed.
  void wait_for_subscription() const { subscribed_.wait(false); }

 private:
  struct Client {
    int fd = -1;
    codec::Version version = codec::Version::v311;
    std::string in;
    std::string out;
    std::string held;          // a delivery that waits for the next one
    std::string last_payload;  // of what it published
    std::uint64_t published = 0;
    std::uint16_t next_id = 0;
    std::string alias_topic;  // of alias 1, the only one allowed
  };
  struct Subscription {
    Client* client = nullptr;
    std::string group;  // empty: not shared
    std::string filter;
    codec::QoS qos = codec::QoS::at_most_once;
  };
  /// Who gets a topic: each of `single`, and of each group one in turn.
  struct Route {
    std::vector<const Subscription*> single;
    std::vector<std::vector<const Subscription*>> groups;
    std::vector<std::size_t> turns;
  };

  void serve();
  void accept_all();
  void read(Client& client);
  void handle(Client& client, const codec::Frame& frame);
  void handle_control(Client& client, const codec::Frame& frame);
  void on_publish(Client& client, const codec::Frame& frame);
  void acknowledge(Client& client, const codec::PublishView& publish, bool refused);
  void deliver(Client& client, codec::PublishView publish, Route& route);
  void send_publish(const Subscription& to, const codec::PublishView& publish, bool hold);
  Route& route_of(std::string_view topic);
  const Subscription& neighbour(const Subscription& of) const;
  void flush(Client& client);
  void hang_up(Client& client);
  void forget_closed();

  const Faults faults_;
  int listen_fd_ = -1;
  int wake_fd_ = -1;
  std::uint16_t port_ = 0;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<Subscription>> subscriptions_;
  std::map<std::string, Route, std::less<>> routes_;  // made on demand, dropped on subscribe
  std::atomic<bool> subscribed_{false};
  std::thread thread_;
};

}  // namespace skald::bench
