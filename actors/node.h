// A node: wires loops and actors together, serves until told to stop, and stops in order.
#pragma once

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <memory>
#include <vector>

#include "actors/acceptor.h"
#include "actors/loop/loop.h"
#include "actors/node_state.h"
#include "config/base/result.h"
#include "config/options.h"

namespace skald::actors {

/// Serves with `options` until SIGTERM or SIGINT, on the calling thread. Returns the exit code: 0
/// after an orderly stop, 1 when it could not start.
int run_node(const config::Options& options);

}  // namespace skald::actors
