// The process's log: spdlog behind a bounded queue, written by its own thread.
#pragma once

#include "config/options.h"

namespace skald::actors {

/// Full queue: the oldest lines go, counted by spdlog. Call once, before any thread logs.
void start_logging(const config::LogOptions& options);
/// Any thread.
void set_log_level(config::LogLevel level);
/// Writes what is queued. Nothing is logged afterwards.
void stop_logging();

}  // namespace skald::actors
