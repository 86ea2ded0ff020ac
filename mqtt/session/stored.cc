// Sessions in an inbox: what is resumed, messages out, QoS 2 in [MQTT-4.1, 4.3, 4.4].
#include "mqtt/session/stored.h"

#include <algorithm>
#include <utility>

#include "config/base/assert.h"
#include "mqtt/session/persistent.h"
#include "mqtt/session/session.h"

namespace skald::session {

using codec::PacketType;
using codec::QoS;
using codec::ReasonCode;
using inbox::Seq;
using Stage = StoredFlow::Stage;

namespace {

/// What an expiry that a client asks for becomes.
std::uint32_t allowed_expiry_s(std::uint32_t wish_s, const Limits& limits) {
  if (!limits.persistent_available || wish_s == 0) return 0;
  return std::min(std::max(wish_s, limits.min_session_expiry_s), limits.max_session_expiry_s);
}

}  // namespace

std::uint32_t Session::wished_expiry_s(const Limits& limits) const {
  SKALD_ASSERT(state_ == State::connecting);
  const bool never = !is_v5() && !clean_start_;  // 3.x has no expiry
  return allowed_expiry_s(never ? inbox::kNeverExpires : connect_->session_expiry_s, limits);
}

void Session::change_expiry(std::uint32_t wish_s) {
  if (persistent_) expiry_s_ = allowed_expiry_s(wish_s, *limits_);
}

std::optional<std::uint32_t> Session::changed_expiry_s() const {
  if (!persistent_ || persistent_->granted_expiry_s == expiry_s_) return std::nullopt;
  return expiry_s_;
}

/// After CONNACK: PUBREL of what the client has received; the messages follow as they are read.
void Session::resume(const Resume& resume) {
  sequence_ = resume.first_sequence - 1;
  for (const inbox::Accepted& accepted : resume.accepted) {
    if (!received_.insert(accepted.packet_id)) continue;
    persistent_->in.insert(accepted.packet_id,
                           {.sequence = accepted.sequence, .handed_out = accepted.handed_out});
  }
  persistent_->granted_expiry_s = expiry_s_;
  persistent_->out.resume(resume, window_.size());
  window_.set_size(0);  // nothing may go past the inbox
  for (const Seq seq : resume.received) {
    write_ack(PacketType::pubrel, StoredFlow::packet_id(seq), ReasonCode::success);
  }
}

// -- outbound
// ---------------------------------------------------------------------------------------

Stored Session::deliver_stored(WireForms& forms, const Delivery& delivery, Seq seq) {
  if (!persistent_) {
    if (state_ != State::connecting) return Stored::no_room;  // of no session that is here
    persistent_ = std::make_unique<Persistent>();
  }
  persistent_->out.heard_of(seq);
  if (state_ != State::connected || seq > persistent_->out.next()) return Stored::no_room;
  return send_stored(forms, delivery, seq);
}

void Session::heard_of(Seq last) {
  if (persistent_) persistent_->out.heard_of(last);
}

Stored Session::deliver_fetched(WireForms& forms, const Delivery& delivery, Seq seq) {
  if (state_ != State::connected) return Stored::no_room;
  StoredFlow& out = persistent_->out;
  out.heard_of(seq);
  out.skip_to(seq);  // what was between them is finished
  const Stored done = send_stored(forms, delivery, seq);
  if (done == Stored::no_room) out.cut();
  return done;
}

/// Requires: no message before it is to be sent.
Stored Session::send_stored(WireForms& forms, const Delivery& delivery, Seq seq) {
  StoredFlow& out = persistent_->out;
  if (seq < out.next()) return Stored::seen;
  if (out.is_open(seq)) {  // received on an earlier connection
    out.skip_to(seq + 1);
    return Stored::seen;
  }
  if (!may_receive(forms.publication().topic)) {
    ++counters_->dropped_not_authorized;
    finish_unsent(seq);
    return Stored::finished;
  }
  const bool repeated = out.sent_before(seq);
  const mqtt::PublicationInfo& info = forms.publication().info;
  if (info.expiry_ms != 0 && info.expiry_ms <= forms.now_ms() && !repeated) {
    // [MQTT-3.3.2-5]; but a flow that may have begun has to come to its end: the client may hold
    // the id, and would take a later message with it for this one.
    ++counters_->dropped_expired;
    finish_unsent(seq);
    return Stored::finished;
  }
  if (!has_stored_room() || !out.has_room(seq)) return Stored::no_room;
  Delivery repeatable = delivery;
  repeatable.dup = repeated;
  if (!send(forms, repeatable, delivery.granted, StoredFlow::packet_id(seq))) {
    finish_unsent(seq);
    return Stored::finished;
  }
  out.sent(seq, delivery.granted, forms.now_ms());
  return Stored::sent;
}

bool Session::is_behind_in_queue() const { return persistent_ && persistent_->out.behind(); }

/// Less may wait for the socket than makes a session count as behind: the inbox keeps the rest, and
/// nobody has to wait for it.
bool Session::has_stored_room() const {
  return output_.size() <= limits_->output_high_water_bytes / 2;
}

std::optional<Fetch> Session::take_fetch(mqtt::TimeMs now_ms) {
  if (state_ != State::connected || !persistent_) return std::nullopt;
  StoredFlow& out = persistent_->out;
  const std::size_t room = limits_->output_high_water_bytes / 2;
  if (out.reading() || !out.behind() || output_.size() > room / 2 || !out.worth_reading(now_ms)) {
    return std::nullopt;
  }
  out.start_reading();
  return Fetch{
      .from = out.next(), .max_messages = out.free(), .max_bytes = room - output_.size() + 1};
}

void Session::fetch_done(Seq end) {
  if (persistent_) persistent_->out.end_reading(end);
}

void Session::finish_stored(Seq seq) { persistent_->finished.push_back(seq); }

void Session::finish_unsent(Seq seq) {
  finish_stored(seq);
  persistent_->out.skip_to(seq + 1);
}

std::vector<Seq> Session::take_finished() {
  return persistent_ ? std::exchange(persistent_->finished, {}) : std::vector<Seq>();
}

std::vector<Seq> Session::take_received() {
  return persistent_ ? std::exchange(persistent_->received, {}) : std::vector<Seq>();
}

std::vector<std::uint16_t> Session::take_releases() {
  return persistent_ ? std::exchange(persistent_->releases, {}) : std::vector<std::uint16_t>();
}

bool Session::has_finished() const { return persistent_ && !persistent_->finished.empty(); }

bool Session::has_uncommitted() const {
  return persistent_ && !(persistent_->received.empty() && persistent_->releases.empty());
}

Seq Session::sent_up_to() const { return persistent_ ? persistent_->out.sent_up_to() : 0; }

void Session::received_committed(Seq seq) {
  if (state_ != State::connected) return;
  StoredFlow& out = persistent_->out;
  if (out.stage(seq) != Stage::awaits_commit) return;
  out.set_stage(seq, Stage::awaits_pubcomp);
  write_ack(PacketType::pubrel, StoredFlow::packet_id(seq), ReasonCode::success);
}

// -- acks
// -------------------------------------------------------------------------------------------

void Session::on_stored_ack(PacketType type, std::uint16_t packet_id, ReasonCode reason) {
  if (type == PacketType::pubrel) return on_stored_pubrel(packet_id);
  if (type == PacketType::pubrec) return on_stored_pubrec(packet_id, reason);
  const Stage wanted = type == PacketType::puback ? Stage::awaits_puback : Stage::awaits_pubcomp;
  const std::optional<StoredFlow::Open> open = persistent_->out.find(packet_id);
  if (!open || open->stage != wanted) {
    ++counters_->unknown_packet_ids;
    return;
  }
  if (type == PacketType::puback && codec::is_error(reason)) {
    ++counters_->dropped_by_client;
  }
  persistent_->out.release(open->seq);
  finish_stored(open->seq);
}

void Session::on_stored_pubrec(std::uint16_t packet_id, ReasonCode reason) {
  StoredFlow& out = persistent_->out;
  const std::optional<StoredFlow::Open> open = out.find(packet_id);
  const bool first = open && open->stage == Stage::awaits_pubrec;
  if (codec::is_error(reason)) {  // the client will not have it [MQTT-4.3.3-4]
    if (!first) return;
    ++counters_->dropped_by_client;
    out.release(open->seq);
    finish_stored(open->seq);
  } else if (first) {
    out.set_stage(open->seq, Stage::awaits_commit);
    persistent_->received.push_back(open->seq);
  } else if (open && open->stage == Stage::awaits_pubcomp) {
    write_ack(PacketType::pubrel, packet_id, ReasonCode::success);
  } else if (!open || open->stage != Stage::awaits_commit) {
    ++counters_->unknown_packet_ids;
    write_ack(PacketType::pubrel, packet_id, ReasonCode::packet_identifier_not_found);
  }
}

// -- inbound QoS 2
// ----------------------------------------------------------------------------------

void Session::note_accepted(std::uint16_t packet_id, std::uint64_t sequence) {
  persistent_->in.insert(packet_id, {.sequence = sequence, .counted = true});
  persistent_->accepted_before = false;
}

bool Session::accepted_before() const { return persistent_ && persistent_->accepted_before; }

void Session::on_stored_pubrel(std::uint16_t packet_id) {
  AcceptedPublishes::Entry* entry = persistent_->in.find(packet_id);
  if (entry == nullptr) {
    ++counters_->unknown_packet_ids;
    write_ack(PacketType::pubcomp, packet_id, ReasonCode::packet_identifier_not_found);
  } else if (!std::exchange(entry->releasing, true)) {
    persistent_->releases.push_back(packet_id);
  }
}

void Session::released(std::uint16_t packet_id) {
  if (state_ != State::connected) return;
  const AcceptedPublishes::Entry* entry = persistent_->in.find(packet_id);
  if (entry == nullptr || !entry->releasing) return;
  if (entry->counted) --open_in_;
  persistent_->in.erase(packet_id);
  received_.erase(packet_id);
  write_ack(PacketType::pubcomp, packet_id, ReasonCode::success);
}

std::uint64_t Session::lowest_open_sequence() const {
  const bool none = !persistent_ || persistent_->in.empty();
  return none ? sequence_ + 1 : persistent_->in.lowest_sequence();
}

}  // namespace skald::session
