// Turns what the workers counted into totals and into a verdict: which promises were broken.
#pragma once

#include <memory>
#include <vector>

#include "tools/bench/outcome.h"
#include "tools/bench/worker.h"

namespace skald::bench {

/// Requires: the workers have returned.
///
/// Fails on: loss at QoS 1 and 2, duplicates at QoS 0 and 2, disorder (not over a shared group),
/// corruption, foreign messages, a wrong QoS, messages never acknowledged or refused, acks nobody
/// waits for, protocol errors, lost or refused connections. Loss at QoS 0 and duplicates at QoS 1
/// are allowed by MQTT: they are told, not judged.
void judge(const Options& options, const Plan& plan,
           const std::vector<std::unique_ptr<Worker>>& workers, const Control& control,
           Outcome& outcome);

}  // namespace skald::bench
