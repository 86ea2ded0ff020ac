#include "actors/session_actor.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <caf/send.hpp>
#include <cerrno>
#include <cstring>

#include "actors/post_office.h"
#include "config/base/assert.h"

namespace skald::actors {

using session::End;
using session::Session;

namespace {

/// How long a refused client may take to read why, and an ended one to take its last bytes.
constexpr std::uint64_t kLingerMs = 2000;
/// What a client may send that has to wait, before its socket is not read any more.
constexpr std::size_t kAsideMax = 64 * 1024;
constexpr std::size_t kPiecesMax = 64;

/// Why a CONNECT that the authority refused is over.
End end_of(codec::ReasonCode reason) {
  switch (reason) {
    case codec::ReasonCode::bad_user_name_or_password:
      return End::bad_credentials;
    case codec::ReasonCode::server_busy:
    case codec::ReasonCode::server_unavailable:
      return End::server_busy;
    case codec::ReasonCode::quota_exceeded:
      return End::quota;
    case codec::ReasonCode::unsupported_protocol_version:
    case codec::ReasonCode::qos_not_supported:
    case codec::ReasonCode::retain_not_supported:
      return End::protocol_error;
    default:
      return End::not_authorized;
  }
}

/// As many of the pieces, the last one shortened, as may be sent at once; how many are left.
std::size_t cut_off(session::Output::Piece* pieces, std::size_t count, std::uint64_t rate) {
  std::size_t left = Pace::at_once(PostOffice::kReadSize, rate);
  for (std::size_t i = 0; i < count; ++i) {
    if (pieces[i].size < left) {
      left -= pieces[i].size;
      continue;
    }
    pieces[i].size = left;
    return i + 1;
  }
  return count;
}

}  // namespace

SessionActor::SessionActor(caf::actor_config& config, PostOffice& office, Accepted accepted)
    : LightActor(config),
      office_(office),
      session_(office.workspace()),
      accepted_(std::move(accepted)) {
  session_.shell = this;
  timer.session = this;
}

void SessionActor::on_exit_message(const caf::exit_msg&) {
  enter();
  if (phase_ == Phase::open) {
    close(codec::ReasonCode::administrative_action, End::administrative);
  }
}

void SessionActor::start() {
  enter();
  self_ = caf::strong_actor_ptr{ctrl()};
  event_assign(&read_event_, loop().base(), accepted_.fd, EV_READ | EV_PERSIST,
               &SessionActor::on_readable, this);
  SKALD_ASSERT(event_add(&read_event_, nullptr) == 0);
  office_.wheel().add(timer, office_.now_ms() + office_.node().options.mqtt.connect_timeout_ms);
}

void SessionActor::on_readable(evutil_socket_t, short, void* self) noexcept {
  auto* session = static_cast<SessionActor*>(self);
  session->enter();
  if (session->phase_ == Phase::open) {
    session->read_some();
    return;
  }
  // Lingering: what still comes is thrown away, so that closing does not reset the connection
  // before the client has read our last packet.
  char* buffer = session->office_.read_buffer();
  const ssize_t n = recv(session->accepted_.fd, buffer, PostOffice::kReadSize, MSG_DONTWAIT);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) session->office_.bury(*session);
}

void SessionActor::on_writable(evutil_socket_t, short, void* self) noexcept {
  auto* session = static_cast<SessionActor*>(self);
  session->enter();
  session->writing_ = false;
  session->flush();
}

void SessionActor::read_some() {
  const bool must_wait =
      session_.publish_blocked() || session_.state() == Session::State::connecting;
  if (must_wait || input_.size() > PostOffice::kCarryMax ||
      session_.needed() > PostOffice::kCarryMax + PostOffice::kReadSize / 2) {
    read_aside();
    return;
  }
  // The unfinished packet of last time goes in front of the new bytes.
  char* start = office_.read_buffer();
  const std::size_t carried = input_.size();
  std::memcpy(start, input_.data(), carried);
  const ssize_t n = receive_bytes(start + carried);
  if (n <= 0) {
    socket_ended(n);
    return;
  }
  input_.clear();
  office_.new_burst();
  process({start, carried + static_cast<std::size_t>(n)});
}

