#include "actors/monitor/http.h"

#include <event2/buffer.h>

#include <string_view>
#include <utility>

#include "config/base/assert.h"

namespace skald::actors {

namespace {

constexpr int kTimeoutSeconds = 10;
constexpr int kHeadersMax = 8192;

}  // namespace

AdminHttp::AdminHttp(event_base* base, int fd, Answer answer)
    : answer_(std::move(answer)), http_(evhttp_new(base)) {
  SKALD_ASSERT(http_ != nullptr);
  evhttp_set_timeout(http_, kTimeoutSeconds);
  evhttp_set_max_headers_size(http_, kHeadersMax);
  evhttp_set_max_body_size(http_, 0);
  evhttp_set_allowed_methods(http_, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
  evhttp_set_gencb(http_, &AdminHttp::on_request, this);
  SKALD_ASSERT(evhttp_accept_socket(http_, fd) == 0);
}

AdminHttp::~AdminHttp() { evhttp_free(http_); }

void AdminHttp::on_request(evhttp_request* request, void* self) noexcept {
  const char* path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
  const HttpAnswer answer = static_cast<AdminHttp*>(self)->answer_(path == nullptr ? "" : path);
  evkeyvalq* headers = evhttp_request_get_output_headers(request);
  evhttp_add_header(headers, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  evhttp_add_header(headers, "Cache-Control", "no-store");
  evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
  evbuffer* body = evbuffer_new();
  SKALD_ASSERT(body != nullptr);
  evbuffer_add(body, answer.text.data(), answer.text.size());
  evhttp_send_reply(request, answer.status, nullptr, body);
  evbuffer_free(body);
}

}  // namespace skald::actors
