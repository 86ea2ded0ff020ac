#include "kv/range/lanes.h"

#include <utility>

#include "config/base/assert.h"
#include "config/base/coding.h"

namespace skald::range {
namespace {

constexpr std::uint8_t kVersion = 1;

}  // namespace

bool Lanes::has_ended(Life life) const {
  const auto ended = ended_.find(life.node);
  return ended != ended_.end() && life.number <= ended->second;
}

std::size_t Lanes::lanes_of(Life life) const {
  std::size_t count = 0;
  for (auto at = lanes_.lower_bound({life, 0}); at != lanes_.end() && at->first.life == life;
       ++at) {
    ++count;
  }
  return count;
}

Lanes::Check Lanes::check(const LaneId& lane, std::uint64_t seq) const {
  if (has_ended(lane.life)) return {.verdict = Verdict::ended, .reply = {}};
  const auto at = lanes_.find(lane);
  if (at == lanes_.end()) {
    if (seq != 1) return {.verdict = Verdict::gap, .reply = {}};
    const bool room = lanes_of(lane.life) < kMaxLanesPerLife;
    return {.verdict = room ? Verdict::apply : Verdict::too_many, .reply = {}};
  }
  const Last& last = at->second;
  if (seq <= last.seq) {
    const std::uint64_t back = last.seq - seq;
    if (back >= last.replies.size()) return {.verdict = Verdict::stale, .reply = {}};
    return {.verdict = Verdict::answered, .reply = last.replies[last.replies.size() - 1 - back]};
  }
  return {.verdict = seq == last.seq + 1 ? Verdict::apply : Verdict::gap, .reply = {}};
}

void Lanes::record(const LaneId& lane, std::uint64_t seq, std::string reply) {
  SKALD_ASSERT(check(lane, seq).verdict == Verdict::apply);
  Last& last = lanes_[lane];
  last.seq = seq;
  changed_lanes_.insert(lane);
  if (last.replies.size() == kLaneWindow) last.replies.erase(last.replies.begin());
  last.replies.push_back(std::move(reply));
}

void Lanes::end_life(Life life) {
  LifeNumber& newest = ended_[life.node];
  if (life.number > newest) newest = life.number;
  changed_ends_.insert(life.node);
  // Lanes sort by node, then life: those that have ended are neighbours.
  auto at = lanes_.lower_bound({Life{life.node, LifeNumber{0}}, 0});
  while (at != lanes_.end() && at->first.life.node == life.node &&
         at->first.life.number <= newest) {
    changed_lanes_.insert(at->first);
    at = lanes_.erase(at);
  }
}

std::uint64_t Lanes::next(const LaneId& lane) const {
  const auto at = lanes_.find(lane);
  return at == lanes_.end() ? 1 : at->second.seq + 1;
}

std::string Lanes::encode() const {
  std::string out;
  put_u8(out, kVersion);
  put_varint(out, ended_.size());
  for (const auto& [node, number] : ended_) {
    put_varint(out, node.value);
    put_varint(out, number.value);
  }
  put_varint(out, lanes_.size());
  for (const auto& [lane, last] : lanes_) {
    put_varint(out, lane.life.node.value);
    put_varint(out, lane.life.number.value);
    put_varint(out, lane.number);
    put_varint(out, last.seq);
    put_varint(out, last.replies.size());
    for (const std::string& reply : last.replies) put_bytes(out, reply);
  }
  return out;
}

Result<Lanes> Lanes::decode(std::string_view bytes) {
  Reader reader(bytes);
  reader.version(kVersion);
  Lanes lanes;
  for (std::uint64_t left = reader.varint(); left > 0 && reader.ok(); --left) {
    const NodeId node{reader.varint()};
    if (!lanes.ended_.emplace(node, LifeNumber{reader.varint()}).second) reader.fail();
  }
  for (std::uint64_t left = reader.varint(); left > 0 && reader.ok(); --left) {
    const NodeId node{reader.varint()};
    const LifeNumber life{reader.varint()};
    const std::uint64_t number = reader.varint();
    if (number > UINT32_MAX) reader.fail();
    const LaneId lane{{node, life}, static_cast<std::uint32_t>(number)};
    const std::uint64_t seq = reader.varint();
    Last last{.seq = seq, .replies = {}};
    const std::uint64_t replies = reader.varint();
    if (replies == 0 || replies > kLaneWindow || replies > seq) reader.fail();
    for (std::uint64_t i = 0; i < replies && reader.ok(); ++i) {
      last.replies.emplace_back(reader.bytes());
    }
    if (!lanes.lanes_.emplace(lane, std::move(last)).second) reader.fail();
  }
  if (reader.done()) return lanes;
  if (reader.newer_version()) return Error{"lanes: written by a newer release"};
  return Error{"lanes: cannot be read"};
}

}  // namespace skald::range
