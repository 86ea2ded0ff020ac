#include "tests/bench/test_broker.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "config/base/assert.h"
#include "mqtt/codec/encoder.h"

namespace skald::bench {
namespace {

using codec::PacketType;
using codec::QoS;
using codec::ReasonCode;

constexpr std::size_t kReadBytes = 128 * 1024;

bool matches(std::string_view filter, std::string_view topic) {
  if (filter.ends_with('#')) return topic.starts_with(filter.substr(0, filter.size() - 1));
  return filter == topic;
}

}  // namespace

TestBroker::TestBroker(const Faults& faults, std::uint16_t port) : faults_(faults) {
  listen_fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listen_fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  socklen_t size = sizeof address;
  SKALD_ASSERT(bind(listen_fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
  SKALD_ASSERT(listen(listen_fd_, 1024) == 0);
  getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  wake_fd_ = eventfd(0, EFD_CLOEXEC);
  thread_ = std::thread(&TestBroker::serve, this);
}

TestBroker::~TestBroker() {
  const std::uint64_t one = 1;
  SKALD_ASSERT(write(wake_fd_, &one, sizeof one) == sizeof one);
  thread_.join();
  for (const auto& client : clients_) {
    if (client->fd >= 0) close(client->fd);
  }
  close(wake_fd_);
  close(listen_fd_);
}

void TestBroker::serve() {
  std::vector<pollfd> polled;
  for (;;) {
    polled.clear();
    polled.push_back({wake_fd_, POLLIN, 0});
    polled.push_back({listen_fd_, POLLIN, 0});
    for (const auto& client : clients_) {
      // While a client does not read, neither is anyone read who may send to it.
      polled.push_back(
          {client->fd, static_cast<short>(client->out.empty() ? POLLIN : POLLIN | POLLOUT), 0});
    }
    if (poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) return;
    if (polled[0].revents != 0) return;
    const std::size_t known = clients_.size();
    if (polled[1].revents != 0) accept_all();
    for (std::size_t i = 0; i < known; ++i) {
      Client& client = *clients_[i];
      const short events = polled[i + 2].revents;
      if (client.fd >= 0 && (events & ~POLLOUT) != 0) read(client);
    }
    for (const auto& client : clients_) flush(*client);
    forget_closed();
  }
}

void TestBroker::forget_closed() {
  const auto closed = [](const auto& client) { return client->fd < 0; };
  if (std::none_of(clients_.begin(), clients_.end(), closed)) return;
  routes_.clear();
  std::erase_if(subscriptions_, [](const auto& one) { return one->client->fd < 0; });
  std::erase_if(clients_, closed);
}

void TestBroker::accept_all() {
  for (;;) {
    const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    clients_.push_back(std::make_unique<Client>());
    clients_.back()->fd = fd;
  }
}

void TestBroker::read(Client& client) {
  const std::size_t before = client.in.size();
  client.in.resize(before + kReadBytes);
  const ssize_t got = recv(client.fd, client.in.data() + before, kReadBytes, 0);
  client.in.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  if (got == 0 || (got < 0 && errno != EAGAIN)) {
    hang_up(client);
    return;
  }
  const std::string_view in = client.in;
  std::size_t used = 0;
  while (client.fd >= 0) {
    const codec::FrameResult next = codec::next_frame(in.substr(used), codec::kMaxVarint);
    if (next.status != codec::FrameStatus::complete) {
      SKALD_ASSERT(next.status == codec::FrameStatus::need_more);
      break;
    }
    handle(client, next.frame);
    used += next.frame.bytes.size();
  }
  client.in.erase(0, used);
}

void TestBroker::handle(Client& client, const codec::Frame& frame) {
  if (frame.type() == PacketType::publish) {
    on_publish(client, frame);
  } else {
    handle_control(client, frame);
  }
}

void TestBroker::handle_control(Client& client, const codec::Frame& frame) {
  const auto decoded = codec::decode_control(frame, client.version);
  const auto* packet = std::get_if<codec::ControlPacket>(&decoded);
  SKALD_ASSERT(packet != nullptr);  // the generator sends what is right
  if (const auto* connect = std::get_if<codec::Connect>(packet)) {
    client.version = connect->version;
    codec::Connack connack;
    connack.reason = static_cast<ReasonCode>(faults_.connack);
    if (client.version == codec::Version::v5) connack.topic_alias_maximum = 1;
    codec::encode(connack, client.version, client.out);
  } else if (const auto* subscribe = std::get_if<codec::Subscribe>(packet)) {
    codec::Suback suback;
    suback.packet_id = subscribe->packet_id;
    for (const codec::Subscribe::Entry& entry : subscribe->entries) {
      auto subscription = std::make_unique<Subscription>();
      subscription->client = &client;
      subscription->filter = entry.filter;
      subscription->qos = entry.options.qos;
      if (entry.filter.starts_with("$share/")) {
        const std::size_t slash = entry.filter.find('/', 7);
        subscription->group = entry.filter.substr(7, slash - 7);
        subscription->filter = entry.filter.substr(slash + 1);
      }
      subscriptions_.push_back(std::move(subscription));
      suback.reasons.push_back(static_cast<ReasonCode>(
          faults_.suback != 0 ? faults_.suback : static_cast<std::uint8_t>(entry.options.qos)));
    }
    routes_.clear();
    codec::encode(suback, client.version, client.out);
    subscribed_.store(true);
    subscribed_.notify_all();
  } else if (const auto* ack = std::get_if<codec::Ack>(packet)) {
    if (ack->type == PacketType::pubrec) {
      codec::encode_plain_ack(PacketType::pubrel, ack->packet_id, client.out);
    } else if (ack->type == PacketType::pubrel) {
      codec::encode_plain_ack(PacketType::pubcomp, ack->packet_id, client.out);
    }
  } else if (std::holds_alternative<codec::Pingreq>(*packet)) {
    codec::encode(codec::Pingresp{}, client.out);
  } else if (std::holds_alternative<codec::Disconnect>(*packet)) {
    hang_up(client);
  }
}

void TestBroker::on_publish(Client& client, const codec::Frame& frame) {
  codec::PublishView publish;
  codec::DecodeError error;
  std::string scratch;
  SKALD_ASSERT(codec::decode_publish(frame, client.version, publish, scratch, error));
  if (publish.topic_alias != 0 && !publish.topic.empty()) client.alias_topic = publish.topic;
  if (publish.topic.empty()) publish.topic = client.alias_topic;
  const std::uint64_t number = client.published++;
  const auto hit = [number](std::uint32_t every) {
    return every != 0 && number % every == every / 2;
  };
  if (hit(faults_.hang_up)) {
    hang_up(client);
    return;
  }
  const bool refused = hit(faults_.refuse);
  if (!hit(faults_.withhold_ack)) acknowledge(client, publish, refused);
  if (hit(faults_.stray_ack)) codec::encode_plain_ack(PacketType::puback, 60000, client.out);
  if (hit(faults_.garbage)) client.out.append("\xF0\x05", 2).append("hello");
  if (refused || hit(faults_.drop)) return;
  std::string payload(publish.payload);
  if (hit(faults_.corrupt)) payload[faults_.corrupt_at] ^= 0x40;
  if (hit(faults_.mix_tails)) {
    const std::size_t tail = payload.size() / 4;
    payload.replace(payload.size() - tail, tail, client.last_payload, payload.size() - tail, tail);
  }
  client.last_payload = publish.payload;
  publish.payload = payload;
  deliver(client, publish, route_of(publish.topic));
}

void TestBroker::acknowledge(Client& client, const codec::PublishView& publish, bool refused) {
  if (publish.qos == QoS::at_most_once) return;
  codec::Ack ack;
  ack.type = publish.qos == QoS::at_least_once ? PacketType::puback : PacketType::pubrec;
  ack.packet_id = publish.packet_id;
  if (refused) ack.reason = ReasonCode::quota_exceeded;
  codec::encode(ack, client.version, client.out);
}

void TestBroker::deliver(Client& client, codec::PublishView publish, Route& route) {
  const std::uint64_t number = client.published - 1;
  const auto hit = [number](std::uint32_t every) {
    return every != 0 && number % every == every / 2;
  };
  const std::string other_topic = std::string(publish.topic) + "x";
  if (hit(faults_.retopic)) publish.topic = other_topic;
  if (hit(faults_.upgrade)) publish.qos = QoS::at_least_once;
  std::vector<const Subscription*> to = route.single;
  for (std::size_t i = 0; i < route.groups.size(); ++i) {
    to.push_back(route.groups[i][route.turns[i]++ % route.groups[i].size()]);
  }
  for (const Subscription* subscription : to) {
    const bool elsewhere = hit(faults_.misroute);
    const Subscription& first = elsewhere ? neighbour(*subscription) : *subscription;
    send_publish(first, publish, hit(faults_.swap));
    if (hit(faults_.duplicate)) send_publish(first, publish, false);
    if (hit(faults_.overroute)) send_publish(neighbour(*subscription), publish, false);
  }
}

void TestBroker::send_publish(const Subscription& to, const codec::PublishView& publish,
                              bool hold) {
  Client& client = *to.client;
  if (client.fd < 0) return;
  codec::PublishHead head;
  head.topic = publish.topic;
  head.qos = faults_.upgrade != 0 ? publish.qos : std::min(publish.qos, to.qos);
  if (head.qos != QoS::at_most_once) {
    client.next_id = client.next_id == 65535 ? 1 : static_cast<std::uint16_t>(client.next_id + 1);
    head.packet_id = client.next_id;
  }
  std::string& out = hold ? client.held : client.out;
  codec::encode_publish_head(head, publish.payload.size(), client.version, out);
  out.append(publish.payload);
  if (hold) return;
  client.out += client.held;
  client.held.clear();
}

TestBroker::Route& TestBroker::route_of(std::string_view topic) {
  const auto known = routes_.find(topic);
  if (known != routes_.end()) return known->second;
  Route& route = routes_[std::string(topic)];
  std::map<std::string, std::vector<const Subscription*>> groups;
  for (const auto& subscription : subscriptions_) {
    if (!matches(subscription->filter, topic)) continue;
    if (subscription->group.empty()) {
      route.single.push_back(subscription.get());
    } else {
      groups[subscription->group].push_back(subscription.get());
    }
  }
  for (auto& [name, members] : groups) route.groups.push_back(std::move(members));
  route.turns.resize(route.groups.size());
  return route;
}

const TestBroker::Subscription& TestBroker::neighbour(const Subscription& of) const {
  const auto at = std::find_if(subscriptions_.begin(), subscriptions_.end(),
                               [&of](const auto& one) { return one.get() == &of; });
  const auto next = at + 1 == subscriptions_.end() ? subscriptions_.begin() : at + 1;
  return **next;
}

void TestBroker::flush(Client& client) {
  if (client.fd < 0 || client.out.empty()) return;
  const ssize_t sent =
      send(client.fd, client.out.data(), client.out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent > 0) client.out.erase(0, static_cast<std::size_t>(sent));
  if (sent < 0 && errno != EAGAIN) hang_up(client);
}

void TestBroker::hang_up(Client& client) {
  if (client.fd >= 0) close(client.fd);
  client.fd = -1;
}

}  // namespace skald::bench
