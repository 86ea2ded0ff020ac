#include "mqtt/session/stored_flow.h"

#include <algorithm>

#include "config/base/assert.h"

namespace skald::session {

using inbox::Seq;

void StoredFlow::resume(const Resume& resume, std::uint16_t size) {
  SKALD_ASSERT(size > 0);
  size_ = size;
  for (const Seq seq : resume.received) open_.emplace(seq, Stage::awaits_pubcomp);
  skip_to(resume.head);
  heard_of(resume.last);
  dup_up_to_ = resume.sent_up_to;
  sent_up_to_ = resume.sent_up_to;
}

bool StoredFlow::has_room(Seq seq) const {
  if (open_.size() >= size_) return false;
  if (open_.empty() || seq - open_.begin()->first < kIds) return true;
  return !find(packet_id(seq));
}

bool StoredFlow::worth_reading(mqtt::TimeMs now_ms) const {
  if (!has_room(next_)) return false;
  return open_.size() <= size_ / 2U || now_ms >= last_sent_ms_ + kPatienceMs;
}

void StoredFlow::sent(Seq seq, codec::QoS qos, mqtt::TimeMs now_ms) {
  const bool added = open_
                         .emplace(seq, qos == codec::QoS::at_least_once ? Stage::awaits_puback
                                                                        : Stage::awaits_pubrec)
                         .second;
  SKALD_ASSERT(added && seq >= next_);
  next_ = seq + 1;
  sent_up_to_ = std::max(sent_up_to_, seq);
  last_sent_ms_ = now_ms;
}

/// The seqs of an id are kIds apart; the oldest that is open has it.
std::optional<StoredFlow::Open> StoredFlow::find(std::uint16_t id) const {
  if (open_.empty() || id == 0) return std::nullopt;
  const Seq first = open_.begin()->first;
  const Seq last = open_.rbegin()->first;
  for (Seq seq = first + (id + kIds - packet_id(first)) % kIds; seq <= last; seq += kIds) {
    const auto found = open_.find(seq);
    if (found != open_.end()) return Open{seq, found->second};
  }
  return std::nullopt;
}

std::optional<StoredFlow::Stage> StoredFlow::stage(Seq seq) const {
  const auto found = open_.find(seq);
  if (found == open_.end()) return std::nullopt;
  return found->second;
}

void StoredFlow::set_stage(Seq seq, Stage stage) {
  const auto found = open_.find(seq);
  SKALD_ASSERT(found != open_.end());
  found->second = stage;
}

}  // namespace skald::session
