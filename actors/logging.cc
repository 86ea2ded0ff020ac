#include "actors/logging.h"

#include <spdlog/async.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <memory>

namespace skald::actors {

namespace {

constexpr std::size_t kQueuedLinesMax = 8192;
/// In JSON: ends the message of a line; its fields follow. No message has it, they are escaped.
constexpr char kFieldsFollow = '\x1e';

bool json_lines = false;  // set before any thread logs

spdlog::level::level_enum level_of(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::error:
      return spdlog::level::err;
    case config::LogLevel::warning:
      return spdlog::level::warn;
    case config::LogLevel::notice:  // spdlog has no such level: its info is our notice
      return spdlog::level::info;
    case config::LogLevel::info:
      return spdlog::level::debug;
    case config::LogLevel::debug:
      return spdlog::level::trace;
  }
  return spdlog::level::info;
}

/// What a client chose must not end the string that it stands in.
template <class Out>
void append_json(std::string_view text, Out& out) {
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    if (static_cast<unsigned char>(c) >= 0x20) {
      out.push_back(c);
    } else {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    }
  }
}

/// The message as a JSON string, and the fields of an event.
class JsonText final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string_view payload(message.payload.data(), message.payload.size());
    const std::size_t end = std::min(payload.find(kFieldsFollow), payload.size());
    out.push_back('"');
    append_json(payload.substr(0, end), out);
    out.push_back('"');
    if (end == payload.size()) return;
    const std::string_view fields = payload.substr(end + 1);
    out.append(fields.data(), fields.data() + fields.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonText>();
  }
};

std::unique_ptr<spdlog::formatter> json_formatter() {
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<JsonText>('*').set_pattern(
      R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":%*})");
  return formatter;
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
  json_lines = options.format == config::LogFormat::json;
  if (json_lines) {
    logger->set_formatter(json_formatter());
  } else {
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
  }
  logger->flush_on(spdlog::level::warn);
  spdlog::set_default_logger(std::move(logger));
  spdlog::flush_every(std::chrono::seconds(1));
}

void set_log_level(config::LogLevel level) { spdlog::set_level(level_of(level)); }

bool is_logged(LineLevel level) { return spdlog::should_log(level_of(level)); }

void log_event(LineLevel level, std::string_view kind, std::string_view text,
               std::initializer_list<LineField> fields) {
  std::string line(text);
  if (json_lines) {
    line.push_back(kFieldsFollow);
    line.append(R"(,"event":")").append(kind).append("\"");
    for (const LineField& field : fields) {
      line.append(",\"").append(field.name).append("\":\"");
      append_json(field.value, line);
      line.append("\"");
    }
  }
  spdlog::log(level_of(level), spdlog::string_view_t(line.data(), line.size()));
}

std::uint64_t lines_dropped() {
  const auto pool = spdlog::thread_pool();
  return pool == nullptr ? 0 : pool->overrun_counter();
}

void stop_logging() { spdlog::shutdown(); }

}  // namespace skald::actors
