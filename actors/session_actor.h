// One client connection: a CAF actor that lives on the loop of its socket.
//
// It moves bytes between the socket and the session core, and carries out what the core says
// through its post office. It owns the socket and both libevent events. While those point to it, it
// holds a strong handle to itself, because an actor dies with its last handle; end() frees them on
// the loop. Its destructor is trivial in effect: it may run on any thread.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include <caf/actor_control_block.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "actors/loop/light_actor.h"
#include "actors/loop/timing_wheel.h"
#include "actors/messages.h"
#include "actors/pace.h"
#include "mqtt/auth/authority.h"
#include "mqtt/inbox/types.h"
#include "mqtt/session/session.h"

namespace skald::actors {

class PostOffice;
class SessionActor;

/// The one timer of a session: connect timeout, keep alive, end of lingering.
struct SessionTimer : TimingWheel::Timer {
  SessionActor* session = nullptr;
};

class SessionActor final : public LightActor {
 public:
  SessionActor(caf::actor_config& config, PostOffice& office, Accepted accepted);

  const char* name() const override { return "session"; }

  // All of these are called on the loop, by the post office.

  /// Starts reading. The connect timeout runs from here.
  void start();
  /// The client id is this connection's: CONNACK, then what the client has sent meanwhile. `state`:
  /// of a persistent session; otherwise null.
  void granted(const inbox::SessionState* state);
  /// CONNACK with an error, then the end.
  void refuse(codec::ReasonCode reason, session::End end);
  /// The session went to a newer connection before this one had its answer.
  void overtaken();
  /// Writes what the session has for the client; ends the connection when that was the last.
  void flush();
  /// Its publishes may go on.
  void released();
  /// DISCONNECT with `reason` (v5), flush, end.
  void close(codec::ReasonCode reason, session::End end, std::string_view why = {});
  /// Frees events and socket and lets the actor go. By the post office's burial, once.
  void end();
  bool buried = false;
  /// The second is over in which it was to send or to get no more: true when it may again.
  bool rested();
  /// The timer fired: connect timeout, keep alive, or the end of lingering.
  void on_timer();

  session::Session& session() { return session_; }
  const session::Session& session() const { return session_; }
  const Accepted& accepted() const { return accepted_; }
  const auth::IdentityRef& identity() const { return access_.identity; }
  auth::Access& access() { return access_; }

  // The post office's marks.
  SessionTimer timer;
  std::uint64_t session_id = 0;  // from attach on
  std::uint32_t position = 0;    // in the list of connections
  bool attached = false;         // its inbox knows it
  bool counted = false;          // among the connections of its tenant
  bool lazy = false;             // in the list of those with something to tell their inbox
  bool behind = false;           // in the list of those with a queue to read
  bool resting = false;          // in the list of those that have used up their bandwidth
  inbox::Incarnation incarnation = 0;
  /// What only a persistent session has here.
  struct Durable {
    absl::flat_hash_map<std::string, inbox::Subscription> subscriptions;  // by filter as subscribed
    std::vector<inbox::Seq> finished;  // to be told to the inbox sometime
    std::vector<std::pair<std::uint16_t, std::uint64_t>> handed_out;  // likewise: id, sequence
    bool feeding = false;  // part of a feed is on its way to the queue
  };
  std::unique_ptr<Durable> durable;

 private:
  void on_exit_message(const caf::exit_msg& exit) override;

  enum class Phase : std::uint8_t { open, lingering, ended };

  static void on_readable(evutil_socket_t fd, short what, void* self) noexcept;
  static void on_writable(evutil_socket_t fd, short what, void* self) noexcept;
  void read_some();
  void read_aside();
  ssize_t receive_bytes(char* at);
  void process(std::string_view in);
  bool carry_out(session::Session::Step step);
  void set_aside(std::string_view rest);
  void on_connect();
  void on_verdict(const auth::ConnectVerdict& verdict);
  void flush_answer();
  void set_reading(bool reading);
  void watch_socket();
  void rest();
  void socket_ended(ssize_t n);
  void serve_waiting();
  void want_write();
  void linger();

  PostOffice& office_;
  session::Session session_;
  Accepted accepted_;
  Phase phase_ = Phase::open;
  bool reading_ = true;
  bool watched_ = true;       // the read event is armed: reading_, unless it rests
  bool writing_ = false;      // the write event is armed, or it rests
  bool read_enough_ = false;  // InBoundBandWidth: not read until rested()
  bool sent_enough_ = false;  // OutBoundBandWidth: nothing is written until rested()
  bool ended_early_ = false;  // the client closed while what it had sent must wait
  bool processing_ = false;   // inside process(): a flush must not end the connection under it
  std::size_t scan_ = 0;      // see Session::receive_past_block
  std::string input_;         // bytes that are not a whole packet yet, or that must wait
  event read_event_{};
  event* write_event_ = nullptr;
  Pace in_;
  Pace out_;
  auth::Access access_;
  caf::strong_actor_ptr self_;
};

}  // namespace skald::actors
