// The process's log: spdlog behind a bounded queue, written by its own thread.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "config/options.h"

namespace skald::actors {

/// Full queue: the oldest lines go, counted by spdlog. Call once, before any thread logs.
void start_logging(const config::LogOptions& options);
/// Any thread.
void set_log_level(config::LogLevel level);
using LineLevel = config::LogLevel;
struct LineField {
  std::string_view name;
  std::string value;  // without control characters
};
/// Lines that the queue had no room for.
std::uint64_t lines_dropped();
bool is_logged(LineLevel level);
/// A line, `text`; in JSON its kind and fields too.
void log_event(LineLevel level, std::string_view kind, std::string_view text,
               std::initializer_list<LineField> fields);
/// Writes what is queued. Nothing is logged afterwards.
void stop_logging();

}  // namespace skald::actors
