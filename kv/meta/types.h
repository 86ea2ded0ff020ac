// What the meta range is asked, answers and causes: lives of nodes, cluster settings (design.md
// section 4, "Life").
//
// Plain values. A life is a process: (node, number), the number a stamp of the meta range, so that
// later lives have higher ones.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "config/base/ids.h"

namespace skald::meta {

inline constexpr std::uint64_t kLifeTtlUs = 3'000'000;

/// A new life for `node`. `nonce`: of the process, so that a repeated request gets the same life.
/// `succeeds`: the process holds the lock of the node's data directory, so lives with a smaller
/// nonce are over; then nonces must grow from one process of the directory to the next. Without it
/// the node waits for them to end: ranges take the end of a life for the end of all before it.
struct GrantLife {
  NodeId node;
  std::uint64_t nonce = 0;
  bool succeeds = false;

  bool operator==(const GrantLife&) const = default;
};

struct RenewLife {
  Life life;

  bool operator==(const RenewLife&) const = default;
};

/// Void if the life was granted or renewed by a command after `seen`: the index of the last that
/// the leader knew when it gave the life up.
struct EndLife {
  Life life;
  std::uint64_t seen = 0;

  bool operator==(const EndLife&) const = default;
};

/// All ranges of all stores know that the life has ended.
struct IntentDone {
  Life life;

  bool operator==(const IntentDone&) const = default;
};

/// No value: the setting goes back to its default. Refused unless the version is `expected`, if
/// given; 0: there is none.
struct SetSetting {
  std::string key;
  std::optional<std::string> value;
  std::optional<std::uint64_t> expected;

  bool operator==(const SetSetting&) const = default;
};

using Command = std::variant<GrantLife, RenewLife, EndLife, IntentDone, SetSetting>;

enum class Outcome : std::uint8_t {
  kOk,
  kEnded,     ///< the life is over, or never was
  kRenewed,   ///< not ended: it was renewed meanwhile
  kConflict,  ///< the setting has another version
  kInvalid,
  kFull,
  kWait,  ///< a life of the node is not over yet: ask again
};

struct Reply {
  Outcome outcome = Outcome::kOk;
  Life life;                  ///< of GrantLife
  std::uint64_t version = 0;  ///< of the setting

  bool operator==(const Reply&) const = default;
};

/// To the leader's LifeWatch: granted, or renewed, by the command at `index`.
struct LifeSeen {
  Life life;
  std::uint64_t index = 0;

  bool operator==(const LifeSeen&) const = default;
};

/// To the leader's EndLifeDriver, until IntentDone.
struct EndIntent {
  Life life;

  bool operator==(const EndIntent&) const = default;
};

/// On every replica.
struct SettingChanged {
  std::string key;

  bool operator==(const SettingChanged&) const = default;
};

using Effect = std::variant<LifeSeen, EndIntent, SettingChanged>;

}  // namespace skald::meta
