// One thread of the load generator: its connections, an edge-triggered epoll loop, and large
// shared buffers, so that a message costs a few tens of nanoseconds beside the system calls.
//
// Reading goes before writing: while a turn of the loop brought much, nothing is published in it,
// so that receivers never fall behind because their own process was busy sending.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tools/bench/control.h"
#include "tools/bench/frames.h"
#include "tools/bench/histogram.h"
#include "tools/bench/options.h"
#include "tools/bench/payload.h"
#include "tools/bench/plan.h"
#include "tools/bench/publisher.h"
#include "tools/bench/receiver.h"

namespace skald::bench {

/// Where the broker is, and from which local addresses to come.
struct Addresses {
  sockaddr_storage broker{};
  socklen_t broker_size = 0;
  std::vector<sockaddr_storage> sources;
};

class Worker {
 public:
  /// The referenced things must outlive it. Takes the clients that the plan gives to `index`.
  Worker(const Options& options, const Plan& plan, const PayloadFormat& format,
         const Addresses& addresses, Control& control, std::uint32_t index);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// The thread's body; returns after Phase::stop.
  void run();

  // Results, for after run().
  const std::vector<std::unique_ptr<Publisher>>& publishers() const { return publishers_; }
  /// By index of the plan; null where another worker has it.
  const std::vector<std::unique_ptr<Receiver>>& receivers() const { return receivers_; }
  /// Deliveries to each client that has a receiver, in the plan's order.
  std::vector<std::uint64_t> deliveries_by_client() const;
  const Histogram& delivery_latency() const { return delivery_latency_; }
  const Histogram& ack_latency() const { return ack_latency_; }
  const Histogram& connect_latency() const { return connect_latency_; }
  std::int64_t cpu_ns() const { return cpu_ns_; }

 private:
  enum class State : std::uint8_t { unopened, opening, connecting, subscribing, ready, closed };

  struct Client {
    const ClientPlan* plan = nullptr;
    int fd = -1;
    State state = State::unopened;
    bool writable = false;
    bool ending = false;       // the broker has closed its side: read up to the end
    bool in_readable = false;  // listed in readable_
    bool in_sendable = false;  // listed in sendable_
    Publisher* publisher = nullptr;
    Receiver* receiver = nullptr;
    std::int64_t opened_ns = 0;
    std::int64_t last_sent_ns = 0;
    std::uint64_t delivered = 0;
    std::string out;                   // not yet accepted by the kernel
    std::string partial;               // the head of a frame that has not come whole
    std::vector<std::string> aliases;  // by topic alias - 1, as the broker set them
  };

  // The loop.
  void enter(Phase phase);
  void wait();
  void read_round();
  void write_round();
  void make_due();
  void ping_idle();

  // Connections.
  void open_more();
  void open(Client& client);
  void on_opened(Client& client);
  void on_connack(Client& client, std::string_view body);
  void on_suback(Client& client, std::string_view body);
  void become_ready(Client& client);
  void fail(Client& client, const std::string& why);
  void shut(Client& client);

  // Traffic.
  void read(Client& client);
  std::size_t parse(Client& client, const char* begin, const char* end);
  void on_publish(Client& client, std::uint8_t first, std::string_view body);
  bool resolve_alias(Client& client, IncomingPublish& publish);
  void on_other(Client& client, std::uint8_t first, std::string_view body);
  void on_ack(Client& client, codec::PacketType type, std::string_view body);
  void list_readable(Client& client);
  void list_sendable(Client& client);
  std::size_t send_to(Client& client);

  bool publishing() const { return phase_ == Phase::warm_up || phase_ == Phase::measure; }

  const Options& options_;
  const Plan& plan_;
  const PayloadFormat& format_;
  const Addresses& addresses_;
  Control& control_;
  const std::uint32_t index_;

  int epoll_fd_ = -1;
  Phase phase_ = Phase::connect;
  std::int64_t now_ns_ = 0;
  Totals totals_{};
  std::vector<Client> clients_;
  std::vector<std::unique_ptr<Publisher>> publishers_;
  std::vector<Client*> publishing_clients_;  // same order as publishers_
  std::vector<std::unique_ptr<Receiver>> receivers_;
  std::uint8_t expected_qos_ = 0;

  std::vector<Client*> readable_;
  std::vector<Client*> sendable_;
  std::vector<Client*> turn_;  // scratch for one of the two above
  std::vector<char> in_;
  std::vector<char> out_;
  std::size_t read_this_turn_ = 0;

  std::size_t next_open_ = 0;
  std::uint32_t opening_ = 0;
  std::int64_t first_open_ns_ = 0;
  std::int64_t next_ping_ns_ = 0;
  bool started_ = false;  // publishing has begun
  Pace pace_;
  std::size_t due_cursor_ = 0;   // the publisher whose message is due next
  std::uint64_t due_round_ = 0;  // and the sequence of that message

  Histogram delivery_latency_;
  Histogram ack_latency_;
  Histogram connect_latency_;
  std::int64_t cpu_ns_ = 0;
};

}  // namespace skald::bench
