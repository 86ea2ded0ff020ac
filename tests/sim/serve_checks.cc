#include "tests/sim/serve_checks.h"

#include <algorithm>

namespace skald::sim {
namespace {

std::string name(std::uint64_t client, std::uint64_t op) {
  return std::to_string(client) + " " + std::to_string(op);
}

std::string describe(const std::string& key, const StoreNode& node, RangeId range) {
  return key + " of range " + std::to_string(range.value % 1000) + " on store " +
         std::to_string(node.machine());
}

}  // namespace

void ServeChecks::on_command(std::uint64_t client, std::uint64_t op, const std::string& key) {
  commands_[name(client, op)] = {key, next_order_++};
}

bool ServeChecks::serves(const StoreNode& node, RangeId range) {
  const auto until = node.serve_until().find(range);
  return until != node.serve_until().end() && node.clock() < until->second;
}

bool ServeChecks::lacks(const StoreNode::Published& published, const std::string& key,
                        std::uint64_t order) {
  ++looks_;
  const auto value = published.values.find(key);
  return value == published.values.end() || commands_.at(value->second).order < order;
}

std::string ServeChecks::on_acked(std::uint64_t client, std::uint64_t op) {
  const auto command = commands_.find(name(client, op));
  if (command == commands_.end()) return "";
  const auto& [key, order] = command->second;
  std::uint64_t& newest = answered_[key];
  newest = std::max(newest, order);
  for (const auto& [machine, node] : nodes_) {
    if (!node->up()) continue;
    for (const auto& [range, published] : node->published()) {
      if (!published.boundary.contains(key) || !serves(*node, range)) continue;
      if (lacks(published, key, newest)) return describe(key, *node, range);
    }
  }
  return "";
}

std::string ServeChecks::look_at(const StoreNode& node) {
  for (const auto& [range, published] : node.published()) {
    if (!serves(node, range)) continue;
    for (auto at = answered_.lower_bound(published.boundary.start);
         at != answered_.end() && published.boundary.contains(at->first); ++at) {
      if (lacks(published, at->first, at->second)) return describe(at->first, node, range);
    }
  }
  return "";
}

}  // namespace skald::sim
