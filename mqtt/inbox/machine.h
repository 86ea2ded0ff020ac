// The inbox machine behind bytes, for a range to hold (kv/range/machine.h), with effects that stay
// as they are.
//
// Effects are the hot path from a commit to a client, and never leave the process: so what the
// range is given in their place is a ticket of a few bytes for all effects of one command. Who is
// handed the ticket by the range takes them here, on the thread that owns both. Nothing is kept
// while the replica does not lead, nor after it has stopped leading: hints that are lost are made
// good by fetching, and the outbox is told anew by the next leader_started.
//
// Bound: what one step of the range applied, when tickets are taken as they come; those before a
// ticket that is taken are dropped.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "kv/range/machine.h"
#include "mqtt/inbox/state_machine.h"

namespace skald::inbox {

class Machine final : public range::Machine {
 public:
  StateMachine& machine() { return machine_; }

  /// What `ticket` stands for, in order; each once. None when leadership was lost since.
  std::vector<Effect> take(std::string_view ticket);

  skald::Result<range::MachineResult> apply(const range::ApplyContext& context,
                                            std::string_view command) override;
  void boundary_changed(const range::Boundary& boundary) override {
    machine_.boundary_changed(boundary);
  }
  range::Effects leader_started(std::uint64_t term, std::uint64_t stamp_us) override;
  void leader_stopped() override;
  std::optional<std::string> split_key(std::string_view hint) const override {
    return machine_.split_key(hint);
  }
  void rebuild_start() override { machine_.rebuild_start(); }
  Status rebuild_chunk(std::span<const range::Record> records) override {
    return machine_.rebuild_chunk(records);
  }
  void rebuild_finish() override { machine_.rebuild_finish(); }

 private:
  struct Waiting {
    std::uint64_t ticket = 0;
    std::vector<Effect> effects;
  };
  range::Effects hold(StateMachine::Effects effects);

  StateMachine machine_;
  bool leads_ = false;
  std::uint64_t last_ticket_ = 0;
  std::deque<Waiting> waiting_;
};

}  // namespace skald::inbox
