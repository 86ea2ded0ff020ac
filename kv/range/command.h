// What a command entry of a range's log holds: a user's command with its lane, or one of the
// range's own.
//
// The head is the same for all: version, the level a replica must understand, the leader's stamp.
// A replica that cannot decode an entry, or is below its level, halts (design.md section 6).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/base/result.h"
#include "kv/range/descriptor.h"

namespace skald::range {

/// What this release understands.
inline constexpr std::uint32_t kLevelNow = 1;

/// For the state machine. All zero lane: proposed by the range itself, not deduplicated.
struct UserCommand {
  LaneId lane;
  std::uint64_t seq = 0;
  std::uint64_t boundary_ver = 0;
  std::string bytes;

  bool operator==(const UserCommand&) const = default;
};

/// A life has ended: its lanes go, it is refused from now on. `bytes`, unless empty, is the
/// machine's own command for that.
struct EndLifeCommand {
  Life life;
  std::string bytes;

  bool operator==(const EndLifeCommand&) const = default;
};

/// What lies from `key` on becomes range `child`, on the stores of this one. Void unless the epoch
/// is `epoch` when it is applied.
struct SplitCommand {
  Epoch epoch;
  std::string key;
  RangeId child;

  bool operator==(const SplitCommand&) const = default;
};

struct SetLevelCommand {
  std::uint32_t level = 0;

  bool operator==(const SetLevelCommand&) const = default;
};

/// The range's genesis gives way to another. Void if it is used when this is applied.
struct RetireCommand {
  std::uint64_t genesis = 0;

  bool operator==(const RetireCommand&) const = default;
};

struct Command {
  std::uint32_t level = 1;  ///< a replica must understand at least this
  std::uint64_t stamp_us = 0;
  std::variant<UserCommand, EndLifeCommand, SplitCommand, SetLevelCommand, RetireCommand> body;

  bool operator==(const Command&) const = default;
};

std::string encode(const Command& command);
Result<Command> decode_command(std::string_view bytes);

/// The context of a configuration entry (raft::ConfigChange): where its members are.
struct ConfigContext {
  std::vector<std::pair<ReplicaId, StoreId>> stores;
  bool recovery = false;  ///< begins a new generation

  bool operator==(const ConfigContext&) const = default;
};

std::string encode(const ConfigContext& context);
Result<ConfigContext> decode_config_context(std::string_view bytes);

}  // namespace skald::range
