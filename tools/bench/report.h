// The outcome for people (a table) and for programs (one JSON object).
#pragma once

#include <string>

#include "tools/bench/options.h"
#include "tools/bench/outcome.h"

namespace skald::bench {

std::string to_table(const Options& options, const Outcome& outcome);
std::string to_json(const Options& options, const Outcome& outcome);

}  // namespace skald::bench
