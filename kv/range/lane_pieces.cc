// Lanes as stored records: 'l' node life number -> last seq and replies, 'e' node -> ended life.
#include <utility>

#include "config/base/coding.h"
#include "kv/range/lanes.h"

namespace skald::range {
namespace {

constexpr std::uint8_t kVersion = 1;

std::string lane_key(const LaneId& lane) {
  std::string key = "l";
  put_be64(key, lane.life.node.value);
  put_be64(key, lane.life.number.value);
  put_be32(key, lane.number);
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

}  // namespace

std::string Lanes::encode(const Last& last) {
  std::string value;
  put_u8(value, kVersion);
  put_varint(value, last.seq);
  put_varint(value, last.replies.size());
  for (const std::string& reply : last.replies) put_bytes(value, reply);
  return value;
}

std::vector<std::pair<std::string, std::optional<std::string>>> Lanes::take_changes() {
  std::vector<std::pair<std::string, std::optional<std::string>>> changes;
  for (const LaneId& lane : std::exchange(changed_lanes_, {})) {
    const auto at = lanes_.find(lane);
    changes.emplace_back(lane_key(lane),
                         at == lanes_.end() ? std::nullopt : std::optional(encode(at->second)));
  }
  for (const NodeId node : std::exchange(changed_ends_, {})) {
    changes.emplace_back(end_key(node), end_value(ended_.at(node)));
  }
  return changes;
}

std::vector<std::pair<std::string, std::string>> Lanes::pieces() const {
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& [node, number] : ended_) all.emplace_back(end_key(node), end_value(number));
  for (const auto& [lane, last] : lanes_) all.emplace_back(lane_key(lane), encode(last));
  return all;
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
    Last last{.seq = v.varint(), .replies = {}};
    const std::uint64_t replies = v.varint();
    if (replies == 0 || replies > kLaneWindow || replies > last.seq) v.fail();
    for (std::uint64_t i = 0; i < replies && v.ok(); ++i) last.replies.emplace_back(v.bytes());
    lanes_[lane] = std::move(last);
  } else {
    k.fail();
  }
  if (k.done() && v.done()) return {};
  return Error{v.newer_version() ? "lanes: written by a newer release" : "lanes: cannot be read"};
}

}  // namespace skald::range
