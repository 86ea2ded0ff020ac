#include "actors/logging.h"

#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace skald::actors {

namespace {

constexpr std::size_t kQueuedLinesMax = 8192;

spdlog::level::level_enum level_of(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::error:
      return spdlog::level::err;
    case config::LogLevel::warning:
    case config::LogLevel::notice:
      return spdlog::level::warn;
    case config::LogLevel::info:
      return spdlog::level::info;
    case config::LogLevel::debug:
      return spdlog::level::debug;
  }
  return spdlog::level::info;
}

}  // namespace

void start_logging(const config::LogOptions& options) {
  spdlog::init_thread_pool(kQueuedLinesMax, 1);
  using spdlog::async_overflow_policy;
  spdlog::sink_ptr sink;
  if (options.file.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } else {
    sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file);
  }
  auto logger = std::make_shared<spdlog::async_logger>("skald", sink, spdlog::thread_pool(),
                                                       async_overflow_policy::overrun_oldest);
  logger->set_level(level_of(options.level));
  if (options.format == config::LogFormat::json) {
    logger->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":"%v"})",
                        spdlog::pattern_time_type::utc);
  } else {
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
  }
  logger->flush_on(spdlog::level::warn);
  spdlog::set_default_logger(std::move(logger));
  spdlog::flush_every(std::chrono::seconds(1));
}

void stop_logging() { spdlog::shutdown(); }

}  // namespace skald::actors
