// /metrics, /livez and /readyz over HTTP/1.1, for machines of the operator.
//
// Lives on the monitor's loop, never on one of clients, and is owned by the monitor. Whoever
// connects may be slow or hostile: one request a connection, GET or HEAD; a head of kHeadMax bytes
// and no body; kConnectionsMax at a time, one more ends the oldest, so that who asks at once is
// answered whatever crowd there is; kPatience for all of it from accept to the last byte taken,
// however busily it trickles. A few are accepted a round: a flood leaves the loop its other work.
#pragma once

#include <event2/event.h>

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

namespace skald::actors {

struct HttpAnswer {
  int status = 200;
  std::shared_ptr<const std::string> text;
};

class AdminHttp {
 public:
  static constexpr std::size_t kConnectionsMax = 32;
  static constexpr std::size_t kHeadMax = 8192;
  static constexpr int kAcceptsAtOnce = 8;
  static constexpr timeval kPatience{10, 0};

  /// The answer to a path.
  using Answer = std::function<HttpAnswer(std::string_view path)>;
  struct Counters {
    std::uint64_t requests = 0;
    std::uint64_t refused = 0;  // no request that is understood
    std::uint64_t timeouts = 0;
    std::uint64_t displaced = 0;  // by one more than kConnectionsMax
  };

  /// Takes over `fd`, which listens and does not block.
  AdminHttp(event_base* base, int fd, Answer answer);
  ~AdminHttp();
  AdminHttp(const AdminHttp&) = delete;
  AdminHttp& operator=(const AdminHttp&) = delete;

  /// Once a second: listens again after descriptors had run out.
  void tick();
  const Counters& counters() const { return counters_; }
  std::size_t connections() const { return connections_.size(); }

 private:
  struct Connection;

  static void on_accept(evutil_socket_t fd, short what, void* self) noexcept;
  void add(int fd);
  void request(Connection& connection);
  void close(Connection& connection);

  event_base* const base_;
  const Answer answer_;
  const int fd_;
  event* accept_event_ = nullptr;
  std::list<Connection> connections_;  // the newest first
  Counters counters_;
};

}  // namespace skald::actors
