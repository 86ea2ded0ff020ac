// How the clients of a worker come, keep alive and go.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tools/bench/process_stats.h"
#include "tools/bench/worker.h"

namespace skald::bench {
namespace {

// Small, so that what is on its way stays a fraction of a second's worth even for a slow broker.
constexpr int kPublisherSendBuffer = 64 * 1024;

void set_option(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof value);
}

}  // namespace

using codec::PacketType;

void Worker::open_more() {
  const double share = options_.connect_rate / options_.threads;
  while (next_open_ < clients_.size() && opening_ < options_.connect_burst) {
    const double seconds = static_cast<double>(now_ns_ - first_open_ns_) * 1e-9;
    if (share > 0 && static_cast<double>(next_open_) > seconds * share) return;
    open(clients_[next_open_++]);
  }
}

void Worker::open(Client& client) {
  const sockaddr_storage& broker = addresses_.broker;
  client.fd = socket(broker.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  client.state = State::opening;
  client.opened_ns = now_ns();
  ++opening_;
  if (client.fd < 0) {
    fail(client, std::string("socket: ") + std::strerror(errno));
    return;
  }
  if (options_.no_delay) set_option(client.fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (client.publisher != nullptr) {
    set_option(client.fd, SOL_SOCKET, SO_SNDBUF, kPublisherSendBuffer);
  }
  if (!addresses_.sources.empty()) {
    const auto number = static_cast<std::size_t>(&client - clients_.data());
    const sockaddr_storage& source = addresses_.sources[number % addresses_.sources.size()];
    set_option(client.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (bind(client.fd, reinterpret_cast<const sockaddr*>(&source), sizeof(sockaddr_in)) != 0) {
      fail(client, std::string("bind to a source address: ") + std::strerror(errno));
      return;
    }
  }
  const auto* address = reinterpret_cast<const sockaddr*>(&broker);
  if (connect(client.fd, address, addresses_.broker_size) != 0 && errno != EINPROGRESS) {
    fail(client, std::string("connect: ") + std::strerror(errno));
    return;
  }
  epoll_event event{};
  event.events = static_cast<std::uint32_t>(EPOLLIN | EPOLLOUT | EPOLLRDHUP) |
                 static_cast<std::uint32_t>(EPOLLET);
  event.data.ptr = &client;
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, client.fd, &event) != 0) {
    fail(client, std::string("epoll_ctl: ") + std::strerror(errno));
  }
}

void Worker::on_opened(Client& client) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(client.fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    fail(client, std::string("connect: ") + std::strerror(error));
    return;
  }
  client.state = State::connecting;
  ConnectFields fields;
  fields.version = options_.version;
  fields.client_id = client.plan->id;
  fields.keep_alive_s = options_.keep_alive_s;
  fields.clean_start = options_.clean_start;
  fields.session_expiry_s = options_.session_expiry_s;
  fields.topic_alias_maximum =
      client.receiver != nullptr ? options_.topic_aliases : std::uint16_t{0};
  put_connect(fields, client.out);
  send_to(client);
}

void Worker::on_connack(Client& client, std::string_view body) {
  const std::optional<ConnackFields> connack = read_connack(options_.version, body);
  if (!connack || client.state != State::connecting) {
    ++totals_[kProtocolErrors];
    fail(client, "malformed or unexpected CONNACK");
    return;
  }
  if (connack->reason != 0) {
    fail(client, "CONNACK with reason " + std::to_string(connack->reason));
    return;
  }
  ++totals_[kConnected];
  connect_latency_.record(now_ns_ - client.opened_ns);
  if (client.publisher != nullptr) {
    client.publisher->limit_window(connack->receive_maximum);
    if (options_.topic_aliases != 0 && connack->topic_alias_maximum != 0) {
      client.publisher->use_alias(plan_.topics[client.plan->publisher]);
    }
  }
  if (client.plan->filter.empty()) {
    become_ready(client);
    return;
  }
  client.state = State::subscribing;
  put_subscribe(options_.version, client.plan->filter, options_.subscribe_qos, client.out);
}

void Worker::on_suback(Client& client, std::string_view body) {
  const std::optional<std::uint8_t> reason = read_suback(options_.version, body);
  if (!reason || client.state != State::subscribing) {
    ++totals_[kProtocolErrors];
    fail(client, "malformed or unexpected SUBACK");
    return;
  }
  if (*reason >= 0x80) {
    fail(client, "SUBACK with reason " + std::to_string(*reason) + " for " + client.plan->filter);
    return;
  }
  become_ready(client);
}

void Worker::become_ready(Client& client) {
  client.state = State::ready;
  --opening_;
  ++totals_[kReady];
  totals_[kOpenReadyNs] = static_cast<std::uint64_t>(now_ns_);
}

void Worker::on_other(Client& client, std::uint8_t first, std::string_view body) {
  const auto type = static_cast<PacketType>(first >> 4);
  switch (type) {
    case PacketType::puback:
    case PacketType::pubrec:
    case PacketType::pubrel:
    case PacketType::pubcomp:
      on_ack(client, type, body);
      return;
    case PacketType::connack:
      on_connack(client, body);
      return;
    case PacketType::suback:
      on_suback(client, body);
      return;
    case PacketType::pingresp:
      return;
    case PacketType::disconnect: {
      const int reason = body.empty() ? 0 : static_cast<std::uint8_t>(body[0]);
      fail(client, "DISCONNECT from the broker with reason " + std::to_string(reason));
      return;
    }
    default:
      ++totals_[kProtocolErrors];
      fail(client, "a packet of type " + std::to_string(first >> 4) + " from the broker");
      return;
  }
}

void Worker::ping_idle() {
  const std::int64_t quarter_ns = std::int64_t{options_.keep_alive_s} * 250'000'000;
  next_ping_ns_ = now_ns_ + quarter_ns;
  for (Client& client : clients_) {
    if (client.state != State::ready || now_ns_ - client.last_sent_ns < 2 * quarter_ns) continue;
    put_pingreq(client.out);
    list_sendable(client);
  }
}

void Worker::fail(Client& client, const std::string& why) {
  control_.tell_error(client.plan->id + ": " + why);
  if (client.state == State::ready) {
    ++totals_[kClosed];
  } else if (client.state != State::closed) {
    ++totals_[kRefused];
    --opening_;
  }
  shut(client);
}

void Worker::shut(Client& client) {
  if (client.fd >= 0) close(client.fd);
  client.fd = -1;
  client.state = State::closed;
  client.writable = false;
}

}  // namespace skald::bench