/// recv() of as much as the client may send now, up to kReadSize.
ssize_t SessionActor::receive_bytes(char* at) {
  const std::uint64_t rate = session_.limits().bytes_in_per_second;
  const ssize_t n =
      recv(accepted_.fd, at, Pace::at_once(PostOffice::kReadSize, rate), MSG_DONTWAIT);
  if (n <= 0) return n;
  session_.counters().bytes_received += static_cast<std::size_t>(n);
  if (rate != 0 && in_.passed(static_cast<std::size_t>(n), rate, office_.now_ms())) [[unlikely]] {
    read_enough_ = true;
    rest();
  }
  return n;
}

/// recv() returned `n` <= 0. What a client sent before it closed still counts, a DISCONNECT above
/// all: when that has to wait, so does the end.
void SessionActor::socket_ended(ssize_t n) {
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  const bool waits = session_.publish_blocked() || session_.state() == Session::State::connecting;
  if (n == 0 && waits) {
    ended_early_ = true;
    set_reading(false);
    return;
  }
  session_.connection_lost();
  office_.bury(*this);
}

/// Reads behind what waits already: a packet larger than the shared buffer, or a client that is not
/// to be served yet.
void SessionActor::read_aside() {
  const std::size_t old = input_.size();
  input_.resize(old + PostOffice::kReadSize);
  const ssize_t n = receive_bytes(input_.data() + old);
  input_.resize(old + (n > 0 ? static_cast<std::size_t>(n) : 0));
  if (n <= 0) {
    socket_ended(n);
    return;
  }
  office_.new_burst();
  if (session_.publish_blocked()) {
    processing_ = true;
    const Session::Event event = session_.receive_past_block(input_, scan_, office_.now_ms());
    processing_ = false;
    office_.burst_done(*this);
    if (event == Session::Event::closed) linger();
  } else if (session_.state() != Session::State::connecting) {
    if (input_.size() < session_.needed()) return;
    const std::string whole = std::exchange(input_, {});
    process(whole);
    return;
  }
  if (input_.size() > kAsideMax) set_reading(false);
}

void SessionActor::process(std::string_view in) {
  processing_ = true;
  while (!in.empty()) {
    const Session::Step step = session_.receive(in, office_.now_ms());
    in.remove_prefix(step.consumed);
    if (!carry_out(step)) break;
  }
  processing_ = false;
  if (session_.state() != Session::State::closed) set_aside(in);
  office_.burst_done(*this);
  if (session_.state() == Session::State::closed) linger();
}

/// False when the burst ends here.
bool SessionActor::carry_out(Session::Step step) {
  switch (step.event) {
    case Session::Event::handled:
      return true;
    case Session::Event::publish:
      office_.publish(*this);
      return true;
    case Session::Event::subscribe:
      office_.subscribe(*this);
      return true;
    case Session::Event::unsubscribe:
      office_.unsubscribe(*this);
      return true;
    case Session::Event::connect:
      on_connect();
      return session_.state() == Session::State::connected;
    case Session::Event::auth:
      close(codec::ReasonCode::bad_authentication_method, End::protocol_error,
            "no authentication method is configured");
      return false;
    case Session::Event::need_more:
    case Session::Event::blocked:
    case Session::Event::closed:
      return false;
  }
  return false;
}

void SessionActor::set_aside(std::string_view rest) {
  input_.assign(rest);
  scan_ = 0;
  if (input_.empty() && input_.capacity() > 256) input_ = {};
  if (!session_.publish_blocked()) return;
  session_.receive_past_block(input_, scan_, office_.now_ms());
  if (input_.size() > kAsideMax) set_reading(false);
}

void SessionActor::on_connect() {
  const auth::Origin origin{.address = accepted_.address, .loopback = accepted_.loopback};
  caf::strong_actor_ptr self = self_;  // the answer may come after the connection has gone
  office_.authority().on_connect(
      session_.connect_packet(), origin,
      [this, self](const auth::ConnectVerdict& verdict) { on_verdict(verdict); });
}

