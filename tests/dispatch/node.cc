#include "tests/dispatch/node.h"

#include <algorithm>

#include "mqtt/topic/topic.h"

namespace skald::dispatch::testing {

using codec::PacketType;
using codec::QoS;
using codec::ReasonCode;
using session::Session;

namespace {

constexpr Life kLife{NodeId{1}, LifeNumber{1}};

Client& client_of(Session& session) { return *static_cast<Client*>(session.shell); }

codec::Ack ack_of(PacketType type, std::uint16_t id) {
  codec::Ack ack;
  ack.type = type;
  ack.packet_id = id;
  return ack;
}

}  // namespace

void Client::write(session::testing::Publish publish) {
  if (publish.qos != QoS::at_most_once) {
    do {
      last_id = last_id == 65535 ? 1 : static_cast<std::uint16_t>(last_id + 1);
    } while (open.contains(last_id));
    publish.packet_id = last_id;
    open[last_id] = publish.qos == QoS::at_least_once ? PacketType::puback : PacketType::pubrec;
  }
  to_broker += session::testing::bytes_of(publish, version);
}

std::uint16_t Client::subscribe(const std::string& filter, codec::SubscriptionOptions options,
                                std::uint32_t id) {
  codec::Subscribe packet;
  packet.packet_id = last_id = static_cast<std::uint16_t>(last_id % 60'000 + 1);
  packet.subscription_id = id;
  packet.entries.push_back({filter, options});
  write(packet);
  return packet.packet_id;
}

std::uint16_t Client::unsubscribe(const std::string& filter) {
  codec::Unsubscribe packet;
  packet.packet_id = last_id = static_cast<std::uint16_t>(last_id % 60'000 + 1);
  packet.filters.push_back(filter);
  write(packet);
  return packet.packet_id;
}

void Client::send_ack() {
  if (acks.empty()) return;
  to_broker += acks.front();
  acks.pop_front();
}

Loop::Loop(std::uint16_t at, std::uint16_t loops, std::uint64_t seed,
           const BackPressure::Options& back_pressure)
    : index(at),
      dispatch({.loop = at,
                .loops = loops,
                .life = kLife,
                .seed = seed + at,
                .match_cache_entries = 8,
                .flush_from_bytes = 512,
                .back_pressure = back_pressure},
               workspace) {}

Node::Node(const Options& options) : options_(options), routes_(kLife, options.seed) {
  dist_.boundary_changed({});
  for (std::uint16_t i = 0; i < options.loops; ++i) {
    loops_.push_back(std::make_unique<Loop>(i, options.loops, options.seed, options.back_pressure));
    loops_.back()->workspace.limits = options.limits;
  }
}

Client& Node::open(std::uint16_t loop, codec::Version version) {
  Loop& on = *loops_[loop];
  clients_.push_back(std::make_unique<Client>(on, on.workspace, version, ++last_session_));
  clients_.back()->session.shell = clients_.back().get();
  return *clients_.back();
}

Client& Node::connect(std::uint16_t loop, const codec::Connect& connect) {
  Client& client = open(loop, connect.version);
  client.write(connect);
  read(client, SIZE_MAX);
  take(client, SIZE_MAX);
  return client;
}

void Node::new_burst(Loop& loop) {
  // Only what is newer: what the core remembers must do for itself.
  if (loop.routes != published_routes_) {
    loop.dispatch.set_routes(loop.routes = published_routes_);
  }
  if (loop.interest != published_interest_) {
    loop.dispatch.set_interest(loop.interest = published_interest_);
  }
}

void Node::read(Client& client, std::size_t n) {
  const bool full = client.session.publish_blocked() && client.input.size() > options_.aside_max;
  if (client.over || full) return;
  n = std::min(n, client.to_broker.size());
  client.input.append(client.to_broker, 0, n);
  client.to_broker.erase(0, n);
  new_burst(client.loop);
  process(client);
  round(client.loop);
}

/// As the session actor does with what it has read.
void Node::process(Client& client) {
  Session& session = client.session;
  client.processing = true;
  if (session.publish_blocked()) {
    session.receive_past_block(client.input, client.scan, now_ms_);
  } else {
    client.scan = 0;
    const std::string in = std::exchange(client.input, {});
    std::string_view left = in;
    while (!left.empty()) {
      const Session::Step step = session.receive(left, now_ms_);
      left.remove_prefix(step.consumed);
      if (!carry_out(client, step.event)) break;
    }
    client.input.assign(left);
    if (session.publish_blocked()) session.receive_past_block(client.input, client.scan, now_ms_);
  }
  client.processing = false;
  Dispatch& dispatch = client.loop.dispatch;
  if (dispatch.has_batches()) send_batches(client.loop, &session);
  if (!session.output().empty()) dispatch.mark_dirty(session);
  dispatch.back_pressure().progressed(session);
  if (session.state() == Session::State::closed) session_over(client);
}

bool Node::carry_out(Client& client, Session::Event event) {
  Session& session = client.session;
  Loop& loop = client.loop;
  switch (event) {
    case Session::Event::handled:
      return true;
    case Session::Event::connect:
      session.set_client_id("c" + std::to_string(client.session_id));
      session.accept({.tenant = "t",
                      .publisher = {.life = kLife, .session = client.session_id},
                      .response_information = {}},
                     now_ms_);
      loop.dispatch.add(session);
      return true;
    case Session::Event::publish: {
      mqtt::PublicationView& publication = loop.workspace.publication;
      if (loop.dispatch.publish(publication, &session, now_ms_).pending) {
        const std::uint64_t tag = loop.dispatch.inserts().back().tag = ++last_tag_;
        loop.waiting[tag] = {client.session_id, session.defer_acknowledge(), 1};
      } else {
        session.acknowledge(ReasonCode::success);
      }
      publication.shared = {};
      if (!loop.dispatch.has_pressed()) return true;
      const std::vector<Session*> pressed = loop.dispatch.take_pressed();
      for (Session* receiver : pressed) flush(client_of(*receiver));
      if (session.state() == Session::State::connected) {
        loop.dispatch.settle(session, pressed, now_ms_);
      }
      return true;
    }
    case Session::Event::subscribe:
      subscribe(client);
      return true;
    case Session::Event::unsubscribe:
      unsubscribe(client);
      return true;
    default:
      return false;
  }
}

void Node::subscribe(Client& client) {
  Loop& loop = client.loop;
  const auto packet = std::get<codec::Subscribe>(std::move(loop.workspace.control));
  const codec::Subscribe::Entry& entry = packet.entries.front();
  const topic::Filter parsed = topic::parse_filter(entry.filter);
  if (!parsed.ok()) {
    client.session.subscribed(packet.packet_id, {ReasonCode::topic_filter_invalid});
    return;
  }
  bool replaced = false;
  const Session::Subscription subscription{.options = entry.options, .id = packet.subscription_id};
  client.session.add_subscription(entry.filter, subscription, replaced);
  const std::uint64_t token = ++last_token_;
  const std::string filter(parsed.filter);
  Wish wish{.filter = filter, .group = std::string(parsed.group), .member = {}, .token = token};
  if (parsed.shared()) {
    wish.kind = Wish::Kind::join;
    wish.member = {kLife, client.session_id, ++last_incarnation_, loop.index, entry.options.qos};
  } else {
    const bool first = loop.dispatch.subscribe(client.session, filter, subscription, replaced);
    if (!first && !loop.adding.contains(filter)) {
      client.session.subscribed(packet.packet_id, {ReasonCode::success});
      return;
    }
    ++loop.adding[filter];
    loop.adding_key[token] = filter;
  }
  loop.pending[token] = {client.session_id, packet.packet_id, false};
  post(loop.index, kKeeper, std::move(wish));
}

void Node::unsubscribe(Client& client) {
  Loop& loop = client.loop;
  const auto packet = std::get<codec::Unsubscribe>(std::move(loop.workspace.control));
  const std::string& filter = packet.filters.front();
  if (client.session.subscriptions() == nullptr ||
      !client.session.subscriptions()->contains(filter)) {
    client.session.unsubscribed(packet.packet_id, {ReasonCode::no_subscription_existed});
    return;
  }
  const bool shared = topic::parse_filter(filter).shared();
  const std::uint64_t token = shared ? ++last_token_ : 0;
  if (shared) loop.pending[token] = {client.session_id, packet.packet_id, true};
  drop(client, filter, token);
  if (!shared) client.session.unsubscribed(packet.packet_id, {ReasonCode::success});
}

void Node::drop(Client& client, const std::string& filter, std::uint64_t token) {
  Loop& loop = client.loop;
  const topic::Filter parsed = topic::parse_filter(filter);
  Wish wish{.kind = Wish::Kind::unsubscribe,
            .filter = std::string(parsed.filter),
            .group = std::string(parsed.group),
            .member = {},
            .token = token};
  if (parsed.shared()) {
    wish.kind = Wish::Kind::leave;
    wish.member = {kLife, client.session_id, ++last_incarnation_, loop.index, QoS{}};
    post(loop.index, kKeeper, std::move(wish));
  } else if (loop.dispatch.unsubscribe(client.session, parsed.filter)) {
    post(loop.index, kKeeper, std::move(wish));
  }
  client.session.remove_subscription(filter);
}

void Node::flush(Client& client) {
  session::Output& output = client.session.output();
  while (!output.empty() && client.to_client.size() < client.room) {
    session::Output::Piece piece{};
    if (output.pieces(&piece, 1) == 0) break;
    const std::size_t n = std::min(piece.size, client.room - client.to_client.size());
    client.to_client.append(piece.data, n);
    output.consume(n);
  }
  if (client.over) return;
  if (client.session.drained(now_ms_)) client.loop.dispatch.mark_dirty(client.session);
  client.loop.dispatch.back_pressure().progressed(client.session);
  if (client.session.state() == Session::State::closed && !client.processing) {
    session_over(client);
  }
}

void Node::session_over(Client& client) {
  if (client.over) return;
  client.over = true;
  Loop& loop = client.loop;
  if (loop.dispatch.find(client.session_id) != &client.session) return;
  std::vector<std::string> filters;
  if (client.session.subscriptions() != nullptr) {
    for (const auto& [filter, options] : *client.session.subscriptions()) {
      filters.push_back(filter);
    }
  }
  std::sort(filters.begin(), filters.end());  // the map's order differs from run to run
  for (const std::string& filter : filters) drop(client, filter, 0);
  loop.dispatch.remove(client.session);
  for (const session::SharedMessage& message : client.session.take_unfinished_shared()) {
    loop.dispatch.redispatch(message, now_ms_);
  }
  client.session.take_will();
}

void Node::cut(Client& client) {
  client.session.connection_lost();
  session_over(client);
  round(client.loop);
}

void Node::send_batches(Loop& loop, Session* publisher) {
  for (auto& [to, batch] : loop.dispatch.take_batches(publisher)) {
    post(loop.index, to, std::move(batch));
  }
}

void Node::round(Loop& loop) {
  Dispatch& dispatch = loop.dispatch;
  BackPressure& pressure = dispatch.back_pressure();
  do {
    std::vector<Session*>& dirty = dispatch.dirty();
    for (std::size_t i = 0; i < dirty.size(); ++i) {
      if (dirty[i] == nullptr) continue;
      Session* session = dirty[i];
      session->dirty = false;
      flush(client_of(*session));
    }
    dirty.clear();
    for (Session* session : pressure.take_released()) {
      Client& client = client_of(*session);
      if (!client.over) process(client);
    }
  } while (!dispatch.dirty().empty() || pressure.has_released());
  if (dispatch.has_batches()) send_batches(loop, nullptr);
  for (const Credit& credit : pressure.take_credits()) {
    if (credit.publisher != 0) post(loop.index, credit.loop, credit);
  }
  send_to_inboxes(loop);
}

void Node::send_to_inboxes(Loop& loop) {
  // QoS 0 goes to who is online; here all are, and it arrives at once.
  for (const InboxDelivery& delivery : loop.dispatch.take_unlogged()) {
    delivery.for_each([&](const InboxTarget& target) {
      if (on_inbox) on_inbox(target, *delivery.publication);
    });
  }
  if (loop.dispatch.inserts().empty()) return;
  post(loop.index, kInboxes, Inserts{loop.dispatch.take_inserts()});
}

void Node::on_inserts(std::uint16_t loop, const Inserts& inserts) {
  for (const InboxDelivery& delivery : inserts.deliveries) {
    Inserted inserted{.tag = delivery.tag, .publication = delivery.publication, .refused = {}};
    delivery.for_each([&](const InboxTarget& target) {
      const bool taken = !on_inbox || on_inbox(target, *delivery.publication);
      if (!taken && target.shared != nullptr) inserted.refused.push_back(*target.shared);
    });
    post(kInboxes, loop, std::move(inserted));
  }
}

void Node::on_inserted(Loop& loop, const Inserted& inserted) {
  int more = 0;
  for (const SharedInbox& refused : inserted.refused) {
    const PublishResult result = loop.dispatch.redispatch(inserted.publication, refused, now_ms_);
    if (!result.pending) continue;
    loop.dispatch.inserts().back().tag = inserted.tag;
    ++more;
  }
  const auto found = loop.waiting.find(inserted.tag);
  if (found == loop.waiting.end()) return;
  found->second.deliveries += more - 1;
  if (found->second.deliveries > 0) return;
  const Loop::Waiting waiting = found->second;
  loop.waiting.erase(found);
  if (Session* session = loop.dispatch.find(waiting.session)) {
    session->acknowledge_deferred(waiting.ticket, ReasonCode::success);
    loop.dispatch.mark_dirty(*session);
  }
}

dist::RouteResult Node::change_route(dist::RouteChange::Kind kind, const dist::Route& route) {
  const auto applied =
      dist_.apply({.index = ++last_index_, .term = 1, .lane = {kLife, 0}, .seq = last_index_},
                  dist::ChangeRoutes{{{kind, route}}});
  published_routes_ = std::make_shared<const dist::RouteSnapshot>(dist_.snapshot());
  return applied.reply.results[0];
}

void Node::take(Client& client, std::size_t n) {
  n = std::min(n, client.to_client.size());
  client.inbox.feed(std::string_view(client.to_client).substr(0, n));
  client.to_client.erase(0, n);
  for (const auto& received : client.inbox.take()) client_got(client, received);
  flush(client);
  round(client.loop);
}

void Node::client_got(Client& client, const session::testing::Received& received) {
  const auto owe = [&](PacketType type, std::uint16_t id) {
    client.acks.push_back(
        session::testing::bytes_of(codec::ControlPacket(ack_of(type, id)), client.version));
  };
  if (const auto* message = std::get_if<session::testing::Message>(&received)) {
    if (message->qos == QoS::at_least_once) owe(PacketType::puback, message->packet_id);
    if (message->qos == QoS::exactly_once) owe(PacketType::pubrec, message->packet_id);
    const bool again =
        message->qos == QoS::exactly_once && !client.received.insert(message->packet_id).second;
    if (!again && on_message) on_message(client, *message);
    return;
  }
  const auto& packet = std::get<codec::ControlPacket>(received);
  if (const auto* ack = std::get_if<codec::Ack>(&packet)) {
    if (ack->type == PacketType::pubrel) {
      client.received.erase(ack->packet_id);
      owe(PacketType::pubcomp, ack->packet_id);
    } else if (const auto at = client.open.find(ack->packet_id);
               at != client.open.end() && at->second == ack->type) {
      if (ack->type == PacketType::pubrec && !codec::is_error(ack->reason)) {
        at->second = PacketType::pubcomp;
        owe(PacketType::pubrel, ack->packet_id);
      } else {
        client.open.erase(at);
      }
    }
  }
  if (on_packet) on_packet(client, packet);
}

bool Node::deliver(std::size_t choice) {
  std::vector<std::pair<std::uint16_t, std::uint16_t>> full;
  for (const auto& [lane, letters] : lanes_) {
    const bool stopped = inboxes_stopped && lane.second == kInboxes;
    if (!letters.empty() && !stopped) full.push_back(lane);
  }
  if (full.empty()) return false;
  const auto lane = full[choice % full.size()];
  const Letter letter = std::move(lanes_[lane].front());
  lanes_[lane].pop_front();
  if (lane.second == kKeeper) {
    on_wish(lane.first, std::get<Wish>(letter));
  } else if (lane.second == kInboxes) {
    on_inserts(lane.first, std::get<Inserts>(letter));
  } else {
    on_letter(*loops_[lane.second], letter);
  }
  return true;
}

void Node::on_letter(Loop& loop, const Letter& letter) {
  new_burst(loop);
  if (const auto* batch = std::get_if<LoopBatch>(&letter)) {
    loop.dispatch.receive(*batch, now_ms_);
    const std::vector<Session*> pressed = loop.dispatch.take_pressed();
    for (Session* receiver : pressed) flush(client_of(*receiver));
    loop.dispatch.return_credit(batch->credit, pressed, now_ms_);
  } else if (const auto* credit = std::get_if<Credit>(&letter)) {
    if (Session* publisher = loop.dispatch.find(credit->publisher)) {
      loop.dispatch.back_pressure().give_back(*publisher, credit->bytes);
    }
  } else if (const auto* inserted = std::get_if<Inserted>(&letter)) {
    on_inserted(loop, *inserted);
  } else if (const auto* answer = std::get_if<RouteAnswer>(&letter)) {
    if (const auto adding = loop.adding_key.find(answer->token); adding != loop.adding_key.end()) {
      if (--loop.adding[adding->second] == 0) loop.adding.erase(adding->second);
      loop.adding_key.erase(adding);
    }
    const auto found = loop.pending.find(answer->token);
    if (found != loop.pending.end()) {
      const PendingAck pending = found->second;
      loop.pending.erase(found);
      if (Session* session = loop.dispatch.find(pending.session)) {
        if (pending.unsubscribe) {
          session->unsubscribed(pending.packet_id, {ReasonCode::success});
        } else {
          session->subscribed(pending.packet_id, {ReasonCode::success});
        }
        loop.dispatch.mark_dirty(*session);
      }
    }
  }
  round(loop);
}

void Node::propose(std::uint16_t loop) {
  NodeRoutes::Ready ready = routes_.take_ready();
  if (ready.interest) {
    published_interest_ = std::make_shared<const InterestSnapshot>(*ready.interest);
  }
  for (const NodeRoutes::Answer& answer : ready.answers) {
    post(kKeeper, static_cast<std::uint16_t>(answer.loop), RouteAnswer{answer.token});
  }
  for (const NodeRoutes::Batch& batch : ready.proposals) {
    const auto applied = dist_.apply(
        {.index = ++last_index_, .term = 1, .lane = {kLife, 0}, .seq = last_index_}, batch.command);
    published_routes_ = std::make_shared<const dist::RouteSnapshot>(dist_.snapshot());
    std::vector<NodeRoutes::Outcome> outcomes;
    for (const dist::RouteResult result : applied.reply.results) {
      outcomes.push_back(NodeRoutes::outcome_of(result));
    }
    routes_.on_reply(batch.id, outcomes);
  }
  if (!ready.proposals.empty()) propose(loop);
}

void Node::on_wish(std::uint16_t loop, const Wish& wish) {
  switch (wish.kind) {
    case Wish::Kind::subscribe:
      routes_.subscribe("t", wish.filter, loop, wish.token);
      break;
    case Wish::Kind::unsubscribe:
      routes_.unsubscribe("t", wish.filter, loop);
      break;
    case Wish::Kind::join:
    case Wish::Kind::leave: {
      const auto kind = wish.kind == Wish::Kind::join ? dist::RouteChange::Kind::add
                                                      : dist::RouteChange::Kind::remove;
      dist::ChangeRoutes command;
      command.changes.push_back(
          {kind, {"t", wish.filter, dist::GroupReceiver{wish.group, wish.member}}});
      dist_.apply({.index = ++last_index_, .term = 1, .lane = {kLife, 0}, .seq = last_index_},
                  command);
      published_routes_ = std::make_shared<const dist::RouteSnapshot>(dist_.snapshot());
      if (wish.token != 0) post(kKeeper, loop, RouteAnswer{wish.token});
      break;
    }
  }
  propose(loop);
}

void Node::tick(mqtt::TimeMs ms) {
  now_ms_ += ms;
  for (auto& loop : loops_) {
    loop->dispatch.back_pressure().tick(now_ms_);
    round(*loop);
  }
}

void Node::settle() {
  for (int i = 0; i < 100'000; ++i) {
    bool moved = deliver(static_cast<std::size_t>(i));
    for (auto& client : clients_) {
      // What a client that is not read has written does not move.
      const std::size_t unread = client->to_broker.size();
      moved |= !client->acks.empty() || !client->to_client.empty();
      take(*client, SIZE_MAX);
      while (!client->acks.empty()) client->send_ack();
      const std::size_t owed = client->to_broker.size();
      read(*client, 1000);
      moved |= client->to_broker.size() != owed || owed != unread;
    }
    if (!moved) return;
  }
}

std::string Node::unrest() const {
  for (const auto& [lane, letters] : lanes_) {
    if (!letters.empty()) return "letters are on their way";
  }
  for (const auto& loop : loops_) {
    BackPressure& pressure = loop->dispatch.back_pressure();
    if (pressure.receivers_behind() > 0) return "a receiver is behind";
    if (pressure.publishers_held() > 0) return "a publisher is held";
  }
  for (const auto& client : clients_) {
    if (!client->honest) continue;
    if (!client->inbox.fault().empty()) return "stream: " + client->inbox.fault();
    if (client->over) continue;
    if (client->session.publish_blocked()) return "a publisher is blocked";
    if (!client->open.empty()) return "a publish is not acked";
    if (!client->received.empty()) return "a QoS 2 message is not released";
    if (!client->input.empty() || !client->to_broker.empty()) return "bytes are not read";
    if (client->inbox.unfinished() > 0) return "a packet is not finished";
  }
  return {};
}

}  // namespace skald::dispatch::testing
