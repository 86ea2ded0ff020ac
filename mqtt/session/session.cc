// Life of a session: packets in, CONNECT to the end. Publishes in: inbound.cc; out: outbound.cc.
#include "mqtt/session/session.h"

#include <algorithm>
#include <utility>

#include "config/base/assert.h"
#include "mqtt/codec/encoder.h"
#include "mqtt/codec/reasons.h"
#include "mqtt/codec/utf8.h"
#include "mqtt/session/persistent.h"
#include "mqtt/session/session_write.h"

namespace skald::session {

using codec::PacketType;
using codec::ReasonCode;
using codec::Version;

namespace {

/// Acks and pings overtake a publish that has to wait; everything else keeps its place behind it.
bool may_overtake(PacketType type) {
  return type == PacketType::puback || type == PacketType::pubrec || type == PacketType::pubrel ||
         type == PacketType::pubcomp || type == PacketType::pingreq;
}

/// What may wait for a client that sends and does not read, beside publishes.
constexpr std::size_t kUrgentMax = 1024 * 1024;

/// A reason for the end, in a packet that may not have it: the nearest one that it may have.
ReasonCode allowed_in(PacketType type, ReasonCode reason) {
  if (codec::reason_allowed(type, static_cast<std::uint8_t>(reason))) return reason;
  switch (reason) {
    case ReasonCode::server_shutting_down:
      return ReasonCode::server_unavailable;
    case ReasonCode::session_taken_over:
      return ReasonCode::server_busy;
    default:
      return type == PacketType::connack ? ReasonCode::unspecified_error
                                         : ReasonCode::protocol_error;
  }
}

/// DISCONNECT by a client has fewer reasons than by a server (MQTT 5.0 table 3-13).
bool client_may_say(ReasonCode reason) {
  switch (reason) {
    case ReasonCode::not_authorized:
    case ReasonCode::server_busy:
    case ReasonCode::server_shutting_down:
    case ReasonCode::bad_authentication_method:
    case ReasonCode::keep_alive_timeout:
    case ReasonCode::session_taken_over:
    case ReasonCode::topic_filter_invalid:
    case ReasonCode::retain_not_supported:
    case ReasonCode::qos_not_supported:
    case ReasonCode::use_another_server:
    case ReasonCode::server_moved:
    case ReasonCode::shared_subscriptions_not_supported:
    case ReasonCode::connection_rate_exceeded:
    case ReasonCode::maximum_connect_time:
    case ReasonCode::subscription_identifiers_not_supported:
    case ReasonCode::wildcard_subscriptions_not_supported:
      return false;
    default:
      return true;
  }
}

/// A CONNECT is the only packet before authentication: nothing larger is worth waiting for.
constexpr std::size_t kMaxConnectSize = 256 * 1024;

End end_of(ReasonCode reason) {
  switch (reason) {
    case ReasonCode::malformed_packet:
      return End::malformed;
    case ReasonCode::receive_maximum_exceeded:
      return End::receive_maximum;
    case ReasonCode::packet_too_large:
      return End::packet_too_large;
    case ReasonCode::topic_alias_invalid:
      return End::topic_alias;
    case ReasonCode::quota_exceeded:
      return End::quota;
    default:
      return End::protocol_error;
  }
}

}  // namespace

Session::Session(Workspace& workspace)
    : workspace_(&workspace),
      counters_(&workspace.counters),
      limits_(&workspace.limits),
      output_(workspace.pool) {}

Session::~Session() = default;

Session::Step Session::receive(std::string_view in, mqtt::TimeMs now_ms) {
  if (state_ == State::closed) return {Event::closed, 0};
  const std::size_t largest = state_ == State::awaits_connect
                                  ? std::min<std::size_t>(kMaxConnectSize, limits_->max_packet_size)
                                  : limits_->max_packet_size;
  // Before CONNECT nothing else is waited for, whatever length it claims [MQTT-3.1.0-1].
  if (state_ == State::awaits_connect && !in.empty() &&
      static_cast<unsigned char>(in.front()) != 0x10) {
    return fail(ReasonCode::protocol_error, "first packet is not CONNECT");
  }
  const codec::FrameResult found = codec::next_frame(in, largest);
  switch (found.status) {
    case codec::FrameStatus::need_more:
      needed_ = found.needed;
      return {Event::need_more, 0};
    case codec::FrameStatus::too_large:
      return fail(ReasonCode::packet_too_large, "packet larger than the maximum packet size");
    case codec::FrameStatus::malformed:
      return fail(ReasonCode::malformed_packet, "remaining length malformed");
    case codec::FrameStatus::complete:
      needed_ = 0;  // of a packet that has come whole
      break;
  }
  if (publish_blocked_ && !may_overtake(found.frame.type())) return {Event::blocked, 0};
  Step step = on_packet(found.frame, now_ms);
  step.consumed = found.frame.bytes.size();
  return step;
}

Session::Event Session::receive_past_block(std::string& buffered, std::size_t& scan,
                                           mqtt::TimeMs now_ms) {
  while (state_ == State::connected) {
    const std::string_view rest = std::string_view(buffered).substr(scan);
    const codec::FrameResult found = codec::next_frame(rest, limits_->max_packet_size);
    if (found.status == codec::FrameStatus::need_more) {
      needed_ = scan + found.needed;
      return Event::need_more;
    }
    if (found.status != codec::FrameStatus::complete) return Event::blocked;  // told in its turn
    const PacketType type = found.frame.type();
    const std::size_t size = found.frame.bytes.size();
    if (may_overtake(type)) {
      on_packet(found.frame, now_ms);
      buffered.erase(scan, size);
    } else if (type == PacketType::publish) {
      scan += size;
    } else {
      return Event::blocked;  // keeps its place behind the publishes
    }
  }
  return state_ == State::closed ? Event::closed : Event::blocked;
}

Session::Step Session::on_packet(const codec::Frame& frame, mqtt::TimeMs now_ms) {
  last_received_ms_ = now_ms;
  ++counters_->packets_received;
  switch (frame.type()) {
    case PacketType::publish:
      if (state_ == State::connected) return on_publish(frame, now_ms);
      return fail(ReasonCode::protocol_error, "packet out of place");
    case PacketType::puback:
    case PacketType::pubrec:
    case PacketType::pubrel:
    case PacketType::pubcomp: {
      std::uint16_t packet_id = 0;
      ReasonCode reason = ReasonCode::success;
      if (state_ == State::connected &&
          codec::decode_plain_ack(frame, version_, packet_id, reason)) {
        on_ack(frame.type(), packet_id, reason, now_ms);
        return {Event::handled, 0};
      }
      break;
    }
    default:
      break;
  }
  return on_control(frame, now_ms);
}

Session::Step Session::on_control(const codec::Frame& frame, mqtt::TimeMs now_ms) {
  auto decoded = codec::decode_control(frame, version_);
  if (const auto* error = std::get_if<codec::DecodeError>(&decoded)) {
    return fail(error->reason, error->message);
  }
  auto& packet = std::get<codec::ControlPacket>(decoded);
  if (auto* connect = std::get_if<codec::Connect>(&packet)) {
    if (state_ != State::awaits_connect) {
      return fail(ReasonCode::protocol_error, "second CONNECT");  // [MQTT-3.1.0-2]
    }
    return on_connect(std::move(*connect));
  }
  if (auto* auth = std::get_if<codec::Auth>(&packet); auth != nullptr && is_v5()) {
    if (state_ == State::connecting || state_ == State::connected) {
      workspace_->control = std::move(packet);
      return {Event::auth, 0};
    }
  }
  if (state_ != State::connected) return fail(ReasonCode::protocol_error, "packet out of place");
  if (const auto* ack = std::get_if<codec::Ack>(&packet)) {
    on_ack(ack->type, ack->packet_id, ack->reason, now_ms);
    return {Event::handled, 0};
  }
  if (const auto* disconnect = std::get_if<codec::Disconnect>(&packet)) {
    return on_disconnect(*disconnect);
  }
  if (std::holds_alternative<codec::Pingreq>(packet)) {
    write_control(codec::Pingresp{});
    return {Event::handled, 0};
  }
  const bool subscribe = std::holds_alternative<codec::Subscribe>(packet);
  if (subscribe || std::holds_alternative<codec::Unsubscribe>(packet)) {
    workspace_->control = std::move(packet);
    return {subscribe ? Event::subscribe : Event::unsubscribe, 0};
  }
  return fail(ReasonCode::protocol_error, "packet that only a server may send");
}

Session::Step Session::on_connect(codec::Connect connect) {
  version_ = connect.version;
  bridge_ = connect.bridge;
  clean_start_ = connect.clean_start;
  expiry_was_zero_ = connect.session_expiry_s == 0;
  keep_alive_s_ = connect.keep_alive_s;
  request_problem_information_ = connect.request_problem_information;
  maximum_packet_size_ = connect.maximum_packet_size;
  const Limits& limits = *limits_;
  state_ = State::connecting;
  connect_ = std::make_unique<codec::Connect>(std::move(connect));
  // [MQTT-3.1.3-8]: 3.1.1 may leave the id out only with clean session; 3.1 not at all, yet
  // brokers take it with clean session there too.
  const bool may_be_empty = is_v5() || clean_start_;
  const bool too_long = connect_->client_id.size() > limits.max_client_id_bytes;
  if ((connect_->client_id.empty() && !may_be_empty) || too_long) {
    refuse(ReasonCode::client_identifier_not_valid, End::client_id_invalid,
           too_long ? "client identifier too long" : "client identifier missing");
    return {Event::closed, 0};
  }
  const ReasonCode refusal = judge_connect();
  if (refusal == ReasonCode::success) return {Event::connect, 0};
  const End end = refusal == ReasonCode::not_authorized              ? End::not_authorized
                  : refusal == ReasonCode::bad_authentication_method ? End::bad_credentials
                                                                     : End::protocol_error;
  refuse(refusal, end,
         refusal == ReasonCode::bad_authentication_method ? "authentication method not supported"
                                                          : "will not acceptable");
  return {Event::closed, 0};
}

/// What a CONNECT may be refused for without knowing the client; success: nothing.
ReasonCode Session::judge_connect() {
  if (connect_->authentication_method) return ReasonCode::bad_authentication_method;
  return connect_->will ? judge_will(*connect_->will) : ReasonCode::success;
}

/// A CONNECT has been judged by the limits of the loop; those of the tenant are narrower.
ReasonCode Session::use_limits(const Limits& limits) {
  SKALD_ASSERT(state_ == State::connecting);
  limits_ = &limits;
  const bool spoken = version_ == Version::v5     ? limits.v5_available
                      : version_ == Version::v311 ? limits.v311_available
                                                  : limits.v31_available;
  if (!spoken) return ReasonCode::unsupported_protocol_version;
  return connect_->will ? judge_will(*connect_->will) : ReasonCode::success;
}

/// What a v5 client is told of its limits. 3.x clients cannot be told: their own keep-alive holds
/// [MQTT-3.2.2-21].
void Session::tell_limits(codec::Connack& connack) {
  const Limits& limits = *limits_;
  connack.receive_maximum = limits.receive_maximum;
  connack.maximum_packet_size = limits.max_packet_size;
  if (limits.topic_alias_maximum_in > 0) {
    connack.topic_alias_maximum = limits.topic_alias_maximum_in;
  }
  if (limits.maximum_qos < 2) connack.maximum_qos = static_cast<codec::QoS>(limits.maximum_qos);
  if (!limits.retain_available) connack.retain_available = false;
  if (!limits.shared_available) connack.shared_subscription_available = false;
  if (!limits.wildcard_available) connack.wildcard_subscription_available = false;
  if (!limits.subscription_ids_available) connack.subscription_identifiers_available = false;
  std::uint16_t keep_alive = keep_alive_s_;
  const bool too_long =
      limits.max_keep_alive_s > 0 && (keep_alive == 0 || keep_alive > limits.max_keep_alive_s);
  if (limits.server_keep_alive_s > 0) {
    keep_alive = limits.server_keep_alive_s;
  } else if (too_long) {
    keep_alive = limits.max_keep_alive_s;
  } else if (keep_alive > 0 && keep_alive < limits.min_keep_alive_s) {
    keep_alive = limits.min_keep_alive_s;
  }
  if (limits.server_keep_alive_s == 0 && keep_alive == keep_alive_s_) return;
  keep_alive_s_ = keep_alive;
  connack.server_keep_alive_s = keep_alive;
}

void Session::accept(const Identity& identity, mqtt::TimeMs now_ms, const Resume* resuming) {
  SKALD_ASSERT(state_ == State::connecting);
  if (identity.limits != nullptr) limits_ = identity.limits;
  const Limits& limits = *limits_;
  window_.set_size(is_v5() ? std::min(connect_->receive_maximum, limits.max_inflight)
                           : limits.max_inflight);
  alias_maximum_out_ = std::min(connect_->topic_alias_maximum, limits.topic_alias_maximum_out);
  tenant_ = identity.tenant;
  publisher_ = identity.publisher;
  last_received_ms_ = now_ms;
  codec::Connack connack;
  if (resuming == nullptr) {
    persistent_.reset();
  } else {
    expiry_s_ = wished_expiry_s(limits);
    if (!persistent_) persistent_ = std::make_unique<Persistent>();
    SKALD_ASSERT(!clean_start_ || !resuming->session_present);  // [MQTT-3.2.2-2]
    connack.session_present = resuming->session_present && version_ != Version::v31;
  }
  if (is_v5() && connect_->session_expiry_s != expiry_s_) connack.session_expiry_s = expiry_s_;
  if (connect_->client_id.empty()) connack.assigned_client_id = client_id_;
  if (is_v5()) tell_limits(connack);
  if (connect_->request_response_information && !identity.response_information.empty()) {
    connack.response_information = std::string(identity.response_information);
  }
  write_control(connack);
  if (state_ == State::closed) return;  // it does not fit
  if (connect_->will) will_ = std::make_unique<codec::Will>(std::move(*connect_->will));
  connect_.reset();
  state_ = State::connected;
  if (resuming != nullptr) resume(*resuming);
}

void Session::refuse(ReasonCode reason, End end, std::string_view why) {
  SKALD_ASSERT(state_ == State::connecting);
  codec::Connack connack;
  connack.reason = is_v5() ? allowed_in(PacketType::connack, reason) : reason;
  if (!why.empty() && request_problem_information_) connack.reason_string = std::string(why);
  state_ = State::closed;
  end_ = end;
  write_control(connack);
  connect_.reset();
}

void Session::close(ReasonCode reason, End end, std::string_view why) {
  if (state_ == State::closed) return;
  if (state_ == State::connecting) {
    refuse(reason, end, why);
    return;
  }
  const bool tell = state_ == State::connected && is_v5();
  connect_.reset();
  state_ = State::closed;
  end_ = end;
  if (!tell) return;
  codec::Disconnect disconnect;
  disconnect.reason = allowed_in(PacketType::disconnect, reason);
  if (!why.empty() && request_problem_information_) disconnect.reason_string = std::string(why);
  write_control(disconnect);
}

void Session::connection_lost(End end) {
  if (state_ == State::closed) return;
  connect_.reset();
  state_ = State::closed;
  end_ = end;
  output_.clear();
}

Session::Step Session::on_disconnect(const codec::Disconnect& disconnect) {
  if (expiry_was_zero_ && disconnect.session_expiry_s.value_or(0) != 0) {  // [MQTT-3.14.2-2]
    return fail(ReasonCode::protocol_error, "session expiry raised from zero");
  }
  if (!client_may_say(disconnect.reason)) {
    return fail(ReasonCode::protocol_error, "DISCONNECT reason that only a server may give");
  }
  if (disconnect.session_expiry_s) change_expiry(*disconnect.session_expiry_s);
  ended_clean_ = disconnect.reason == ReasonCode::success;
  if (ended_clean_) will_.reset();  // only then [MQTT-3.1.2-10]
  state_ = State::closed;
  end_ = End::by_client;
  return {Event::closed, 0};
}

Session::Step Session::fail(ReasonCode reason, const char* message) {
  end_message_ = message;
  const End end = end_of(reason);
  if (state_ == State::awaits_connect) {
    // CONNACK tells a v3 client its level is not spoken; anything else gets no answer.
    if (reason == ReasonCode::unsupported_protocol_version) {
      codec::Connack connack;
      connack.reason = reason;
      std::string& scratch = workspace_->encode_scratch;
      scratch.clear();
      codec::encode(connack, Version::v311, scratch);
      output_.append_control(scratch);
    }
    state_ = State::closed;
    end_ = end;
  } else {
    close(reason, end, message);
  }
  return {Event::closed, 0};
}

/// Appends control packets. A client that sends and does not read must not fill the memory.
void Session::write(std::string_view packets) {
  ++counters_->packets_sent;
  output_.append_control(packets);
  if (output_.urgent_size() > kUrgentMax && state_ == State::connected) [[unlikely]] {
    close(ReasonCode::quota_exceeded, End::quota, "answers are not read");
  }
}

std::optional<inbox::Will> Session::will(std::string_view tenant) const {
  SKALD_ASSERT(state_ == State::connecting);
  if (!connect_->will) return std::nullopt;
  const codec::Will& will = *connect_->will;
  mqtt::PublicationInfo info;
  info.qos = will.qos;
  info.retain = will.retain;
  if (will.message_expiry_s) {  // 0 would be never
    info.expiry_ms = std::max<mqtt::TimeMs>(1, mqtt::TimeMs{*will.message_expiry_s} * 1000);
  }
  return inbox::Will{
      mqtt::Publication::make(info, tenant, will.topic, will.properties, will.payload),
      will.delay_s};
}

std::optional<codec::Will> Session::take_will() {
  if (!will_) return std::nullopt;
  codec::Will will = std::move(*will_);
  will_.reset();
  return will;
}

void Session::subscribed(std::uint16_t packet_id, std::vector<ReasonCode> reasons) {
  if (state_ != State::connected) return;
  codec::Suback suback;
  suback.packet_id = packet_id;
  suback.reasons = std::move(reasons);
  write_control(suback);
}

void Session::unsubscribed(std::uint16_t packet_id, std::vector<ReasonCode> reasons) {
  if (state_ != State::connected) return;
  codec::Unsuback unsuback;
  unsuback.packet_id = packet_id;
  unsuback.reasons = std::move(reasons);
  write_control(unsuback);
}

bool Session::add_subscription(const std::string& filter, const Subscription& subscription,
                               bool& replaced) {
  if (!subscriptions_) subscriptions_ = std::make_unique<Subscriptions>();
  const bool special = subscription.id != 0 || subscription.options.retain_as_published;
  if (special && filter.starts_with("$share/")) has_special_share_ = true;
  const auto found = subscriptions_->find(filter);
  replaced = found != subscriptions_->end();
  if (replaced) {
    found->second = subscription;
    return true;
  }
  if (subscriptions_->size() >= limits_->max_subscriptions) return false;
  subscriptions_->emplace(filter, subscription);
  return true;
}

bool Session::remove_subscription(const std::string& filter) {
  if (!subscriptions_ || subscriptions_->erase(filter) == 0) return false;
  if (subscriptions_->empty()) subscriptions_.reset();
  return true;
}

const Session::Subscription* Session::special_share(const GroupKey& group) const {
  if (!has_special_share_ || !subscriptions_) return nullptr;
  const auto found = subscriptions_->find("$share/" + group.group + "/" + group.filter);
  return found == subscriptions_->end() ? nullptr : &found->second;
}

void Session::shrink() {
  window_.shrink();
  if (queue_ && queue_->messages.empty()) queue_.reset();
  if (pending_acks_ && pending_acks_->empty()) pending_acks_.reset();
}

}  // namespace skald::session