void SessionActor::on_verdict(const auth::ConnectVerdict& verdict) {
  if (session_.state() != Session::State::connecting || phase_ != Phase::open) return;
  if (codec::is_error(verdict.reason)) {
    session_.refuse(verdict.reason, end_of(verdict.reason));
    flush_answer();
    return;
  }
  access_.identity = verdict.identity;
  if (const codec::ReasonCode reason = office_.enter_tenant(*this); codec::is_error(reason)) {
    session_.refuse(reason, end_of(reason), "a limit of the tenant");
    flush_answer();
    return;
  }
  const auto& will = session_.connect_packet().will;
  if (will && !office_.may_publish_will(*this, will->topic)) {
    session_.refuse(codec::ReasonCode::not_authorized, End::not_authorized,
                    "not authorized for the will's topic");
    flush_answer();
    return;
  }
  office_.attach_session(*this);
}

/// A refusal that comes later than the read that brought the CONNECT has to be sent from here.
void SessionActor::flush_answer() {
  if (!processing_) linger();
}

void SessionActor::refuse(codec::ReasonCode reason, End end) {
  if (session_.state() != Session::State::connecting) return;
  session_.refuse(reason, end);
  if (!processing_) linger();
}

/// No CONNACK: what its inbox has done cannot be taken back, so a refusal would not be true, and
/// its will may be on its way.
void SessionActor::overtaken() {
  if (session_.state() != Session::State::connecting) return;
  session_.connection_lost(End::taken_over);
  if (!processing_) linger();
}

void SessionActor::granted(const inbox::SessionState* state) {
  if (session_.state() != Session::State::connecting) return;
  office_.accept_session(*this, state);
  if (session_.keep_alive_s() > 0) {
    office_.wheel().add(timer, office_.now_ms() + session_.keep_alive_s() * 1500ULL);
  } else {
    TimingWheel::remove(timer);
  }
  office_.dispatch().mark_dirty(session_);
  serve_waiting();
}

void SessionActor::released() {
  if (phase_ != Phase::open || session_.state() != Session::State::connected) return;
  office_.new_burst();
  scan_ = 0;
  serve_waiting();
}

/// What had to wait is served now; then the socket is read again, or its end takes effect.
void SessionActor::serve_waiting() {
  const std::string waiting = std::exchange(input_, {});
  process(waiting);
  if (phase_ != Phase::open) return;
  if (!ended_early_) {
    if (!session_.publish_blocked()) set_reading(true);
  } else if (!session_.publish_blocked()) {
    session_.connection_lost();
    office_.bury(*this);
  }
}

void SessionActor::set_reading(bool reading) {
  reading_ = reading;
  watch_socket();
}

void SessionActor::watch_socket() {
  const bool watch = reading_ && !read_enough_;
  if (watched_ == watch) return;
  watched_ = watch;
  if (watch) {
    SKALD_ASSERT(event_add(&read_event_, nullptr) == 0);
  } else {
    event_del(&read_event_);
  }
}

/// It has used up its bandwidth of this second: the post office's tick asks rested().
void SessionActor::rest() {
  watch_socket();
  office_.rest(*this);
}

bool SessionActor::rested() {
  enter();
  const std::uint64_t now = office_.now_ms();
  if (read_enough_ && in_.is_due(now)) {
    read_enough_ = false;
    session_.was_not_read(now);
    watch_socket();
  }
  if (sent_enough_ && out_.is_due(now)) {
    sent_enough_ = false;
    writing_ = false;
    office_.dispatch().mark_dirty(session_);
  }
  return !read_enough_ && !sent_enough_;
}

