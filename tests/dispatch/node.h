// Several dispatch cores wired as the loops of one node, in one thread, with clients that keep to
// the protocol: for tests and fuzzing.
//
// Does what the shells (post office, session, routes) do, with queues in the place of sockets and
// messages. What moves next is the caller's choice, so that every order can be tried.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "mqtt/dispatch/dispatch.h"
#include "mqtt/dispatch/node_routes.h"
#include "mqtt/dist/state_machine.h"
#include "mqtt/session/session.h"
#include "tests/session/peer.h"

namespace skald::dispatch::testing {

struct Loop;

/// One connection: the broker's session and buffers, and the client at the other end.
struct Client {
  Client(Loop& on_loop, session::Workspace& workspace, codec::Version of_version, std::uint64_t id)
      : loop(on_loop), version(of_version), session(workspace), session_id(id), inbox(of_version) {}

  Loop& loop;
  codec::Version version;
  session::Session session;
  std::uint64_t session_id;
  bool honest = true;  // keeps to the protocol: unrest() looks at it
  bool over = false;   // the broker has forgotten the session
  std::string input;   // read by the broker, to be served later
  std::size_t scan = 0;
  bool processing = false;
  std::string to_broker;    // written by the client, not read by the broker
  std::string to_client;    // in the socket's buffer
  std::size_t room = 2048;  // of that buffer

  // The client's side.
  session::testing::Inbox inbox;
  std::deque<std::string> acks;                     // owed, in order
  std::set<std::uint16_t> received;                 // QoS 2 ids not released
  std::map<std::uint16_t, codec::PacketType> open;  // own publishes: the ack awaited
  std::uint16_t last_id = 0;

  void write(const codec::ControlPacket& packet) {
    to_broker += session::testing::bytes_of(packet, version);
  }
  /// Gives it a packet id when it needs one.
  void write(session::testing::Publish publish);
  std::uint16_t subscribe(const std::string& filter, codec::SubscriptionOptions options,
                          std::uint32_t id = 0);
  std::uint16_t unsubscribe(const std::string& filter);
  void send_ack();
};

struct PendingAck {
  std::uint64_t session = 0;
  std::uint16_t packet_id = 0;
  bool unsubscribe = false;
};

struct Wish {
  enum class Kind { subscribe, unsubscribe, join, leave };
  Kind kind = Kind::subscribe;
  std::string filter;
  std::string group;
  dist::SessionMember member;
  std::uint64_t token = 0;
};
struct RouteAnswer {
  std::uint64_t token = 0;
};
/// What a burst has for the inbox range.
struct Inserts {
  std::vector<InboxDelivery> deliveries;
};
/// What became of one of them.
struct Inserted {
  std::uint64_t tag = 0;
  mqtt::PublicationRef publication;
  std::vector<SharedInbox> refused;  // members of shared groups: another one is to get it
};
using Letter = std::variant<LoopBatch, Credit, Wish, RouteAnswer, Inserts, Inserted>;

struct Loop {
  Loop(std::uint16_t at, std::uint16_t loops, std::uint64_t seed,
       const BackPressure::Options& back_pressure);

  std::uint16_t index;
  session::Workspace workspace;
  Dispatch dispatch;
  std::shared_ptr<const dist::RouteSnapshot> routes;
  std::shared_ptr<const InterestSnapshot> interest;
  std::map<std::uint64_t, PendingAck> pending;  // by token
  std::map<std::string, int> adding;
  std::map<std::uint64_t, std::string> adding_key;  // by token
  struct Waiting {
    std::uint64_t session = 0;
    std::uint32_t ticket = 0;
    int deliveries = 0;
  };
  std::map<std::uint64_t, Waiting> waiting;  // publishes that wait for inboxes, by tag
};

class Node {
 public:
  struct Options {
    std::uint16_t loops = 1;
    std::uint64_t seed = 1;
    session::Limits limits{};
    BackPressure::Options back_pressure{};
    std::size_t aside_max = 4096;  // of a blocked client's input; then it is not read
  };

  explicit Node(const Options& options);

  /// A connection on which nothing has been sent.
  Client& open(std::uint16_t loop, codec::Version version);
  Client& connect(std::uint16_t loop, const codec::Connect& connect);
  /// The broker reads up to `n` bytes of what the client wrote.
  void read(Client& client, std::size_t n);
  /// The client takes up to `n` bytes that came for it.
  void take(Client& client, std::size_t n);
  /// The socket breaks.
  void cut(Client& client);
  /// Delivers one letter of the `choice`-th queue that has one; false: all are empty.
  bool deliver(std::size_t choice);
  void tick(mqtt::TimeMs ms);
  /// Everything moves until nothing does.
  void settle();
  /// Empty when nobody is held up any more; otherwise what is.
  std::string unrest() const;

  std::vector<std::unique_ptr<Client>>& clients() { return clients_; }
  Loop& loop(std::size_t i) { return *loops_[i]; }
  mqtt::TimeMs now_ms() const { return now_ms_; }

  std::function<void(Client&, const session::testing::Message&)> on_message;
  std::function<void(Client&, const codec::ControlPacket&)> on_packet;
  /// A message for an inbox; false: the inbox refuses it.
  std::function<bool(const InboxTarget&, const mqtt::Publication&)> on_inbox;

  /// A route that is no loop's business: visible at once.
  dist::RouteResult change_route(dist::RouteChange::Kind kind, const dist::Route& route);
  /// Letters to the inbox range stay where they are while this is set.
  bool inboxes_stopped = false;

 private:
  static constexpr std::uint16_t kKeeper = 1000;   // the address of the routes' actor
  static constexpr std::uint16_t kInboxes = 1001;  // of the inbox range

  void post(std::uint16_t from, std::uint16_t to, Letter letter) {
    lanes_[{from, to}].push_back(std::move(letter));
  }
  void new_burst(Loop& loop);
  void process(Client& client);
  bool carry_out(Client& client, session::Session::Event event);
  void subscribe(Client& client);
  void unsubscribe(Client& client);
  void drop(Client& client, const std::string& filter, std::uint64_t token);
  void flush(Client& client);
  void session_over(Client& client);
  void round(Loop& loop);
  void send_batches(Loop& loop, session::Session* publisher);
  void on_letter(Loop& loop, const Letter& letter);
  void on_wish(std::uint16_t loop, const Wish& wish);
  void send_to_inboxes(Loop& loop);
  void on_inserts(std::uint16_t loop, const Inserts& inserts);
  void on_inserted(Loop& loop, const Inserted& inserted);
  void propose(std::uint16_t loop);
  void client_got(Client& client, const session::testing::Received& received);

  Options options_;
  mqtt::TimeMs now_ms_ = 1'000'000;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::map<std::pair<std::uint16_t, std::uint16_t>, std::deque<Letter>> lanes_;
  NodeRoutes routes_;
  dist::StateMachine dist_;
  std::shared_ptr<const dist::RouteSnapshot> published_routes_;
  std::shared_ptr<const InterestSnapshot> published_interest_;
  std::uint64_t last_session_ = 0, last_token_ = 0, last_index_ = 0, last_incarnation_ = 0;
  std::uint64_t last_tag_ = 0;
};

}  // namespace skald::dispatch::testing
