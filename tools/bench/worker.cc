// The loop of a worker, and the publishing and reading of messages; see connect.cc for the rest.
#include "tools/bench/worker.h"

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "config/base/assert.h"
#include "tools/bench/process_stats.h"

namespace skald::bench {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;
constexpr std::size_t kWriteBytes = 256 * 1024;     // published per turn of the loop
constexpr std::size_t kReadFirstBytes = 64 * 1024;  // a turn that read this much does not publish
constexpr int kEventsMax = 512;

}  // namespace

using codec::PacketType;
using codec::QoS;

Worker::Worker(const Options& options, const Plan& plan, const PayloadFormat& format,
               const Addresses& addresses, Control& control, std::uint32_t index)
    : options_(options),
      plan_(plan),
      format_(format),
      addresses_(addresses),
      control_(control),
      index_(index),
      epoll_fd_(epoll_create1(EPOLL_CLOEXEC)) {
  expected_qos_ = static_cast<std::uint8_t>(std::min(options.qos, options.subscribe_qos));
  receivers_.resize(plan.receivers.size());
  for (const ClientPlan& one : plan.clients) {
    if (one.worker == index_) clients_.emplace_back().plan = &one;
  }
  for (Client& client : clients_) {
    const ClientPlan& one = *client.plan;
    if (one.publisher != kNone) {
      publishers_.push_back(std::make_unique<Publisher>(
          options_, format_, one.publisher, plan_.topics[one.publisher], options_.run_id));
      client.publisher = publishers_.back().get();
      publishing_clients_.push_back(&client);
    }
    if (one.receiver != kNone) {
      std::unique_ptr<Receiver>& receiver = receivers_[one.receiver];
      if (receiver == nullptr) {
        receiver = std::make_unique<Receiver>(plan_.receivers[one.receiver], plan_.topics, format_,
                                              options_.run_id);
      }
      client.receiver = receiver.get();
    }
  }
  in_.resize(kReadBytes + 2 * options_.payload_bytes);
  out_.resize(kWriteBytes + 2 * options_.payload_bytes);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, control_.wake_fd(index_), &event);
}

Worker::~Worker() {
  for (Client& client : clients_) {
    if (client.fd >= 0) close(client.fd);
  }
  if (epoll_fd_ >= 0) close(epoll_fd_);
}

std::vector<std::uint64_t> Worker::deliveries_by_client() const {
  std::vector<std::uint64_t> out;
  for (const Client& client : clients_) {
    if (client.receiver != nullptr) out.push_back(client.delivered);
  }
  return out;
}

void Worker::run() {
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);  // paced messages leave when they are due
  now_ns_ = now_ns();
  first_open_ns_ = now_ns_;
  next_ping_ns_ = now_ns_;
  for (;;) {
    const Phase phase = control_.phase();
    if (phase != phase_) enter(phase);
    if (phase_ == Phase::stop) break;
    if (phase_ == Phase::connect) open_more();
    read_round();
    if (publishing()) make_due();
    write_round();
    if (options_.keep_alive_s != 0 && now_ns_ >= next_ping_ns_) ping_idle();
    control_.publish(index_, totals_);
    wait();
    now_ns_ = now_ns();
  }
  for (Client& client : clients_) {
    if (client.fd < 0) continue;
    if (client.state == State::ready) {
      put_disconnect(client.out);
      send_to(client);
    }
    shut(client);
  }
  control_.publish(index_, totals_);
  timespec cpu{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
  cpu_ns_ = std::int64_t{cpu.tv_sec} * 1'000'000'000 + cpu.tv_nsec;
}

void Worker::enter(Phase phase) {
  phase_ = phase;
  if (started_ || !publishing()) return;
  started_ = true;
  pace_.start_ns = control_.start_ns.load(std::memory_order_acquire);
  pace_.step_ns = options_.rate > 0 ? 1e9 / options_.rate : 0;
  pace_.publishers = options_.publishers;
  if (pace_.step_ns > 0) return;
  const std::uint64_t limit = options_.messages != 0 ? options_.messages : ~std::uint64_t{0};
  for (Client* client : publishing_clients_) {
    client->publisher->allow_until(limit);
    list_sendable(*client);
  }
}

void Worker::make_due() {
  if (pace_.step_ns <= 0 || publishers_.empty()) return;
  for (;;) {
    if (options_.messages != 0 && due_round_ >= options_.messages) return;
    Client& client = *publishing_clients_[due_cursor_];
    if (pace_.due_ns(due_round_, client.publisher->number()) > now_ns_) return;
    client.publisher->allow_until(due_round_ + 1);
    list_sendable(client);
    if (++due_cursor_ == publishers_.size()) {
      due_cursor_ = 0;
      ++due_round_;
    }
  }
}

