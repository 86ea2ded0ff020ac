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

RangeId ServeChecks::stale(const StoreNode& node, const std::string& key, std::uint64_t order) {
  for (const auto& [range, published] : node.published()) {
    const auto until = node.serve_until().find(range);
    if (until == node.serve_until().end() || node.clock() >= until->second) continue;
    if (!published.boundary.contains(key)) continue;
    ++looks_;
    const auto value = published.values.find(key);
    if (value == published.values.end() || commands_.at(value->second).order < order) return range;
  }
  return {};
}

std::string ServeChecks::on_acked(std::uint64_t client, std::uint64_t op) {
  const auto command = commands_.find(name(client, op));
  if (command == commands_.end()) return "";
  const auto& [key, order] = command->second;
  std::uint64_t& newest = answered_[key];
  newest = std::max(newest, order);
  for (const auto& [machine, node] : nodes_) {
    const RangeId range = node->up() ? stale(*node, key, newest) : RangeId{};
    if (range) return describe(key, *node, range);
  }
  return "";
}

std::string ServeChecks::look_at(const StoreNode& node) {
  for (const auto& [key, order] : answered_) {
    const RangeId range = stale(node, key, order);
    if (range) return describe(key, node, range);
  }
  return "";
}

}  // namespace skald::sim
