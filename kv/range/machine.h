// A replicated state machine behind bytes: what a range holds, whatever it replicates.
//
// `Machine` is the contract of state_machine.h without types; MachineOf<M, Codec> makes one of any
// typed machine. Owned by one range, used by one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kv/range/state_machine.h"

namespace skald::range {

using Effects = std::vector<std::pair<EffectScope, std::string>>;
using MachineResult = Applied<std::string, std::string>;

class Machine {
 public:
  virtual ~Machine() = default;

  /// An Error: the command cannot be understood; the replica halts, it never skips.
  virtual Result<MachineResult> apply(const ApplyContext& context, std::string_view command) = 0;
  virtual void boundary_changed(const Boundary& boundary) = 0;
  virtual Effects leader_started(std::uint64_t term, std::uint64_t stamp_us) = 0;
  virtual void leader_stopped() = 0;
  virtual std::optional<std::string> split_key(std::string_view hint) const = 0;
  virtual void rebuild_start() = 0;
  virtual Status rebuild_chunk(std::span<const Record> records) = 0;
  virtual void rebuild_finish() = 0;
};

/// A typed machine. Codec has static functions:
///   Result<M::Command> decode_command(std::string_view)
///   std::string encode_reply(const M::Reply&)
///   std::string encode_effect(const M::Effect&)
template <StateMachine M, class Codec>
class MachineOf final : public Machine {
 public:
  template <class... Args>
  explicit MachineOf(Args&&... args) : machine_(std::forward<Args>(args)...) {}

  M& machine() { return machine_; }

  Result<MachineResult> apply(const ApplyContext& context, std::string_view command) override {
    const Result<typename M::Command> decoded = Codec::decode_command(command);
    if (!decoded.ok()) return decoded.error();
    auto applied = machine_.apply(context, *decoded);
    return MachineResult{std::move(applied.writes), Codec::encode_reply(applied.reply),
                         bytes(applied.effects)};
  }
  void boundary_changed(const Boundary& boundary) override { machine_.boundary_changed(boundary); }
  Effects leader_started(std::uint64_t term, std::uint64_t stamp_us) override {
    return bytes(machine_.leader_started(term, stamp_us));
  }
  void leader_stopped() override { machine_.leader_stopped(); }
  std::optional<std::string> split_key(std::string_view hint) const override {
    return machine_.split_key(hint);
  }
  void rebuild_start() override { machine_.rebuild_start(); }
  Status rebuild_chunk(std::span<const Record> records) override {
    return machine_.rebuild_chunk(records);
  }
  void rebuild_finish() override { machine_.rebuild_finish(); }

 private:
  static Effects bytes(const std::vector<std::pair<EffectScope, typename M::Effect>>& effects) {
    Effects out;
    for (const auto& [scope, effect] : effects)
      out.emplace_back(scope, Codec::encode_effect(effect));
    return out;
  }

  M machine_;
};

}  // namespace skald::range
