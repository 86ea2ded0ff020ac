// The state machine of simulated ranges: registers that remember who wrote them last.
//
// A command is "client op key": the key's value becomes "client op", the reply is the value before.
// The world watches each apply.
#pragma once

#include <map>
#include <string>

#include "kv/range/machine.h"
#include "tests/sim/trace.h"

namespace skald::sim {

struct KvApply {
  std::uint64_t index = 0;
  std::uint64_t client = 0;
  std::uint64_t op = 0;
  std::string key;
};

class KvMachine final : public range::Machine {
 public:
  Result<range::MachineResult> apply(const range::ApplyContext& context,
                                     std::string_view command) override;
  void boundary_changed(const range::Boundary& boundary) override;
  range::Effects leader_started(std::uint64_t, std::uint64_t) override { return {}; }
  void leader_stopped() override {}
  std::optional<std::string> split_key(std::string_view hint) const override;
  void rebuild_start() override;
  Status rebuild_chunk(std::span<const range::Record> records) override;
  void rebuild_finish() override {}

  /// Of all keys and values: what replicas at one index must agree on.
  std::uint64_t hash() const;
  const std::map<std::string, std::string>& values() const { return values_; }
  std::vector<KvApply> take_applied() { return std::exchange(applied_, {}); }

 private:
  std::map<std::string, std::string> values_;
  range::Boundary boundary_;
  std::vector<KvApply> applied_;
};

}  // namespace skald::sim
