// Raft's values in words, for golden scripts, traces and logs.
#pragma once

#include <string>

#include "kv/raft/raft.h"

namespace skald::raft {

std::string describe(const Config& config);
std::string describe(const Entry& entry);
std::string describe(const Message& message);
std::string describe(const Write& write);
std::string describe(const Event& event);
std::string describe(const Progress& progress);
const char* describe(Role role);
const char* describe(Refusal refusal);
/// One line per thing to do, in field order; empty if there is nothing.
std::string describe(const Ready& ready);

}  // namespace skald::raft
