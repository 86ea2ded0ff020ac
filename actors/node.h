// A node: wires loops and actors together, serves until told to stop, and stops in order.
#pragma once

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "actors/acceptor.h"
#include "actors/loop/loop.h"
#include "actors/node_state.h"
#include "actors/service_manager.h"
#include "config/base/result.h"
#include "config/options.h"

namespace skald::actors {

/// Reads the configuration again, from where it came.
using Reload = std::function<Result<config::Options>()>;

/// Serves with `options` until SIGTERM or SIGINT, on the calling thread. On SIGHUP users,
/// permissions, tenants, limits and the log level are taken from `reload`; when anything is wrong
/// with it, all of the old ones stay. Returns the exit code: 0 after an orderly stop, 1 when it
/// could not start. A service manager is told when it serves, reloads and stops, and that it lives.
int run_node(const config::Options& options, const Reload& reload,
             const Supervision& supervision = {});

}  // namespace skald::actors
