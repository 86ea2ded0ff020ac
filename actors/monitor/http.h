// /metrics, /livez and /readyz over HTTP, for machines of the operator.
//
// Lives on the monitor's loop, never on one of clients, and is owned by the monitor. Only GET and
// HEAD; requests are bounded in size and time; libevent closes what is idle.
#pragma once

#include <event2/event.h>
#include <event2/http.h>

#include <functional>
#include <string>

namespace skald::actors {

struct HttpAnswer {
  int status = 200;
  std::string text;
};

class AdminHttp {
 public:
  /// The answer to a path; status 404: there is no such.
  using Answer = std::function<HttpAnswer(std::string_view path)>;

  /// Takes over `fd`, which listens and does not block.
  AdminHttp(event_base* base, int fd, Answer answer);
  ~AdminHttp();
  AdminHttp(const AdminHttp&) = delete;
  AdminHttp& operator=(const AdminHttp&) = delete;

 private:
  static void on_request(evhttp_request* request, void* self) noexcept;

  Answer answer_;
  evhttp* http_ = nullptr;
};

}  // namespace skald::actors
