#include "tests/sim/history.h"

#include <sstream>

namespace skald::sim {
namespace {

constexpr std::uint64_t kStepsMax = 5'000'000;

std::uint64_t number_of(std::uint64_t client, std::uint64_t op) { return client << 32 | op; }

/// Of a value as the state machine keeps it (kv_machine.h); 0 for none.
std::uint64_t number_of(const std::string& value) {
  std::istringstream in(value);
  std::uint64_t client = 0;
  std::uint64_t op = 0;
  in >> client >> op;
  return number_of(client, op);
}

}  // namespace

void History::write_asked(std::uint64_t client, std::uint64_t op, const std::string& key,
                          Micros now) {
  std::vector<checker::Operation>& operations = keys_[key];
  open_[{client, op}] = {key, operations.size()};
  operations.push_back({now, checker::kNoEnd, checker::Action::kWrite, number_of(client, op)});
}

void History::write_told(std::uint64_t client, std::uint64_t op, const std::string& before,
                         Micros now) {
  const auto found = open_.find({client, op});
  if (found == open_.end()) return;
  checker::Operation& operation = keys_.at(found->second.key).at(found->second.place);
  operation.action = checker::Action::kCas;
  operation.expected = number_of(before);
  operation.end = now;
  open_.erase(found);
}

void History::read(const std::string& key, const std::string& value, Micros asked, Micros told) {
  keys_[key].push_back({asked, told, checker::Action::kRead, number_of(value)});
}

Violation History::check() const {
  for (const auto& [key, operations] : keys_) {
    const checker::Verdict verdict = checker::check_register(operations, 0, kStepsMax);
    if (verdict.answer != checker::Linearizable::kNo) continue;
    const checker::Operation& stuck = operations.at(verdict.stuck);
    return {"linearizable",
            key + ": nothing explains the " +
                (stuck.action == checker::Action::kRead ? "read of " : "write of ") +
                std::to_string(stuck.value >> 32) + "/" + std::to_string(stuck.value & 0xffffffff) +
                " told at " + std::to_string(stuck.end) + " us"};
  }
  return {};
}

}  // namespace skald::sim
