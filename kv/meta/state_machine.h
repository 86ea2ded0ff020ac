// The meta state machine: which lives there are, which have ended and must still be told to all
// ranges, and the cluster's settings. Written to the contract of kv/range/state_machine.h.
//
// The machine judges no time. That a life may be ended is the leader's to say (life_watch.h); here
// an EndLife is void when a renewal overtook it. Stored: 'l' node number -> life, 'i' node number
// -> intent to end it everywhere, 's' key -> setting.
//
// Bounds: kLivesMax lives, kSettingsMax settings; more are refused. The meta range is never split.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kv/meta/types.h"
#include "kv/range/state_machine.h"

namespace skald::meta {

inline constexpr std::size_t kLivesMax = 10'000;
inline constexpr std::size_t kSettingsMax = 10'000;
inline constexpr std::size_t kSettingKeyBytesMax = 256;
inline constexpr std::size_t kSettingValueBytesMax = 64 << 10;

struct Setting {
  std::string value;
  std::uint64_t version = 0;  ///< grows with every change of any setting

  bool operator==(const Setting&) const = default;
};

class StateMachine {
 public:
  using Command = meta::Command;
  using Reply = meta::Reply;
  using Effect = meta::Effect;
  using Applied = range::Applied<Reply, Effect>;
  using Effects = std::vector<std::pair<range::EffectScope, Effect>>;

  Applied apply(const range::ApplyContext& context, const Command& command);
  void boundary_changed(const range::Boundary&) {}
  /// All lives, so that a new leader counts their time anew, and all intents.
  Effects leader_started(std::uint64_t term, std::uint64_t stamp_us);
  void leader_stopped() {}
  std::optional<std::string> split_key(std::string_view) const { return std::nullopt; }
  void rebuild_start();
  Status rebuild_chunk(std::span<const range::Record> records);
  void rebuild_finish() {}

  bool is_alive(Life life) const { return lives_.contains(life); }
  std::vector<Life> lives() const;
  const std::set<Life>& intents() const { return intents_; }
  const std::map<std::string, Setting, std::less<>>& settings() const { return settings_; }

 private:
  struct Record {
    std::uint64_t seen = 0;  ///< index of the last grant or renewal
    std::uint64_t nonce = 0;

    bool operator==(const Record&) const = default;
  };

  void on(const range::ApplyContext& context, const GrantLife& grant, Applied& out);
  void on(const range::ApplyContext& context, const RenewLife& renew, Applied& out);
  void on(const range::ApplyContext& context, const meta::EndLife& end, Applied& out);
  void on(const range::ApplyContext& context, const IntentDone& done, Applied& out);
  void on(const range::ApplyContext& context, const SetSetting& set, Applied& out);
  void see(Life life, std::uint64_t index, Applied& out);
  void end(Life life, Applied& out);

  std::map<Life, Record> lives_;
  std::set<Life> intents_;
  std::map<std::string, Setting, std::less<>> settings_;
};

}  // namespace skald::meta
