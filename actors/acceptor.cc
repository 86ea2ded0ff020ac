#include "actors/acceptor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <caf/send.hpp>
#include <cerrno>
#include <cstring>

#include "config/base/assert.h"

namespace skald::actors {

namespace {

struct Address {
  std::string text;
  std::uint16_t port = 0;
  bool loopback = false;
};

Address describe(const sockaddr_storage& from) {
  Address address;
  char text[INET6_ADDRSTRLEN] = "?";
  if (from.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(from);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    address.port = ntohs(v4.sin_port);
    address.loopback = (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  } else if (from.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    address.port = ntohs(v6.sin6_port);
    const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
    address.loopback =
        mapped ? v6.sin6_addr.s6_addr[12] == 127 : IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
  }
  address.text = text;
  return address;
}

Error failure(const config::Listener& listener, const char* what) {
  return {"cannot " + std::string(what) + " " + listener.bind + ":" +
          std::to_string(listener.port) + ": " + std::strerror(errno)};
}

}  // namespace

Result<ListeningSocket> listen_on(const config::Listener& listener) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(listener.port);
  if (getaddrinfo(listener.bind.c_str(), port.c_str(), &hints, &found) != 0) {
    return Error{"not a numeric address to listen on: " + listener.bind};
  }
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    freeaddrinfo(found);
    return failure(listener, "make a socket for");
  }
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const int bound = bind(fd, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  if (bound != 0 || listen(fd, static_cast<int>(listener.backlog)) != 0) {
    const Error error = failure(listener, "listen on");
    close(fd);
    return error;
  }
  sockaddr_storage actual{};
  socklen_t size = sizeof actual;
  getsockname(fd, reinterpret_cast<sockaddr*>(&actual), &size);
  const Address address = describe(actual);
  return ListeningSocket{fd, address.text, address.port};
}

Acceptor::Acceptor(caf::actor_config& config, NodeState& node, std::vector<ListeningSocket> sockets)
    : Pinned(config), node_(node) {
  for (ListeningSocket& socket : sockets) listening_.push_back({.socket = std::move(socket)});
}

caf::behavior Acceptor::make_behavior() {
  for (Listening& to : listening_) {
    to.accept_event = event_new(loop().base(), to.socket.fd, EV_READ | EV_PERSIST,
                                &Acceptor::on_acceptable, this);
    SKALD_ASSERT(to.accept_event != nullptr && event_add(to.accept_event, nullptr) == 0);
  }
  return {[this](Stop) {
    close_all();
    return Stopped{"acceptor"};
  }};
}

void Acceptor::close_all() {
  for (Listening& to : listening_) {
    if (to.accept_event != nullptr) event_free(to.accept_event);
    close(to.socket.fd);
  }
  listening_.clear();
  if (resume_event_ != nullptr) event_free(std::exchange(resume_event_, nullptr));
}

void Acceptor::on_acceptable(evutil_socket_t fd, short, void* self) noexcept {
  auto* acceptor = static_cast<Acceptor*>(self);
  acceptor->enter();
  acceptor->accept_some(fd);
}

void Acceptor::accept_some(int fd) {
  std::vector<AcceptedSockets> by_loop(node_.post_offices.size());
  for (int i = 0; i < kAcceptsPerWake; ++i) {
    if (!accept_one(fd, by_loop)) break;
  }
  for (std::size_t to = 0; to < by_loop.size(); ++to) {
    if (!by_loop[to].sockets.empty())
      caf::anon_send(node_.post_offices[to], std::move(by_loop[to]));
  }
}

bool Acceptor::accept_one(int fd, std::vector<AcceptedSockets>& by_loop) {
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  const int accepted =
      accept4(fd, reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (accepted < 0) {
    const bool exhausted =
        errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
    if (exhausted) pause_accepting();
    return false;
  }
  const auto emptiest = std::min_element(node_.connections.begin(), node_.connections.end(),
                                         [](const auto& a, const auto& b) { return a < b; });
  std::uint64_t total = 0;
  for (const auto& count : node_.connections) total += count.load(std::memory_order_relaxed);
  if (total >= node_.connections_max) {
    node_.connections_refused.fetch_add(1, std::memory_order_relaxed);
    close(accepted);
    return true;
  }
  const int on = 1;
  setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const Address address = describe(from);
  const auto local = std::find_if(listening_.begin(), listening_.end(),
                                  [fd](const Listening& to) { return to.socket.fd == fd; });
  emptiest->fetch_add(1, std::memory_order_relaxed);
  by_loop[static_cast<std::size_t>(emptiest - node_.connections.begin())].sockets.push_back(
      {.fd = accepted,
       .address = address.text,
       .port = address.port,
       .local_port = local->socket.port,
       .loopback = address.loopback});
  return true;
}

/// Out of file descriptors or memory: a level-triggered listener would spin. Try again in a second.
void Acceptor::pause_accepting() {
  spdlog::warn("cannot accept connections: {}; trying again in 1 s", std::strerror(errno));
  for (Listening& to : listening_) event_del(to.accept_event);
  const auto resume = [](evutil_socket_t, short, void* self) {
    for (Listening& to : static_cast<Acceptor*>(self)->listening_) {
      event_add(to.accept_event, nullptr);
    }
  };
  if (resume_event_ == nullptr) resume_event_ = evtimer_new(loop().base(), resume, this);
  const timeval delay{1, 0};
  evtimer_add(resume_event_, &delay);
}

}  // namespace skald::actors
