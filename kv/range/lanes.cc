#include "kv/range/lanes.h"

#include <utility>

#include "config/base/assert.h"

namespace skald::range {
LifeNumber Lanes::ended(NodeId node) const {
  const auto found = ended_.find(node);
  return found == ended_.end() ? LifeNumber{} : found->second;
}

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
    const std::size_t slot = (seq - 1) % kLaneWindow;
    if (seq == 0 || back >= kLaneWindow || slot >= last.replies.size()) {
      return {.verdict = Verdict::stale, .reply = {}};
    }
    return {.verdict = Verdict::answered, .reply = last.replies[slot]};
  }
  return {.verdict = seq == last.seq + 1 ? Verdict::apply : Verdict::gap, .reply = {}};
}

void Lanes::record(const LaneId& lane, std::uint64_t seq, std::string reply) {
  SKALD_ASSERT(check(lane, seq).verdict == Verdict::apply);
  changed_lanes_.try_emplace(lane, Changed{seq - 1, 0});
  Last& last = lanes_[lane];
  last.seq = seq;
  const std::size_t slot = (seq - 1) % kLaneWindow;
  if (slot == last.replies.size()) {
    last.replies.push_back(std::move(reply));
  } else {
    last.replies[slot] = std::move(reply);
  }
}

void Lanes::end_life(Life life) {
  LifeNumber& newest = ended_[life.node];
  if (life.number > newest) newest = life.number;
  changed_ends_.insert(life.node);
  // Lanes sort by node, then life: those that have ended are neighbours.
  auto at = lanes_.lower_bound({Life{life.node, LifeNumber{0}}, 0});
  while (at != lanes_.end() && at->first.life.node == life.node &&
         at->first.life.number <= newest) {
    changed_lanes_[at->first].slots_gone = at->second.replies.size();
    at = lanes_.erase(at);
  }
}

std::uint64_t Lanes::next(const LaneId& lane) const {
  const auto at = lanes_.find(lane);
  return at == lanes_.end() ? 1 : at->second.seq + 1;
}

}  // namespace skald::range
