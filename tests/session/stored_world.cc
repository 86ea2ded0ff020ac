#include "tests/session/stored_world.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "mqtt/session/stored_flow.h"

namespace skald::session::testing {

using codec::PacketType;
using codec::QoS;
using codec::ReasonCode;
using codec::Version;
using inbox::Seq;

namespace {

constexpr std::size_t kQuota = 8;  // Receive Maximum towards the session

std::uint64_t number_in(std::string_view payload) {
  return std::strtoull(std::string(payload).c_str(), nullptr, 10);
}

}  // namespace

// -- the client
// -------------------------------------------------------------------------------------

void ClientModel::connected(Version version, std::size_t window, Seq dup_up_to) {
  version_ = version;
  window_ = window;
  dup_up_to_ = dup_up_to;
  last_ = 0;
  open_.clear();
  acks.clear();
  for (Outgoing& publish : outgoing) {
    publish.counted = false;
    if (publish.released) {
      to_broker += bytes_of(codec::ControlPacket(ack_of(PacketType::pubrel, publish.id)), version_);
    } else {
      publish.counted = true;
      send(publish, true);
    }
  }
}

void ClientModel::send(const Outgoing& publish, bool dup) {
  to_broker += bytes_of(Publish{.topic = "up",
                                .payload = std::to_string(publish.number),
                                .qos = publish.qos,
                                .packet_id = publish.id,
                                .dup = dup},
                        version_);
}

void ClientModel::publish(QoS qos, std::size_t quota) {
  std::size_t counted = 0;
  for (const Outgoing& open : outgoing) counted += open.counted ? 1 : 0;
  if (counted >= quota || outgoing.size() >= 2 * quota) return;
  const auto taken = [this](std::uint16_t id) {
    return std::any_of(outgoing.begin(), outgoing.end(),
                       [id](const Outgoing& open) { return open.id == id; });
  };
  do {
    next_id_ = static_cast<std::uint16_t>(next_id_ % 20 + 1);
  } while (taken(next_id_));
  outgoing.push_back({.id = next_id_, .number = ++last_number_, .qos = qos, .counted = true});
  published[last_number_] = qos;
  send(outgoing.back(), false);
}

void ClientModel::receive(const Received& packet) {
  if (const auto* message = std::get_if<Message>(&packet)) return on_message(*message);
  const auto& control = std::get<codec::ControlPacket>(packet);
  if (const auto* ack = std::get_if<codec::Ack>(&control)) return on_ack(*ack);
  if (!std::holds_alternative<codec::Connack>(control)) fail("thrown out: " + text_of(packet));
}

void ClientModel::on_message(const Message& message) {
  const Seq seq = number_in(message.payload);
  if (message.packet_id != StoredFlow::packet_id(seq)) fail("another packet id");
  if (seq <= last_) fail("out of order, or twice on a connection");
  last_ = seq;
  if (message.dup != (seq <= dup_up_to_)) fail("DUP wrong");
  if (!open_.insert(message.packet_id).second) fail("id is open");
  if (open_.size() > window_) fail("Receive Maximum exceeded");
  if (message.qos == QoS::at_least_once) {
    if (++got[seq] > 1 && !message.dup) fail("again without DUP");
    acks.push_back(ack_of(PacketType::puback, message.packet_id));
    return;
  }
  if (held_.insert(message.packet_id).second && ++got_once[seq] > 1) fail("QoS 2 twice");
  acks.push_back(ack_of(PacketType::pubrec, message.packet_id));
}

void ClientModel::on_ack(const codec::Ack& ack) {
  if (ack.type == PacketType::pubrel) {
    held_.erase(ack.packet_id);
    acks.push_back(ack_of(PacketType::pubcomp, ack.packet_id));
    return;
  }
  const auto found = std::find_if(outgoing.begin(), outgoing.end(), [&ack](const Outgoing& open) {
    return open.id == ack.packet_id;
  });
  if (found == outgoing.end()) return fail("ack of nothing");
  if (ack.type == PacketType::pubrec) {
    if (codec::is_error(ack.reason) || found->qos != QoS::exactly_once) fail("PUBREC wrong");
    if (std::exchange(found->released, true)) fail("PUBREC twice");
    acks.push_back(ack_of(PacketType::pubrel, ack.packet_id));
    return;
  }
  const bool whole = ack.type == PacketType::puback ? found->qos == QoS::at_least_once
                                                    : found->qos == QoS::exactly_once;
  if (!whole || (ack.type == PacketType::pubcomp && !found->released)) fail("ack out of place");
  outgoing.erase(found);
}

void ClientModel::ack(std::size_t which) {
  if (acks.empty()) return;
  const auto at = acks.begin() + static_cast<std::ptrdiff_t>(which % acks.size());
  if (at->type == PacketType::puback || at->type == PacketType::pubcomp) {
    open_.erase(at->packet_id);
  }
  to_broker += bytes_of(codec::ControlPacket(*at), version_);
  acks.erase(at);
}

// -- the world
// --------------------------------------------------------------------------------------

StoredWorld::StoredWorld(Choose choose) : choose_(std::move(choose)) {
  workspace_.limits.receive_maximum = kQuota;
  workspace_.limits.output_high_water_bytes = 200 + choose_(4) * 300;
  first_ = choose_(2) == 0 ? 1 : 65535 * (1 + choose_(3)) - choose_(30);
  last_ = first_ - 1;
  sent_up_to_ = last_;
  connect();
}

void StoredWorld::connect() {
  static constexpr Version kVersions[] = {Version::v31, Version::v311, Version::v5};
  const Version version = kVersions[choose_(3)];
  workspace_.limits.max_inflight = static_cast<std::uint16_t>(1 + choose_(12));
  codec::Connect connect = connect_of(version);
  connect.clean_start = false;
  if (version == Version::v5) {
    connect.session_expiry_s = 100;
    connect.receive_maximum = static_cast<std::uint16_t>(1 + choose_(12));
    connect.topic_alias_maximum = static_cast<std::uint16_t>(choose_(2));
  }
  const std::size_t window =
      std::min<std::size_t>(workspace_.limits.max_inflight, connect.receive_maximum);
  peer_ = std::make_unique<Peer>(workspace_, version);
  peer_->on_event = [this](Session::Event event) { on_event(event); };
  client_.to_broker.clear();
  peer_->now_ms = now_ms_;
  peer_->send(codec::ControlPacket(connect));
  client_.connected(version, window, sent_up_to_);
  for (const Received& packet : peer_->received_packets()) client_.receive(packet);
  ++tally_.connections;
}

/// Attaches, and accepts some time later.
void StoredWorld::on_event(Session::Event event) {
  Session& session = peer_->session;
  if (event == Session::Event::publish) return on_publish();
  if (event != Session::Event::connect) return;
  inbox::SessionState state;
  state.incarnation = incarnation_ += 1'000'000;
  for (const auto& [id, accepted] : accepted_) state.accepted.push_back(accepted);
  state.received.assign(received_.begin(), received_.end());
  state.head = queue_.empty() ? last_ + 1 : queue_.begin()->first;
  state.last = last_;
  state.sent_up_to = sent_up_to_;
  tally_.resumed_receipts += static_cast<int>(received_.size());
  for (std::uint32_t n = choose_(3); n > 1; --n) {
    insert();
    deliver_effect();
  }
  const Resume resume = Resume::of(state, tally_.connections > 0);
  session.set_client_id("c");
  session.accept(peer_->identity, now_ms_, &resume);
}

/// The connection breaks: what the shell had sent may still be committed, or be lost with its node.
void StoredWorld::disconnect() {
  if (choose_(2) == 0) peer_->received();  // written, not read
  const bool crash = choose_(3) == 0;
  Session& session = peer_->session;
  session.connection_lost();
  if (!crash) collect();
  for (std::size_t commits = crash ? choose_(4) : SIZE_MAX; commits > 0 && !operations_.empty();
       --commits) {
    apply(operations_.front());
    operations_.pop_front();
  }
  for (Job& job : jobs_) {
    if (job.accepted && !job.handed_out && choose_(2) == 0) hand_out(job);
  }
  sent_up_to_ = crash ? last_ : std::max(sent_up_to_, session.sent_up_to());
  operations_.clear();
  effects_.clear();
  jobs_.clear();
  reading_.reset();
}

void StoredWorld::on_publish() {
  Session& session = peer_->session;
  const mqtt::PublicationView& publication = workspace_.publication;
  Job job{.ticket = session.defer_acknowledge(),
          .number = number_in(publication.payload),
          .sequence = publication.info.sequence,
          .packet_id = workspace_.publish.packet_id,
          .qos = publication.info.qos};
  if (job.qos == QoS::exactly_once) {
    if (session.lowest_open_sequence() > job.sequence) fail("open, and said to be done");
    if (!session.accepted_before()) {
      operations_.push_back({Operation::Kind::accept, job.packet_id, job.sequence});
    } else {
      const auto stored = accepted_.find(job.packet_id);
      if (stored == accepted_.end()) return fail("never accepted");
      if (stored->second.sequence != job.sequence) fail("another sequence");
      if (stored->second.handed_out) fail("handed out, and again");
      job.accepted = true;
      ++tally_.repeats;
    }
  } else {
    job.accepted = true;
  }
  jobs_.push_back(job);
}

void StoredWorld::hand_out(Job& job) {
  job.handed_out = true;
  done_below_ = std::max(done_below_, peer_->session.lowest_open_sequence());
  const auto [known, fresh] = number_of_.try_emplace(job.sequence, job.number);
  if (known->second != job.number) fail("one sequence for two publishes");
  if (!fresh && job.sequence < done_below_) fail("repeated, and said to be done");
  if (job.qos != QoS::exactly_once) {
    sequence_of_.try_emplace(job.number, job.sequence);
  } else if (sequence_of_.try_emplace(job.number, job.sequence).first->second != job.sequence) {
    fail("QoS 2 handed out twice");
  }
}

void StoredWorld::work(std::size_t which) {
  if (jobs_.empty()) return;
  const auto at = jobs_.begin() + static_cast<std::ptrdiff_t>(which % jobs_.size());
  if (!at->accepted) return;
  if (!at->handed_out) return hand_out(*at);
  const Job job = *at;
  jobs_.erase(at);
  if (job.qos == QoS::exactly_once && choose_(2) == 0) {
    operations_.push_back({Operation::Kind::handed_out, job.packet_id, job.sequence});
  }
  peer_->session.acknowledge_deferred(job.ticket, ReasonCode::success);
}

void StoredWorld::insert() {
  if (queue_.size() >= 40) return;
  const Seq seq = ++last_;
  const auto qos = choose_(2) == 0 ? QoS::at_least_once : QoS::exactly_once;
  mqtt::PublicationInfo info;
  info.qos = qos;
  std::string payload = std::to_string(seq) + " ";
  payload.append(choose_(100), '.');
  queue_[seq] = {mqtt::Publication::make(info, "t", "down", "", payload), qos};
  inserted_[seq] = qos;
  effects_.push_back(seq);
}

Stored StoredWorld::give(Seq seq, bool fetched) {
  const Queued& queued = queue_.at(seq);
  mqtt::PublicationView view = mqtt::PublicationView::of(queued.publication);
  forms_.reset(view, now_ms_);
  const Delivery delivery{.granted = queued.qos};
  Session& session = peer_->session;
  const Stored result = fetched ? session.deliver_fetched(forms_, delivery, seq)
                                : session.deliver_stored(forms_, delivery, seq);
  if (result == Stored::no_room) ++tally_.no_room;
  if (result == Stored::finished) fail("finished unsent");
  return result;
}

void StoredWorld::deliver_effect() {
  if (effects_.empty()) return;
  const Seq seq = effects_.front();
  effects_.pop_front();
  if (queue_.contains(seq) && choose_(12) != 0) give(seq, false);
}

/// As by Overflow::drop_oldest, or to another member of a shared group.
void StoredWorld::drop_unsent() {
  const auto at = queue_.upper_bound(std::max(sent_up_to_, peer_->session.sent_up_to()));
  if (at == queue_.end()) return;
  dropped_.insert(at->first);
  queue_.erase(at);
}

void StoredWorld::read_queue() {
  Session& session = peer_->session;
  if (reading_) {
    const Reading reading = *std::exchange(reading_, std::nullopt);
    const bool failed = choose_(10) == 0;
    for (const Seq seq : reading.seqs) {
      if (failed) break;
      if (queue_.contains(seq) && give(seq, true) == Stored::no_room) break;
    }
    session.fetch_done(failed ? 0 : reading.end);
    return;
  }
  const std::optional<Fetch> fetch = session.take_fetch(now_ms_);
  if (!fetch) return;
  ++tally_.fetches;
  reading_.emplace();
  std::size_t bytes = 0;
  for (auto at = queue_.lower_bound(fetch->from); at != queue_.end(); ++at) {
    bytes += at->second.publication->size_bytes();
    const bool full = reading_->seqs.size() >= fetch->max_messages || bytes > fetch->max_bytes;
    if (full && !reading_->seqs.empty()) break;
    reading_->seqs.push_back(at->first);
    reading_->end = at->first + 1;
    if (full) return;
  }
  if (reading_->seqs.empty() || reading_->seqs.back() == queue_.rbegin()->first) {
    reading_->end = last_ + 1;
  }
}

/// What the session wants committed goes to the inbox.
void StoredWorld::collect() {
  Session& session = peer_->session;
  for (const Seq seq : session.take_received()) {
    operations_.push_back({Operation::Kind::received, seq});
  }
  for (const std::uint16_t id : session.take_releases()) {
    operations_.push_back({Operation::Kind::release, id});
  }
  for (const Seq seq : session.take_finished()) {
    operations_.push_back({Operation::Kind::finish, seq});
  }
}

void StoredWorld::apply(const Operation& operation) {
  const auto id = static_cast<std::uint16_t>(operation.value);
  switch (operation.kind) {
    case Operation::Kind::accept:
      accepted_[id] = {id, operation.sequence, false};
      for (Job& job : jobs_) job.accepted |= job.sequence == operation.sequence;
      break;
    case Operation::Kind::handed_out:
      if (accepted_.contains(id)) accepted_[id].handed_out = true;
      break;
    case Operation::Kind::release:
      accepted_.erase(id);
      peer_->session.released(id);
      break;
    case Operation::Kind::received:
      queue_.erase(operation.value);
      received_.insert(operation.value);
      peer_->session.received_committed(operation.value);
      break;
    case Operation::Kind::finish:
      queue_.erase(operation.value);
      received_.erase(operation.value);
      break;
  }
}

void StoredWorld::step() {
  peer_->now_ms = now_ms_;
  switch (choose_(16)) {
    case 0:
      client_.publish(choose_(3) == 0 ? QoS::at_least_once : QoS::exactly_once, kQuota);
      break;
    case 1:
    case 2: {
      const std::size_t size = std::min<std::size_t>(client_.to_broker.size(), choose_(60));
      const std::string bytes = client_.to_broker.substr(0, size);
      client_.to_broker.erase(0, size);
      peer_->feed(bytes);
      break;
    }
    case 3:
    case 4:
      for (const Received& packet : peer_->received_packets()) client_.receive(packet);
      break;
    case 5:
    case 6:
      client_.ack(choose_(4) == 0 ? choose_(8) : 0);
      break;
    case 7:
      insert();
      break;
    case 8:
      deliver_effect();
      break;
    case 9:
    case 10:
      collect();
      if (!operations_.empty()) {
        apply(operations_.front());
        operations_.pop_front();
      }
      break;
    case 11:
    case 12:
      work(choose_(4));
      break;
    case 13:
      read_queue();
      break;
    case 14:
      now_ms_ += choose_(20);
      if (choose_(8) == 0) drop_unsent();
      break;
    default:
      if (choose_(8) != 0) break;
      disconnect();
      connect();
      break;
  }
  if (peer_->session.state() != Session::State::connected) fail("not connected");
  if (!peer_->inbox.fault().empty()) fail(peer_->inbox.fault());
}

void StoredWorld::heal() {
  for (int round = 0; round < 2000 && fault().empty(); ++round) {
    now_ms_ += 20;
    peer_->now_ms = now_ms_;
    peer_->feed(std::exchange(client_.to_broker, {}));
    collect();
    for (; !operations_.empty(); operations_.pop_front()) apply(operations_.front());
    while (!effects_.empty()) deliver_effect();
    peer_->session.heard_of(last_);
    read_queue();
    for (int i = 0; i < 40; ++i) work(0);
    for (const Received& packet : peer_->received_packets()) client_.receive(packet);
    while (!client_.acks.empty()) client_.ack(0);
    if (queue_.empty() && received_.empty() && accepted_.empty() && client_.outgoing.empty()) break;
  }
  if (!queue_.empty()) fail("messages left");
  if (!received_.empty()) fail("receipts left");
  if (!accepted_.empty()) fail("publishes left");
  if (!client_.outgoing.empty()) fail("the client waits");
  for (const auto& [seq, qos] : inserted_) {
    if (dropped_.contains(seq)) continue;
    const auto& got = qos == QoS::exactly_once ? client_.got_once : client_.got;
    if (!got.contains(seq)) fail("lost " + std::to_string(seq));
  }
  for (const auto& [number, qos] : client_.published) {
    if (!sequence_of_.contains(number)) fail("publish lost " + std::to_string(number));
  }
  tally_.got = static_cast<int>(client_.got.size() + client_.got_once.size());
  tally_.published = static_cast<int>(client_.published.size());
  for (const auto& [seq, times] : client_.got) tally_.dups += times - 1;
}

}  // namespace skald::session::testing