void SessionActor::flush() {
  session::Output& output = session_.output();
  if (phase_ == Phase::ended || writing_) return;
  const std::uint64_t rate = phase_ == Phase::open ? session_.limits().bytes_out_per_second : 0;
  while (!output.empty()) {
    session::Output::Piece pieces[kPiecesMax];
    std::size_t count = output.pieces(pieces, kPiecesMax);
    if (rate != 0) [[unlikely]]
      count = cut_off(pieces, count, rate);
    iovec vectors[kPiecesMax];
    std::size_t total = 0;
    for (std::size_t i = 0; i < count; ++i) {
      vectors[i] = {const_cast<char*>(pieces[i].data), pieces[i].size};
      total += pieces[i].size;
    }
    msghdr message{};
    message.msg_iov = vectors;
    message.msg_iovlen = count;
    const ssize_t n = count == 1 ? ::send(accepted_.fd, pieces[0].data, pieces[0].size,
                                          MSG_DONTWAIT | MSG_NOSIGNAL)
                                 : ::sendmsg(accepted_.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
      session_.connection_lost();
      office_.bury(*this);
      return;
    }
    if (n > 0) session_.counters().bytes_sent += static_cast<std::size_t>(n);
    if (n > 0) output.consume(static_cast<std::size_t>(n));
    if (n > 0 && rate != 0 && out_.passed(static_cast<std::size_t>(n), rate, office_.now_ms()))
        [[unlikely]] {
      sent_enough_ = true;
      writing_ = true;
      rest();
      break;
    }
    if (n < 0 || static_cast<std::size_t>(n) < total) {
      want_write();
      break;
    }
  }
  if (session_.drained(office_.now_ms())) office_.dispatch().mark_dirty(session_);
  office_.progressed(*this);
  if (session_.state() == Session::State::closed && !processing_) linger();
}

void SessionActor::want_write() {
  if (write_event_ == nullptr) {
    write_event_ =
        event_new(loop().base(), accepted_.fd, EV_WRITE, &SessionActor::on_writable, this);
    SKALD_ASSERT(write_event_ != nullptr);
  }
  writing_ = true;
  SKALD_ASSERT(event_add(write_event_, nullptr) == 0);
}

void SessionActor::close(codec::ReasonCode reason, End end, std::string_view why) {
  session_.close(reason, end, why);
  if (!processing_) linger();
}

/// The session is over: the last bytes go out, and a client that was told why gets time to read it.
void SessionActor::linger() {
  if (phase_ == Phase::open) {
    phase_ = Phase::lingering;
    office_.session_over(*this);
    office_.wheel().add(timer, office_.now_ms() + kLingerMs);
    read_enough_ = false;
    if (std::exchange(sent_enough_, false)) writing_ = false;
    set_reading(true);
    if (!session_.output().empty()) {
      flush();  // comes back here
      return;
    }
  }
  if (phase_ != Phase::lingering || !session_.output().empty()) return;
  if (session_.end() == End::by_client) {
    office_.bury(*this);
  } else {
    shutdown(accepted_.fd, SHUT_WR);
  }
}

void SessionActor::on_timer() {
  enter();
  if (phase_ == Phase::lingering) {
    office_.bury(*this);
    return;
  }
  if (session_.state() != Session::State::connected) {
    close(codec::ReasonCode::unspecified_error, End::connect_timeout, "no CONNECT in time");
    return;
  }
  session_.shrink();
  const std::uint64_t now = office_.now_ms();
  const std::uint64_t patience = session_.keep_alive_s() * 1500ULL;  // [MQTT-3.1.2-22]
  // A client that is not read cannot show that it is alive.
  const std::uint64_t last = watched_ ? session_.last_received_ms() : now;
  if (now >= last + patience) {
    close(codec::ReasonCode::keep_alive_timeout, End::keep_alive);
    return;
  }
  office_.wheel().add(timer, last + patience);
}

void SessionActor::end() {
  if (phase_ == Phase::open) office_.session_over(*this);
  phase_ = Phase::ended;
  TimingWheel::remove(timer);
  event_del(&read_event_);
  if (write_event_ != nullptr) event_free(std::exchange(write_event_, nullptr));
  ::close(accepted_.fd);
  session_.output().clear();
  enter();
  cleanup(caf::exit_reason::user_shutdown, &loop());
  self_ = nullptr;  // often the last reference: *this may be gone
}

}  // namespace skald::actors
