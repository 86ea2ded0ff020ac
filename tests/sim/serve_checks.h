// No stale match: once the reply to a command has left, nobody who may serve by its own clock shows
// a state from before the command, on whichever range of whichever store its key is looked up.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tests/sim/store_node.h"

namespace skald::sim {

class ServeChecks {
 public:
  using Nodes = std::map<Machine, std::unique_ptr<StoreNode>>;

  explicit ServeChecks(const Nodes& nodes) : nodes_(nodes) {}

  /// The first replica applied the command.
  void on_command(std::uint64_t client, std::uint64_t op, const std::string& key);
  /// Its reply came. What is wrong now, or empty.
  std::string on_acked(std::uint64_t client, std::uint64_t op);
  /// The store published, or may serve for longer.
  std::string look_at(const StoreNode& node);
  std::uint64_t looks() const { return looks_; }

 private:
  struct Command {
    std::string key;
    std::uint64_t order = 0;
  };

  static bool serves(const StoreNode& node, RangeId range);
  bool lacks(const StoreNode::Published& published, const std::string& key, std::uint64_t order);

  const Nodes& nodes_;
  std::map<std::string, Command> commands_;        ///< by "client op", as values are
  std::map<std::string, std::uint64_t> answered_;  ///< key -> order of the newest answered command
  std::uint64_t next_order_ = 1;
  std::uint64_t looks_ = 0;  ///< at somebody who may serve
};

}  // namespace skald::sim
