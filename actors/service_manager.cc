#include "actors/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "actors/clock.h"

namespace skald::actors {

ServiceManager::ServiceManager(const Supervision& supervision)
    : socket_(supervision.socket), every_us_(supervision.watchdog_us / 3) {
  if (socket_.size() < 2 || socket_.size() >= sizeof(sockaddr_un::sun_path)) return;
  if (socket_.front() != '/' && socket_.front() != '@') return;
  fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

ServiceManager::~ServiceManager() {
  if (fd_ >= 0) close(fd_);
}

void ServiceManager::reloading() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);  // the clock that the protocol names
  const std::uint64_t us = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
                           static_cast<std::uint64_t>(now.tv_nsec) / 1000;
  tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(us));
}

void ServiceManager::alive() {
  if (every_us_ == 0) return;
  const std::uint64_t now_us = Clock::monotonic_us();
  if (now_us - told_us_ < every_us_) return;
  told_us_ = now_us;
  tell("WATCHDOG=1");
}

/// Lost when nobody listens: a node does not depend on who watches it.
void ServiceManager::tell(std::string_view state) {
  if (fd_ < 0) return;
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, socket_.data(), socket_.size());
  if (to.sun_path[0] == '@') to.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  sendto(fd_, state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
         reinterpret_cast<const sockaddr*>(&to), size);
}

}  // namespace skald::actors
