// Lanes as stored records: 'l' node life number slot -> seq and reply, 'e' node -> ended life.
#include <algorithm>
#include <utility>

#include "config/base/coding.h"
#include "kv/range/lanes.h"

namespace skald::range {
namespace {

constexpr std::uint8_t kVersion = 1;

static_assert(kLaneWindow <= 256);  // a slot is one byte of the key

std::string slot_key(const LaneId& lane, std::size_t slot) {
  std::string key = "l";
  put_be64(key, lane.life.node.value);
  put_be64(key, lane.life.number.value);
  put_be32(key, lane.number);
  put_u8(key, static_cast<std::uint8_t>(slot));
  return key;
}

std::string end_key(NodeId node) {
  std::string key = "e";
  put_be64(key, node.value);
  return key;
}

std::string end_value(LifeNumber number) {
  std::string value;
  put_u8(value, kVersion);
  put_varint(value, number.value);
  return value;
}

std::string slot_value(std::uint64_t seq, const std::string& reply) {
  std::string value;
  put_u8(value, kVersion);
  put_varint(value, seq);
  value += reply;
  return value;
}

}  // namespace

std::vector<std::pair<std::string, std::optional<std::string>>> Lanes::take_changes() {
  std::vector<std::pair<std::string, std::optional<std::string>>> changes;
  for (const auto& [lane, changed] : std::exchange(changed_lanes_, {})) {
    const auto at = lanes_.find(lane);
    if (at == lanes_.end()) {
      for (std::size_t slot = 0; slot < changed.slots_gone; ++slot) {
        changes.emplace_back(slot_key(lane, slot), std::nullopt);
      }
      continue;
    }
    const Last& last = at->second;
    const std::uint64_t kept = last.seq - last.replies.size();
    for (std::uint64_t seq = std::max(changed.since, kept) + 1; seq <= last.seq; ++seq) {
      const std::size_t slot = (seq - 1) % kLaneWindow;
      changes.emplace_back(slot_key(lane, slot), slot_value(seq, last.replies[slot]));
    }
  }
  for (const NodeId node : std::exchange(changed_ends_, {})) {
    changes.emplace_back(end_key(node), end_value(ended_.at(node)));
  }
  return changes;
}

std::vector<std::pair<std::string, std::string>> Lanes::pieces() const {
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& [node, number] : ended_) all.emplace_back(end_key(node), end_value(number));
  for (const auto& [lane, last] : lanes_) {
    for (std::size_t slot = 0; slot < last.replies.size(); ++slot) {
      const std::size_t newest = (last.seq - 1) % kLaneWindow;
      const std::uint64_t back = (newest + kLaneWindow - slot) % kLaneWindow;
      all.emplace_back(slot_key(lane, slot), slot_value(last.seq - back, last.replies[slot]));
    }
  }
  return all;
}

Status Lanes::load(const LaneId& lane, std::size_t slot, std::uint64_t seq,
                   std::string_view reply) {
  Last& last = lanes_[lane];
  const std::uint64_t apart = std::max(seq, last.seq) - std::min(seq, last.seq);
  const bool fits = seq > 0 && (seq - 1) % kLaneWindow == slot && slot == last.replies.size();
  if (!fits || (slot > 0 && apart >= kLaneWindow))
    return Error{"lanes: pieces do not fit together"};
  last.seq = std::max(last.seq, seq);
  last.replies.emplace_back(reply);
  return {};
}

Status Lanes::load(std::string_view key, std::string_view value) {
  Reader k(key);
  Reader v(value);
  const std::uint8_t tag = k.u8();
  v.version(kVersion);
  if (tag == 'e') {
    const NodeId node{k.be64()};
    ended_[node] = LifeNumber{v.varint()};
  } else if (tag == 'l') {
    LaneId lane;
    lane.life.node.value = k.be64();
    lane.life.number.value = k.be64();
    lane.number = k.be32();
    const std::size_t slot = k.u8();
    const std::uint64_t seq = v.varint();
    if (k.done() && v.ok()) return load(lane, slot, seq, v.rest());
  } else {
    k.fail();
  }
  if (k.done() && v.done()) return {};
  return Error{v.newer_version() ? "lanes: written by a newer release" : "lanes: cannot be read"};
}

}  // namespace skald::range
