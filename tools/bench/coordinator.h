// A run from beginning to end: connect, warm up, measure, drain, judge.
#pragma once

#include "config/base/result.h"
#include "tools/bench/options.h"
#include "tools/bench/outcome.h"

namespace skald::bench {

/// Blocks until the run is over. An error means that it could not be held at all (no such host, no
/// such broker process); what went wrong within it is in the outcome.
Result<Outcome> run(const Options& options);

}  // namespace skald::bench