void Worker::wait() {
  std::int64_t timeout_ns = 1'000'000'000;
  if (!readable_.empty() || !sendable_.empty()) timeout_ns = 0;
  if (phase_ == Phase::connect && next_open_ < clients_.size()) {
    timeout_ns = std::min<std::int64_t>(timeout_ns, 1'000'000);
  }
  const bool paced = publishing() && pace_.step_ns > 0 && !publishers_.empty();
  if (paced && (options_.messages == 0 || due_round_ < options_.messages)) {
    const std::int64_t due =
        pace_.due_ns(due_round_, publishing_clients_[due_cursor_]->publisher->number());
    timeout_ns = std::clamp<std::int64_t>(due - now_ns(), 0, timeout_ns);
  }
  epoll_event events[kEventsMax];
  timespec timeout{};
  timeout.tv_sec = timeout_ns / 1'000'000'000;
  timeout.tv_nsec = timeout_ns % 1'000'000'000;
  int count = epoll_pwait2(epoll_fd_, events, kEventsMax, &timeout, nullptr);
  if (count < 0 && errno == ENOSYS) {  // Linux before 5.11: to the millisecond
    count = epoll_wait(epoll_fd_, events, kEventsMax, static_cast<int>(timeout_ns / 1'000'000));
  }
  for (int i = 0; i < count; ++i) {
    auto* client = static_cast<Client*>(events[i].data.ptr);
    if (client == nullptr) {
      control_.clear_wake(index_);
      continue;
    }
    if ((events[i].events & EPOLLOUT) != 0 && !client->writable) {
      client->writable = true;
      list_sendable(*client);
    }
    if ((events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) client->ending = true;
    if ((events[i].events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) list_readable(*client);
  }
}

void Worker::list_readable(Client& client) {
  if (client.in_readable) return;
  client.in_readable = true;
  readable_.push_back(&client);
}

void Worker::list_sendable(Client& client) {
  if (client.in_sendable || !client.writable) return;
  client.in_sendable = true;
  sendable_.push_back(&client);
}

void Worker::read_round() {
  read_this_turn_ = 0;
  turn_.clear();
  turn_.swap(readable_);
  for (Client* client : turn_) {
    client->in_readable = false;
    if (client->fd >= 0 && client->state != State::opening) read(*client);
  }
}

void Worker::read(Client& client) {
  const std::size_t kept = client.partial.size();
  std::memcpy(in_.data(), client.partial.data(), kept);
  const std::size_t room = in_.size() - kept;
  const ssize_t got = recv(client.fd, in_.data() + kept, room, MSG_DONTWAIT);
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    fail(client, std::string("connection lost: ") + std::strerror(errno));
    return;
  }
  if (got == 0) {
    fail(client, "connection closed by the broker");
    return;
  }
  const auto size = static_cast<std::size_t>(got);
  now_ns_ = now_ns();
  read_this_turn_ += size;
  totals_[kBytesIn] += size;
  const char* end = in_.data() + kept + size;
  const std::size_t used = parse(client, in_.data(), end);
  if (client.fd < 0) return;
  client.partial.assign(in_.data() + used, kept + size - used);
  if (client.partial.size() == in_.size()) {
    ++totals_[kProtocolErrors];
    fail(client, "a packet larger than any that was asked for");
    return;
  }
  // A short read emptied the socket, so there will be another edge; a full one may not have, and
  // the edge of a closed stream came already.
  if (size == room || client.ending) list_readable(client);
  if (!client.out.empty()) list_sendable(client);
}

std::size_t Worker::parse(Client& client, const char* begin, const char* end) {
  const char* at = begin;
  while (client.fd >= 0) {
    const Scanned packet = scan(at, end);
    if (packet.status == Scanned::Status::need_more) break;
    if (packet.status == Scanned::Status::malformed) {
      ++totals_[kProtocolErrors];
      fail(client, "malformed packet length from the broker");
      break;
    }
    if ((packet.first >> 4) == static_cast<int>(PacketType::publish)) {
      on_publish(client, packet.first, packet.body);
    } else {
      on_other(client, packet.first, packet.body);
    }
    at = packet.body.data() + packet.body.size();
  }
  return static_cast<std::size_t>(at - begin);
}

void Worker::on_publish(Client& client, std::uint8_t first, std::string_view body) {
  IncomingPublish publish;
  if (!read_publish(options_.version, first, body, publish) || !resolve_alias(client, publish)) {
    ++totals_[kProtocolErrors];
    fail(client, "malformed PUBLISH from the broker");
    return;
  }
  ++client.delivered;
  ++totals_[kDelivered];
  totals_[kLastInNs] = static_cast<std::uint64_t>(now_ns_);
  if (publish.qos == 1) put_ack(PacketType::puback, publish.packet_id, client.out);
  if (publish.qos == 2) put_ack(PacketType::pubrec, publish.packet_id, client.out);
  if (client.receiver == nullptr) return;
  PayloadHead head;
  const Receiver::Verdict verdict = client.receiver->take(publish.topic, publish.payload, head);
  if (verdict != Receiver::Verdict::fresh) return;
  ++totals_[kUnique];
  if (publish.qos != expected_qos_ && options_.mode != Mode::sub) ++totals_[kWrongQos];
  if (phase_ == Phase::measure) {
    delivery_latency_.record(now_ns_ - static_cast<std::int64_t>(head.stamp_ns));
  }
}

bool Worker::resolve_alias(Client& client, IncomingPublish& publish) {
  if (publish.topic_alias == 0) return !publish.topic.empty();
  if (publish.topic_alias > options_.topic_aliases) return false;
  if (client.aliases.size() < publish.topic_alias) client.aliases.resize(publish.topic_alias);
  std::string& known = client.aliases[publish.topic_alias - 1U];
  if (!publish.topic.empty()) {
    known = publish.topic;
  } else {
    publish.topic = known;
  }
  return !known.empty();
}

void Worker::on_ack(Client& client, PacketType type, std::string_view body) {
  if (body.size() < 2) {
    ++totals_[kProtocolErrors];
    fail(client, "malformed acknowledgement from the broker");
    return;
  }
  const std::uint16_t id = read_u16(body.data());
  totals_[kLastInNs] = static_cast<std::uint64_t>(now_ns_);
  if (type == PacketType::pubrel) {
    put_ack(PacketType::pubcomp, id, client.out);
    return;
  }
  if (client.publisher == nullptr) {
    ++totals_[kProtocolErrors];
    fail(client, "an acknowledgement to a client that published nothing");
    return;
  }
  const std::uint8_t reason = body.size() > 2 ? static_cast<std::uint8_t>(body[2]) : 0;
  const Publisher::Acked acked = client.publisher->on_ack(type, id, reason);
  if (acked.release) put_ack(PacketType::pubrel, id, client.out);
  if (acked.done) {
    ++totals_[kDone];
    if (phase_ == Phase::measure) ack_latency_.record(now_ns_ - acked.sent_ns);
    if (publishing() && client.publisher->may_send()) list_sendable(client);
  }
}

void Worker::write_round() {
  turn_.clear();
  turn_.swap(sendable_);
  const bool may_publish = publishing() && read_this_turn_ < kReadFirstBytes;
  std::size_t published = 0;
  for (Client* client : turn_) {
    client->in_sendable = false;
    if (client->fd < 0 || !client->writable) continue;
    if (client->state == State::opening) {
      on_opened(*client);
      continue;
    }
    const bool wants = client->publisher != nullptr && client->publisher->may_send() &&
                       publishing() && client->state == State::ready;
    if (wants && (!may_publish || published >= kWriteBytes)) {
      list_sendable(*client);
      if (client->out.empty()) continue;
      send_to(*client);
      continue;
    }
    published += send_to(*client);
    if (wants && client->publisher->may_send()) list_sendable(*client);
  }
}

std::size_t Worker::send_to(Client& client) {
  const char* from = client.out.data();
  std::size_t size = client.out.size();
  Publisher* publisher = client.publisher;
  const bool publishes = publisher != nullptr && client.state == State::ready && publishing() &&
                         publisher->may_send() && read_this_turn_ < kReadFirstBytes;
  if (publishes && size < options_.burst_bytes) {
    std::memcpy(out_.data(), from, size);
    const std::uint64_t before = publisher->sent();
    const std::size_t room =
        std::max<std::size_t>(options_.burst_bytes - size, publisher->frame_bytes());
    char* end = publisher->fill(out_.data() + size, room, now_ns_, pace_);
    const std::uint64_t sent = publisher->sent() - before;
    totals_[kSent] += sent;
    if (options_.qos == QoS::at_most_once) totals_[kDone] += sent;
    if (options_.messages != 0 && publisher->sent() == options_.messages) ++totals_[kFinished];
    from = out_.data();
    size = static_cast<std::size_t>(end - from);
  }
  if (size == 0) return 0;
  const ssize_t accepted = send(client.fd, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (accepted < 0 && errno != EAGAIN && errno != EINTR) {
    fail(client, std::string("connection lost: ") + std::strerror(errno));
    return 0;
  }
  const std::size_t done = accepted > 0 ? static_cast<std::size_t>(accepted) : 0;
  client.last_sent_ns = now_ns_;
  if (done < size) client.writable = false;
  if (from == client.out.data()) {
    client.out.erase(0, done);
  } else {
    client.out.assign(from + done, size - done);
  }
  return done;
}

}  // namespace skald::bench
