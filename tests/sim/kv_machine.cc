#include "tests/sim/kv_machine.h"

#include <cstdio>

namespace skald::sim {

Result<range::MachineResult> KvMachine::apply(const range::ApplyContext& context,
                                              std::string_view command) {
  unsigned long long client = 0;
  unsigned long long op = 0;
  char key[64] = {};
  const std::string text(command);
  if (std::sscanf(text.c_str(), "%llu %llu %60s", &client, &op, key) != 3) {
    return Error{"not a command"};
  }
  applied_.push_back({context.index, client, op, key});
  range::MachineResult result;
  std::string& value = values_[key];
  result.reply = value;
  value = std::to_string(client) + " " + std::to_string(op);
  result.writes.push_back({range::Write::Kind::put, key, value});
  return result;
}

void KvMachine::boundary_changed(const range::Boundary& boundary) {
  boundary_ = boundary;
  std::erase_if(values_, [this](const auto& item) { return !boundary_.contains(item.first); });
}

std::optional<std::string> KvMachine::split_key(std::string_view hint) const {
  if (hint <= boundary_.start || !boundary_.contains(hint)) return std::nullopt;
  return std::string(hint);
}

void KvMachine::rebuild_start() { values_.clear(); }

Status KvMachine::rebuild_chunk(std::span<const range::Record> records) {
  for (const range::Record& record : records) {
    values_[std::string(record.key)] = std::string(record.value);
  }
  return {};
}

std::uint64_t KvMachine::hash() const {
  std::uint64_t hash = values_.size();
  for (const auto& [key, value] : values_) hash = mix(mix(hash, hash_of(key)), hash_of(value));
  return hash;
}

}  // namespace skald::sim
