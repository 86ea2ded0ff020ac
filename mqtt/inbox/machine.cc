#include "mqtt/inbox/machine.h"

#include <utility>

#include "config/base/coding.h"
#include "mqtt/inbox/codec.h"

namespace skald::inbox {

skald::Result<range::MachineResult> Machine::apply(const range::ApplyContext& context,
                                                   std::string_view command) {
  const skald::Result<Command> decoded = decode_command(command);
  if (!decoded.ok()) return decoded.error();
  StateMachine::Applied applied = machine_.apply(context, *decoded);
  range::Effects effects;
  if (leads_) effects = hold(std::move(applied.effects));
  return range::MachineResult{std::move(applied.writes), encode_reply(applied.reply),
                              std::move(effects)};
}

range::Effects Machine::leader_started(std::uint64_t term, std::uint64_t stamp_us) {
  leads_ = true;
  return hold(machine_.leader_started(term, stamp_us));
}

void Machine::leader_stopped() {
  leads_ = false;
  waiting_.clear();
  machine_.leader_stopped();
}

range::Effects Machine::hold(StateMachine::Effects effects) {
  if (effects.empty()) return {};
  Waiting& waiting = waiting_.emplace_back();
  waiting.ticket = ++last_ticket_;
  waiting.effects.reserve(effects.size());
  for (auto& [scope, effect] : effects) waiting.effects.push_back(std::move(effect));
  std::string ticket;
  put_be64(ticket, waiting.ticket);
  return {{range::EffectScope::leader_only, std::move(ticket)}};
}

std::vector<Effect> Machine::take(std::string_view ticket) {
  Reader reader(ticket);
  const std::uint64_t number = reader.be64();
  while (!waiting_.empty() && waiting_.front().ticket <= number) {
    Waiting first = std::move(waiting_.front());
    waiting_.pop_front();
    if (first.ticket == number) return std::move(first.effects);
  }
  return {};
}

}  // namespace skald::inbox
