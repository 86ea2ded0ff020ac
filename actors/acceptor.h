// Listens, and hands each accepted socket to the loop with the fewest connections.
//
// One acceptor for all listeners, on the first loop. It does not share its port (SO_REUSEPORT would
// let a second start of the program take half of the clients unseen). At the limit of connections
// it closes what it accepts at once, and counts it.
#pragma once

#include <event2/event.h>

#include <cstdint>
#include <string>
#include <vector>

#include "actors/loop/pinned.h"
#include "actors/messages.h"
#include "actors/node_state.h"
#include "config/base/result.h"

namespace skald::actors {

/// A socket that listens, not yet served.
struct ListeningSocket {
  int fd = -1;
  std::string address;
  std::uint16_t port = 0;  // the one that was bound, also when 0 was asked for
};

/// Binds and listens. The error names the address.
Result<ListeningSocket> listen_on(const config::Listener& listener);

class Acceptor final : public Pinned {
 public:
  Acceptor(caf::actor_config& config, NodeState& node, std::vector<ListeningSocket> sockets);

  const char* name() const override { return "acceptor"; }
  caf::behavior make_behavior() override;
  void on_exit() override { close_all(); }

 private:
  static constexpr int kAcceptsPerWake = 64;

  static void on_acceptable(evutil_socket_t fd, short what, void* self) noexcept;
  void accept_some(int fd);
  bool accept_one(int fd, std::vector<AcceptedSockets>& by_loop);
  void pause_accepting();
  void close_all();

  struct Listening {
    ListeningSocket socket;
    event* accept_event = nullptr;
  };

  NodeState& node_;
  std::vector<Listening> listening_;
  event* resume_event_ = nullptr;
};

}  // namespace skald::actors
