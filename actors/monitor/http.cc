#include "actors/monitor/http.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "config/base/assert.h"

namespace skald::actors {

namespace {

const char* reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    default:
      return "Service Unavailable";
  }
}

/// RFC 9112, section 3: method, target and version, each behind one space.
struct RequestLine {
  std::string_view method;
  std::string_view path;
  bool valid = false;
};

RequestLine parse(std::string_view head) {
  RequestLine line;
  const std::string_view text = head.substr(0, head.find("\r\n"));
  const std::size_t first = text.find(' ');
  const std::size_t last = text.rfind(' ');
  if (first == std::string_view::npos || first == last) return line;
  line.method = text.substr(0, first);
  line.path = text.substr(first + 1, last - first - 1);
  line.path = line.path.substr(0, line.path.find('?'));
  line.valid = line.path.starts_with('/') && line.path.find(' ') == std::string_view::npos &&
               text.substr(last + 1).starts_with("HTTP/1.");
  return line;
}

}  // namespace

/// From accept to close. While it answers, what comes is not read any more.
struct AdminHttp::Connection {
  AdminHttp* owner = nullptr;
  std::list<Connection>::iterator place;
  bufferevent* events = nullptr;
  event* deadline = nullptr;
  bool closing = false;  // all was written; the peer's end is awaited

  static void on_read(bufferevent*, void* self) noexcept {
    auto* connection = static_cast<Connection*>(self);
    connection->owner->request(*connection);
  }
  /// All is in the socket. A close with unread input would reset it: the peer closes first.
  static void on_written(bufferevent* events, void* self) noexcept {
    auto* connection = static_cast<Connection*>(self);
    if (std::exchange(connection->closing, true)) return;
    shutdown(bufferevent_getfd(events), SHUT_WR);
    bufferevent_enable(events, EV_READ);
  }
  static void on_end(bufferevent*, short, void* self) noexcept {
    auto* connection = static_cast<Connection*>(self);
    connection->owner->close(*connection);
  }
  static void on_deadline(evutil_socket_t, short, void* self) noexcept {
    auto* connection = static_cast<Connection*>(self);
    if (!connection->closing) ++connection->owner->counters_.timeouts;
    connection->owner->close(*connection);
  }
};

AdminHttp::AdminHttp(event_base* base, int fd, Answer answer)
    : base_(base),
      answer_(std::move(answer)),
      fd_(fd),
      accept_event_(event_new(base, fd, EV_READ | EV_PERSIST, &AdminHttp::on_accept, this)) {
  SKALD_ASSERT(accept_event_ != nullptr);
  tick();
}

AdminHttp::~AdminHttp() {
  while (!connections_.empty()) close(connections_.front());
  event_free(accept_event_);
  ::close(fd_);
}

void AdminHttp::tick() { event_add(accept_event_, nullptr); }

void AdminHttp::on_accept(evutil_socket_t listener, short, void* self) noexcept {
  auto& http = *static_cast<AdminHttp*>(self);
  for (int i = 0; i < kAcceptsAtOnce; ++i) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      http.add(fd);
    } else {
      const bool nobody = errno == EAGAIN || errno == ECONNABORTED || errno == EINTR;
      if (!nobody) event_del(http.accept_event_);  // no descriptor or memory: until the next tick
      return;
    }
  }
}

void AdminHttp::add(int fd) {
  if (connections_.size() == kConnectionsMax) {
    ++counters_.displaced;
    close(connections_.back());
  }
  Connection& connection = connections_.emplace_front();
  connection.owner = this;
  connection.place = connections_.begin();
  connection.events = bufferevent_socket_new(base_, fd, BEV_OPT_CLOSE_ON_FREE);
  connection.deadline = evtimer_new(base_, &Connection::on_deadline, &connection);
  SKALD_ASSERT(connection.events != nullptr && connection.deadline != nullptr);
  evtimer_add(connection.deadline, &kPatience);
  bufferevent_setcb(connection.events, &Connection::on_read, &Connection::on_written,
                    &Connection::on_end, &connection);
  bufferevent_setwatermark(connection.events, EV_READ, 0, kHeadMax);
  bufferevent_enable(connection.events, EV_READ);
}

void AdminHttp::request(Connection& connection) {
  evbuffer* input = bufferevent_get_input(connection.events);
  const std::size_t size = evbuffer_get_length(input);
  if (connection.closing) {
    evbuffer_drain(input, size);
    return;
  }
  const std::string_view head(reinterpret_cast<const char*>(evbuffer_pullup(input, -1)), size);
  const bool whole = head.find("\r\n\r\n") != std::string_view::npos;
  if (!whole && size < kHeadMax) return;
  const RequestLine line = parse(head);
  HttpAnswer answer{400, std::make_shared<const std::string>("no HTTP/1.1 request\n")};
  if (!whole) {
    answer.status = 431;
  } else if (line.valid && line.method != "GET" && line.method != "HEAD") {
    answer = {405, std::make_shared<const std::string>("GET and HEAD only\n")};
  } else if (line.valid) {
    answer = answer_(line.path);
  }
  ++(answer.status == 400 || answer.status == 431 ? counters_.refused : counters_.requests);
  const std::string& text = *answer.text;
  evbuffer* output = bufferevent_get_output(connection.events);
  evbuffer_add_printf(output,
                      "HTTP/1.1 %d %s\r\n"
                      "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                      "Content-Length: %zu\r\n"
                      "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                      "Connection: close\r\n%s\r\n",
                      answer.status, reason_phrase(answer.status), text.size(),
                      answer.status == 405 ? "Allow: GET, HEAD\r\n" : "");
  if (line.method != "HEAD" && !text.empty()) {
    const auto free = [](const void*, std::size_t, void* kept) {
      delete static_cast<std::shared_ptr<const std::string>*>(kept);
    };
    auto kept = std::make_unique<std::shared_ptr<const std::string>>(answer.text);
    evbuffer_add_reference(output, text.data(), text.size(), free, kept.release());
  }
  evbuffer_drain(input, size);
  bufferevent_disable(connection.events, EV_READ);
}

void AdminHttp::close(Connection& connection) {
  event_free(connection.deadline);
  bufferevent_free(connection.events);
  connections_.erase(connection.place);
}

}  // namespace skald::actors
