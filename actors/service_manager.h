// What a service manager (systemd) is told about the node, by its datagram protocol, sd_notify(3).
//
// Owned by the node's main thread. Without a socket to tell, all of it does nothing: so it runs the
// same by hand and as a service.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace skald::actors {

/// From the environment of the process; tools/ reads it.
struct Supervision {
  std::string socket;             // NOTIFY_SOCKET: a path, or '@' and an abstract name; empty: none
  std::uint64_t watchdog_us = 0;  // WATCHDOG_USEC, when it is for this process; 0: none
};

class ServiceManager {
 public:
  explicit ServiceManager(const Supervision& supervision);
  ~ServiceManager();
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  void ready() { tell("READY=1\nSTATUS=serving"); }
  void reloading();
  void stopping() { tell("STOPPING=1\nSTATUS=stopping"); }
  /// Tells that all is well, when the last time was a third of the watchdog's patience ago.
  void alive();

 private:
  void tell(std::string_view state);

  std::string socket_;
  std::uint64_t every_us_;  // 0: nobody watches
  std::uint64_t told_us_ = 0;
  int fd_ = -1;
};

}  // namespace skald::actors
